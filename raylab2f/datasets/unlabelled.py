"""Pictures of which nobody knows yet what they show: files, folders, patterns, manifests without labels."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raylab2f.datasets.discovery import PICTURE_SUFFIXES, search
from raylab2f.datasets.entries import Entry, first_few
from raylab2f.datasets.layouts.table import read_unlabelled
from raylab2f.datasets.objects import apply_rules
from raylab2f.errors import UserError
from raylab2f.files.places import is_uri
from raylab2f.files.tables import TABLE_SUFFIXES

__all__ = ["UNREAD", "Unlabelled", "find_unlabelled"]

#: Why a picture of a kind that is known, but not read, has no verdict.
UNREAD = "pictures of this kind are not read; save them as PNG, JPEG, TIFF or BMP"


@dataclass(frozen=True)
class Unlabelled:
    """A picture to be judged.

    Arguments:
        image_id: unique name.
        path: file or URI.
        object_id: the part that it shows; `None`: not known, and the picture stands for a part of its own.
        foreground_path: mask of the part, where one is known.
        condition: light, batch, camera, where it is known.
        problem: why there is nothing to read, in words; `None`: nothing is known to be wrong.
    """

    image_id: str
    path: str
    object_id: str | None = None
    foreground_path: str | None = None
    condition: str | None = None
    problem: str | None = None

    @property
    def part(self) -> tuple[str, bool]:
        """Equal for pictures of one part: its name, or that of the picture, and which of the two it is."""
        return self.object_id or self.image_id, self.object_id is None


def find_unlabelled(
    sources: Sequence[str], object_id: str | None = None, conditions: str | None = None
) -> list[Unlabelled]:
    """The pictures that sources name, those of one part after one another; no picture is opened.

    Arguments:
        sources: picture files, folders, which are searched with all below them, patterns such as `line/*.png`, or
            manifests (Parquet, CSV or TSV, local or on a store) with a column `path`, perhaps `image_id`, `object_id`,
            `condition` and `foreground_path`.
        object_id: regular expression with a group `object`, searched in image ids.
        conditions: likewise with a group `condition`.

    Raises:
        UserError: a source names nothing, two pictures have one name, or the rule does not fit.
    """
    found: list[Unlabelled] = []
    for source in sources:
        found += _of(source, several=len(sources) > 1)
    if not found:
        raise UserError(f"{first_few(list(sources))}: there are no pictures; name files, folders or a manifest.")
    if twice := [name for name, count in Counter(one.image_id for one in found).items() if count > 1]:
        raise UserError(f"{first_few(twice)}: named more than once; name each picture once.")
    entries = [
        Entry(one.image_id, one.path, None, "", None, object_id=one.object_id, condition=one.condition) for one in found
    ]
    told, _ = apply_rules(entries, object_id=object_id, conditions=conditions)
    found = [
        replace(one, object_id=entry.object_id, condition=entry.condition)
        for one, entry in zip(found, told, strict=True)
    ]
    # A part is decided when its last picture was seen.
    return sorted(found, key=lambda one: (one.object_id or one.image_id, one.image_id))


def _of(source: str, *, several: bool) -> list[Unlabelled]:
    if is_uri(source) or Path(source).suffix.lower() in TABLE_SUFFIXES:
        return [
            Unlabelled(entry.image_id, entry.path, entry.object_id, entry.foreground_path, entry.condition)
            for entry in read_unlabelled(source)
        ]
    path = Path(source)
    if path.is_dir():
        tree = search(path)
        lead = f"{path.name}/" if several else ""
        pictures = [Unlabelled(f"{lead}{one.relative_to(path).as_posix()}", str(one)) for one in tree.pictures]
        broken = [
            Unlabelled(f"{lead}{one.relative_to(path).as_posix()}", str(one), problem=reason)
            for one, reason in [*tree.broken, *((one, UNREAD) for one in tree.unread)]
        ]
        return pictures + broken
    if path.is_file():
        return [Unlabelled(source, source)]
    matched = [one for one in glob.glob(source, recursive=True) if Path(one).suffix.lower() in PICTURE_SUFFIXES]  # noqa: PTH207  # patterns may be absolute
    if not matched:
        raise UserError(f"{source}: there is no such file or folder, and no picture of such a name; mend it.")
    return [Unlabelled(one, one) for one in matched]
