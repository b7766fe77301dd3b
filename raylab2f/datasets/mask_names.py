"""Masks that lie beside their pictures under names that `mask_pairing` does not know, told by what the files hold.

Names of a picture and its mask share a core: 7.png and mask_7.png, 7_defect.png or 7_mask_2.png; 7_rgb.png and
7_bw.png; 7.png and 7m.png. What is added to it stands for a kind of file. If the files of one kind hold next to nothing
but a few values, and those of another do not, the ones are masks of the others. Five files of a kind are looked at.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from raylab2f.datasets.mask_contents import few_of, holds_few_values

__all__ = ["cores_of", "find_masks_by_contents"]

# What a name adds to its core: a word in front or behind, maybe with a number, or a letter or two after a number.
_IN_FRONT = re.compile(r"(?P<added>[^\W\d_]+[0-9]{0,3})[-_. ](?P<core>.+)")
_BEHIND = re.compile(r"(?P<core>.+)(?P<added>[-_. ][^\W\d_]+(?:[-_. ]?[0-9]{1,3})?)")
_LETTERS_IN_FRONT = re.compile(r"(?P<added>[^\W\d_]+)(?P<core>[0-9].*)")
_LETTERS_BEHIND = re.compile(r"(?P<core>.*[0-9])(?P<added>[^\W\d_]+)")
_NUMBER = re.compile(r"[0-9]+")
# More kinds than these are no kinds, but the names of parts and days.
_MOST_KINDS = 24

# Whether something is added in front, and what, with numbers left out.
_Kind = tuple[bool, str]


def find_masks_by_contents(files: Iterable[Path], stem_of: Callable[[Path], str]) -> dict[Path, Path]:
    """Picture by mask; several masks may have one picture.

    Arguments:
        files: of any folders; only those in one folder are related.
        stem_of: a file's name without what tells its format.
    """
    by_core: dict[tuple[Path, str], list[tuple[_Kind, Path]]] = defaultdict(list)
    for path in files:
        for core, kind in _readings(stem_of(path)):
            by_core[path.parent, core.lower()].append((kind, path))
    related = [own for own in by_core.values() if len({kind for kind, _ in own}) > 1]
    of_kind: dict[_Kind, list[Path]] = defaultdict(list)
    for own in related:
        for kind, path in own:
            of_kind[kind].append(path)
    if len(of_kind) > _MOST_KINDS:
        commonest = sorted(of_kind, key=lambda kind: -len(of_kind[kind]))[:_MOST_KINDS]
        of_kind = {kind: of_kind[kind] for kind in commonest}
    plain = _told_by_contents(of_kind)
    found: dict[Path, Path] = {}
    for own in related:
        pictures = {path for kind, path in own if plain.get(kind) is False}
        if len(pictures) == 1:
            found |= dict.fromkeys((path for kind, path in own if plain.get(kind)), pictures.pop())
    return found


def cores_of(stem: str) -> set[str]:
    """What a name may add something to."""
    return {core for core, _ in _readings(stem)} - {stem}


def _readings(stem: str) -> Iterator[tuple[str, _Kind]]:
    """Every core that a name may have, with what is added to it."""
    yield stem, (False, "")
    for front, patterns in ((True, (_IN_FRONT, _LETTERS_IN_FRONT)), (False, (_BEHIND, _LETTERS_BEHIND))):
        for pattern in patterns:
            if match := pattern.fullmatch(stem):
                yield match["core"], (front, _NUMBER.sub("#", match["added"]).lower())


def _told_by_contents(of_kind: Mapping[_Kind, list[Path]]) -> dict[_Kind, bool]:
    """Whether the files of a kind hold a few values; kinds of which some do are left out."""
    told = {}
    for kind, paths in of_kind.items():
        looks = {looks for path in few_of(paths) if (looks := holds_few_values(path)) is not None}
        if len(looks) == 1:
            told[kind] = looks.pop()
    return told
