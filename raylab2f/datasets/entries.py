"""What a layout hands on: one entry per picture, before any file was opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from raylab2f.datasets.discovery import PICTURE_SUFFIXES, list_pictures, printable
from raylab2f.errors import UserError
from raylab2f.pitfalls import Caution

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


@dataclass(frozen=True)
class Entry:
    """One picture as a layout found it.

    The meaning of the fields is that of `manifest.MANIFEST_SCHEMA`. Those from `width` on come from reading the files;
    a layout fills them only with what a manifest has recorded.

    A `label` of `None` is open until the files are read: the picture is anomalous if anything in its mask is marked.
    Then `defect_type` says what it is called if it is, and a `given_split` of `None` becomes train for nominal pictures
    and test for anomalous ones.

    `mask_path` may name a folder: all pictures in it, laid over one another, are the mask. Nominal pictures may have a
    mask as well, which should be empty.
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
    condition: str | None = None
    size: float | None = None


@dataclass(frozen=True)
class Found:
    """All that a layout found.

    Attributes:
        name: what to call the dataset.
        entries: its pictures.
        strays: files that belong to no picture, as (relative path, what is wrong).
        left_out: what the layout leaves out by a rule of its own, as (folder or file relative to where image ids start,
            reason).
        warnings: what the user must know of how the folder was taken.
        folders: those that were read, absolute; by default the one where image ids start. A file in them that cannot be
            opened is an error, elsewhere it is only named.
        recorded: the entries are the rows of a manifest: no folder was searched, and what it records stays.
    """

    name: str
    entries: tuple[Entry, ...]
    strays: tuple[tuple[str, str], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    warnings: tuple[Caution, ...] = ()
    folders: tuple[Path, ...] = ()
    recorded: bool = False


@dataclass(frozen=True)
class LayoutOptions:
    """What the user said about the folder, for the layouts that need it.

    Attributes:
        category: one of several categories (layouts that have them).
        nominal: sub-folders of nominal pictures (layout folder).
        anomalous: sub-folders of anomalous pictures (layout folder).
    """

    category: str | None = None
    nominal: tuple[str, ...] = ()
    anomalous: tuple[str, ...] = ()


def refuse_duplicates(image_ids: Iterable[str], where: str) -> None:
    """Raise a `UserError` that names the first few image ids that occur more than once."""
    twice = [image_id for image_id, count in Counter(image_ids).items() if count > 1]
    if twice:
        raise UserError(f"{where}: image ids must be unique, but these occur more than once: {first_few(twice)}.")


def first_few(names: Sequence[str], count: int = 3) -> str:
    """The first names, fit to be printed in one line, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(printable, names[:count])) + more
