"""What a layout hands on: one entry per picture, before any file was opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from raylab2f.errors import UserError

__all__ = [
    "NOMINAL",
    "PICTURE_SUFFIXES",
    "Entry",
    "Found",
    "LayoutOptions",
    "first_few",
    "list_pictures",
    "refuse_duplicates",
]

NOMINAL = "good"
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Entry:
    """One picture as a layout found it.

    The meaning of the fields is that of `manifest.MANIFEST_SCHEMA`. The last five come from reading the files; a layout
    fills them only with what a manifest has recorded.
    """

    image_id: str
    path: str
    label: int | None
    defect_type: str
    given_split: str | None
    object_id: str | None = None
    view: str | None = None
    mask_path: str | None = None
    foreground_path: str | None = None
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    mask_sha256: str | None = None
    foreground_sha256: str | None = None


@dataclass(frozen=True)
class Found:
    """All that a layout found.

    Attributes:
        name: what to call the dataset.
        entries: its pictures.
        strays: files that belong to no picture, as (relative path, what is wrong).
    """

    name: str
    entries: tuple[Entry, ...]
    strays: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class LayoutOptions:
    """What the user said about the folder, for the layouts that need it.

    Attributes:
        category: one of several categories (layout mvtec).
        nominal: sub-folders of nominal pictures (layout folder).
        anomalous: sub-folders of anomalous pictures (layout folder).
    """

    category: str | None = None
    nominal: tuple[str, ...] = ()
    anomalous: tuple[str, ...] = ()


def list_pictures(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Picture files in a folder by their suffix, sorted; hidden files are no pictures. An absent folder holds none."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in (folder.rglob("*") if recursive else folder.iterdir())
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def refuse_duplicates(image_ids: Iterable[str], where: str) -> None:
    """Raise a `UserError` that names the first few image ids that occur more than once."""
    twice = [image_id for image_id, count in Counter(image_ids).items() if count > 1]
    if twice:
        raise UserError(f"{where}: image ids must be unique, but these occur more than once: {first_few(twice)}.")


def first_few(names: Sequence[str], count: int = 3) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
