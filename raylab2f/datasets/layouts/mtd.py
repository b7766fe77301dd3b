"""Layout `mtd`: the Magnetic Tile Defects data set in its published form.

    MT_<class>/Imgs/exp<K>_num_<N>.jpg   greyscale photograph at exposure K
    MT_<class>/Imgs/exp<K>_num_<N>.png   its defect mask

Class Free is nominal. The view is the exposure K; which pictures show the same tile is told by `same_tile`. The data
set has no split of its own: nominal pictures are given as training pictures, the others as test pictures.

Reference: Huang, Qiu, Yuan: "Surface defect saliency of magnetic tile" (The Visual Computer 36, 2020).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

from raylab2f.datasets.discovery import is_folder, list_folders, list_pictures
from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions
from raylab2f.datasets.layouts.categories import child
from raylab2f.errors import UserError

__all__ = ["LOOKED_FOR", "Shot", "read", "recognises", "same_tile"]

LOOKED_FOR = "mtd (MT_<class>/Imgs with pictures exp<K>_num_<N>.jpg)"

_CLASS, _PICTURES = "MT_", "Imgs"
_NOMINAL_CLASS = "Free"
_NAME = re.compile(r"exp(?P<exposure>\d+)_num_(?P<number>\d+)", re.IGNORECASE)
# Consecutive pictures of one tile are at most 325 numbers apart, with few exceptions.
_STEP = 400
# Where the very next exposure follows, the pictures between may have been sorted out.
_STEP_TO_NEXT_EXPOSURE = 600
# A tile is photographed at exposures 1 to 6; the very first ones also at 0.
_FIRST_EXPOSURES = (0, 1)
_LAST_EXPOSURE = 6
# Numbers of pictures that show the same tile although nothing in their names says so: it was photographed again later
# (the last but one upside down). Found by matching the pictures' surfaces: hundreds of local features agree on one
# shift and turn (51 for the tile turned upside down), where different tiles never agree on more than six.
_PHOTOGRAPHED_AGAIN = (
    (5874, 13568),
    (8676, 10334),
    (53011, 65031),
    (306586, 309352),
    (320808, 320895),
    (337703, 349868),
    (355669, 358127),
)


@dataclass(frozen=True)
class Shot:
    """What a picture's name and folder say.

    Attributes:
        number: running number N.
        exposure: exposure setting K.
        kind: class without its prefix, such as Free or Blowhole.
    """

    number: int
    exposure: int
    kind: str


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether the folder, or one below it, holds class folders."""
    return bool(_class_folders(root))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of all classes, with tiles as objects.

    Raises:
        UserError: there are no class folders, or those of several copies, or a picture is not called as the layout
            wants.
    """
    folders = _class_folders(root)
    if not folders:
        raise UserError(f"{root}: there is no {LOOKED_FOR} here.")
    bases = sorted({folder.parent for folder in folders})
    if len(bases) > 1:
        raise UserError(f"{root} holds the data set more than once; choose {' or '.join(map(str, bases))}.")
    base = bases[0]
    shots: dict[Path, Shot] = {}
    masks: dict[Path, Path] = {}
    for folder in folders:
        for path in list_pictures(child(folder, _PICTURES)):
            if path.suffix.lower() == ".png":
                masks[path.with_suffix("")] = path
            else:
                shots[path] = _shot(path, folder)
    tiles = {shot: f"tile-{tile[0].number:06d}" for tile in same_tile(set(shots.values())) for shot in tile}
    entries = []
    for path, shot in shots.items():
        nominal = shot.kind == _NOMINAL_CLASS
        mask = masks.pop(path.with_suffix(""), None)
        entries.append(
            Entry(
                image_id=path.relative_to(base).as_posix(),
                path=str(path),
                label=0 if nominal else 1,
                defect_type=NOMINAL if nominal else shot.kind.lower(),
                given_split="train" if nominal else "test",
                object_id=tiles[shot],
                view=str(shot.exposure),
                # Nominal pictures have masks as well, all black.
                mask_path=None if mask is None else str(mask),
            )
        )
    return Found(
        root.name,
        tuple(entries),
        tuple((mask.relative_to(base).as_posix(), "the mask has no picture of its name") for mask in masks.values()),
    )


def same_tile(shots: set[Shot]) -> list[list[Shot]]:
    """Group pictures by the tile that they show, erring towards too large groups: those cannot leak.

    A tile was photographed at rising exposures, with numbers in small steps. Classes are looked at together, because
    single exposures of a tile were put into different classes: the same broken tile is Fray at five exposures and
    Break at one. Sorted by number, a new tile begins

    1. after a large step in the numbers, and
    2. where the first exposure follows on the last one, if the runs on both sides are whole (begin at the first
       exposure and end at the last one). A run that is not whole continues its neighbour: some tiles begin in the
       middle of the exposures, some were photographed twice.
    3. Two tiles in turn on the stage give interleaved numbers. They are told apart if each has a class for itself:
       exposures rise within every class, and any two classes share an exposure. Otherwise they stay one object.

    Last, groups are united that tear a run of rising exposure in small steps within one class, or that are known to
    show a tile that was photographed again.

    Returns:
        Groups in the order of their lowest numbers; a group's pictures in the order of theirs.
    """
    ordered = sorted(shots, key=_position)
    tiles: list[list[Shot]] = []
    for series in _cut(ordered, _is_large_step):
        runs = _cut(series, _starts_again)
        joined = [list(runs[0])]
        for before, after in pairwise(runs):
            if _is_whole(before) and _is_whole(after):
                joined.append(list(after))
            else:
                joined[-1].extend(after)
        for group in joined:
            tiles.extend(_by_class(group))
    return _unite(tiles, _links(ordered))


def _cut(shots: Sequence[Shot], between: Callable[[Shot, Shot], bool]) -> list[list[Shot]]:
    pieces: list[list[Shot]] = []
    for index, shot in enumerate(shots):
        if index == 0 or between(shots[index - 1], shot):
            pieces.append([])
        pieces[-1].append(shot)
    return pieces


def _is_large_step(before: Shot, after: Shot) -> bool:
    step = after.number - before.number
    return step > (_STEP_TO_NEXT_EXPOSURE if after.exposure == before.exposure + 1 else _STEP)


def _starts_again(before: Shot, after: Shot) -> bool:
    return before.exposure == _LAST_EXPOSURE and after.exposure in _FIRST_EXPOSURES and after.number > before.number


def _is_whole(run: Sequence[Shot]) -> bool:
    return run[0].exposure in _FIRST_EXPOSURES and run[-1].exposure == _LAST_EXPOSURE


def _by_class(group: list[Shot]) -> list[list[Shot]]:
    kinds: dict[str, list[Shot]] = defaultdict(list)
    for shot in group:
        kinds[shot.kind].append(shot)
    rising = all(a.exposure < b.exposure for own in kinds.values() for a, b in pairwise(own))
    apart = all(
        {shot.exposure for shot in one} & {shot.exposure for shot in other}
        and not {shot.number for shot in one} & {shot.number for shot in other}
        for one, other in combinations(kinds.values(), 2)
    )
    return list(kinds.values()) if rising and apart else [group]


def _links(ordered: Sequence[Shot]) -> Iterator[tuple[Shot, Shot]]:
    """Pairs of pictures that are known to show one tile."""
    last_of_kind: dict[str, Shot] = {}
    for shot in ordered:
        before = last_of_kind.get(shot.kind)
        if before is not None and shot.exposure > before.exposure and not _is_large_step(before, shot):
            yield before, shot
        last_of_kind[shot.kind] = shot
    by_number = {shot.number: shot for shot in ordered}
    for first, later in _PHOTOGRAPHED_AGAIN:
        if first in by_number and later in by_number:
            yield by_number[first], by_number[later]


def _unite(tiles: list[list[Shot]], links: Iterable[tuple[Shot, Shot]]) -> list[list[Shot]]:
    owner = {shot: tile for tile in tiles for shot in tile}
    for one, other in links:
        if owner[one] is not owner[other]:
            together = owner[one] + owner[other]
            owner.update((shot, together) for shot in together)
    united = {id(tile): sorted(tile, key=_position) for tile in owner.values()}
    return sorted(united.values(), key=lambda tile: _position(tile[0]))


def _position(shot: Shot) -> tuple[int, int, str]:
    return shot.number, shot.exposure, shot.kind


def _shot(path: Path, folder: Path) -> Shot:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise UserError(f"{path}: pictures of layout mtd are called exp<K>_num_<N>.jpg; rename or remove it.")
    return Shot(int(match["number"]), int(match["exposure"]), folder.name[len(_CLASS) :].capitalize())


def _class_folders(root: Path) -> list[Path]:
    for level in ([root], list_folders(root)):
        found = [
            folder for parent in level for folder in list_folders(parent) if folder.name.upper().startswith(_CLASS)
        ]
        folders = {folder.resolve(): folder for folder in reversed(found) if is_folder(child(folder, _PICTURES))}
        if folders:
            return sorted(folders.values())
    return []
