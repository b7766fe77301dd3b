"""Which picture file is the defect mask of which other one, told by their names.

A mask lies in a folder of its own (`MASK_FOLDERS`), or in the folder of its picture. It is called like its picture,
with an ending such as _mask (`MASK_ENDING`) or without. Several masks of one picture lie in a folder called like it.

In one folder, files of the same stem and other suffixes, such as 7.jpg and 7.png, are a photograph and its mask if that
can be told: of the two the one that holds next to nothing but a few values is the mask, or, if both do, the one that
was saved without loss beside one with loss. Otherwise they are refused: the same photograph saved twice must not count
twice, and a photograph must not pass for a mask. Five such pairs a folder are looked at. Likewise a folder of any name
is one of masks if each of its files has a picture of its stem in the folder beside it or around it, and what they hold
shows which is which; and files of any names that share a core are pictures and masks (`mask_names`). Several masks of
one picture in its own folder are refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raylab2f.datasets.discovery import PICTURE_SUFFIXES, is_folder, list_pictures, printable
from raylab2f.datasets.mask_contents import few_of, find_mask_folders, holds_few_values
from raylab2f.datasets.mask_names import cores_of, find_masks_by_contents
from raylab2f.errors import UserError

__all__ = [
    "MASK_ENDING",
    "MASK_FOLDERS",
    "NO_PICTURE",
    "Key",
    "Paired",
    "key_of",
    "match_masks",
    "pair_masks",
    "stem_of_picture",
]

#: Ending of a mask's stem.
MASK_ENDING = re.compile(r"[-_. ](masks?|gt|labels?|seg|segmentation|ground[-_ ]?truth|annotation)$", re.IGNORECASE)
#: Names of folders of masks, in lower case.
MASK_FOLDERS = (
    *("ground_truth", "groundtruth", "ground-truth", "ground truth", "gt"),
    *("masks", "mask", "labels", "label", "annotations", "annotation"),
)

_PICTURE_FOLDERS = ("images", "image", "imgs", "img", "pictures", "rgb")

#: What is wrong with a mask that belongs to no picture.
NO_PICTURE = "the mask has no picture of its name; several masks of one picture lie in a folder called like it"

#: Folders and stem of a file below some folder.
Key = tuple[str, ...]

_LOSSY = (".jpg", ".jpeg", ".jfif", ".webp", ".jp2")


@dataclass(frozen=True)
class Paired:
    """Pictures and masks of a list of files.

    Attributes:
        pictures: those that are not masks, in their order.
        masks: mask by picture.
        strays: masks without a picture.
    """

    pictures: tuple[Path, ...]
    masks: Mapping[Path, Path]
    strays: tuple[Path, ...]


def key_of(path: Path, folder: Path) -> Key:
    """Where a file lies below a folder, without its suffix and without folders such as images and masks."""
    relative = path.relative_to(folder)
    parts = (
        unicodedata.normalize("NFC", part)
        for part in relative.parts[:-1]
        if part.lower() not in (*_PICTURE_FOLDERS, *MASK_FOLDERS)
    )
    return (*parts, _stem(relative))


def match_masks(pictures: Mapping[Key, Path], masks: Sequence[tuple[Key, Path]]) -> tuple[dict[Path, Path], list[Path]]:
    """Find the mask of each picture among the files of a folder of masks.

    In this order: of the same key with an ending; of the same key; the folder of the picture's key; wherever they lie,
    the only mask and the only picture of a stem; last, the only mask whose name has the picture's as its core.

    Arguments:
        pictures: by key below the folder that the folder of masks mirrors.
        masks: with their keys below the folder of masks.

    Returns:
        Mask by picture, a file or a folder; and the masks that belong to none.

    Raises:
        UserError: two masks of the same name.
    """
    found: dict[Path, Path] = {}
    open_masks: dict[Key, Path] = {}
    for key, mask in masks:
        if key in open_masks:
            raise UserError(
                f"{printable(str(mask))} and {printable(str(open_masks[key]))} are masks of the same name; remove one "
                "of them."
            )
        open_masks[key] = mask
    for ending in (True, False):
        for key in list(open_masks):
            own = (*key[:-1], _without_ending(key[-1])) if ending else key
            picture = pictures.get(own)
            if picture is not None and picture not in found and (own != key or not ending):
                found[picture] = open_masks.pop(key)
    for key in list(open_masks):
        picture = pictures.get(key[:-1])
        if picture is not None and found.get(picture, open_masks[key].parent) == open_masks[key].parent:
            found[picture] = open_masks.pop(key).parent
    if any(is_folder(mask) for mask in found.values()):
        # Names within the folders of pictures say nothing of the pictures.
        return found, list(open_masks.values())
    without = {key: picture for key, picture in pictures.items() if picture not in found}
    pictures_by_stem, masks_by_stem = _by_stem(without), _by_stem(open_masks)
    for stem, keys in masks_by_stem.items():
        own_keys = pictures_by_stem.get(stem, []) or pictures_by_stem.get(_without_ending(stem), [])
        if len(keys) == len(own_keys) == 1:
            found[without[own_keys[0]]] = open_masks.pop(keys[0])
    named: dict[Path, list[Key]] = defaultdict(list)
    for key in open_masks:
        for own in {(*key[:-1], core) for core in cores_of(key[-1])}:
            if own in pictures and pictures[own] not in found:
                named[pictures[own]].append(key)
    for picture, keys in named.items():
        if len(keys) == 1 and keys[0] in open_masks:
            found[picture] = open_masks.pop(keys[0])
    return found, list(open_masks.values())


def pair_masks(folder: Path, where: Path) -> Paired:
    """Tell pictures from masks in a folder and below it.

    Masks lie beside their pictures, or in a sub-folder of `MASK_FOLDERS`. A file without a picture of its name is a
    stray if others of its kind in the folder have theirs: if none has, they are pictures in a folder, or with a name,
    that sounds like masks.

    Arguments:
        folder: that is searched.
        where: the folder that messages call paths from.

    Raises:
        UserError: two files could both be the picture, or the mask.
    """
    files = list_pictures(folder, recursive=True)
    inner = {path for path in files if _lies_in_masks(path, folder)}
    outer = [path for path in files if path not in inner]
    if inner:
        paired = _pair_beside(outer, where)
        open_pictures = {key_of(path, folder): path for path in paired.pictures if path not in paired.masks}
        found, unused = match_masks(open_pictures, [(key_of(path, folder), path) for path in sorted(inner)])
        if found:
            return Paired(paired.pictures, {**paired.masks, **found}, (*paired.strays, *unused))
    homes = find_mask_folders(files, stem_of_picture)
    paired = _pair_beside([path for path in files if path.parent not in homes], where)
    by_place = {(path.parent, _stem(path)): path for path in paired.pictures if path not in paired.masks}
    masks, strays = dict(paired.masks), list(paired.strays)
    for mask in (path for path in files if path.parent in homes):
        picture = by_place.pop((homes[mask.parent], _without_ending(_stem(mask))), None)
        if picture is None:
            strays.append(mask)
        else:
            masks[picture] = mask
    return Paired(paired.pictures, masks, tuple(strays))


def stem_of_picture(mask: Path) -> str:
    """The stem of the picture that a mask of this path belongs to."""
    return _without_ending(_stem(mask))


def _lies_in_masks(path: Path, folder: Path) -> bool:
    return any(part.lower() in MASK_FOLDERS for part in path.relative_to(folder).parts[:-1])


def _pair_beside(files: Iterable[Path], where: Path) -> Paired:
    """Tell pictures from masks that lie beside them in the same folder."""
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        folders[path.parent].append(path)
    pictures: list[Path] = []
    masks: dict[Path, Path] = {}
    strays: list[Path] = []
    for own in folders.values():
        paired = _pair(own, where)
        pictures += paired.pictures
        masks |= paired.masks
        strays += paired.strays
    by_contents: dict[Path, list[Path]] = defaultdict(list)
    have_one = {(picture.parent, _stem(picture).lower()): picture for picture in masks}
    for mask, picture in find_masks_by_contents((path for path in pictures if path not in masks), _stem).items():
        # 7_mask.png is known as that of 7.png: then 7_roi.png is no mask of 7_side.png, but another one of 7.png.
        cores = sorted(core.lower() for core in cores_of(_stem(mask)))
        owner = next((have_one[mask.parent, core] for core in cores if (mask.parent, core) in have_one), None)
        if owner is not None:
            raise _refused_several(owner, [masks[owner], mask], where)
        by_contents[picture].append(mask)
    for picture, own in by_contents.items():
        if len(own) > 1:
            raise _refused_several(picture, own, where)
        masks[picture] = own[0]
    taken = set(masks.values())
    return Paired(tuple(path for path in pictures if path not in taken), masks, tuple(strays))


def _pair(files: Sequence[Path], where: Path) -> Paired:
    """Pictures and masks of one folder."""
    stems: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        stems[_stem(path)].append(path)
    with_ending = [stem for stem in stems if _without_ending(stem) in stems and _without_ending(stem) != stem]
    twice = [stem for stem, own in stems.items() if len(own) > 1 and stem not in with_ending]
    roles = _told_apart([stems[stem] for stem in twice], where)
    masks: dict[Path, Path] = {}
    for stem in twice:
        picture, mask = roles[stem]
        masks[picture] = mask
    for stem in with_ending:
        picture_stem = _without_ending(stem)
        if picture_stem in with_ending:
            raise _refused([*stems[picture_stem], *stems[stem]], where)
        if len(stems[stem]) > 1 or picture_stem in roles or stems[picture_stem][0] in masks:
            raise _refused([*stems[picture_stem], *stems[stem]], where)
        masks[stems[picture_stem][0]] = stems[stem][0]
    taken = set(masks.values())
    strays = [path for path in files if path not in taken and MASK_ENDING.search(_stem(path))] if with_ending else []
    left = taken.union(strays)
    return Paired(tuple(path for path in files if path not in left), masks, tuple(strays))


def _told_apart(groups: Sequence[Sequence[Path]], where: Path) -> dict[str, tuple[Path, Path]]:
    """Picture and mask by stem, of files of one folder that share their stems."""
    kinds: dict[frozenset[str], list[Sequence[Path]]] = defaultdict(list)
    for group in groups:
        if len(group) != 2:
            raise _refused(group, where)
        kinds[frozenset(map(_rest, group))].append(group)
    roles = {}
    for alike in kinds.values():
        masks = {_rest(_mask_of(pair, where)) for pair in few_of(alike)}
        if len(masks) != 1:
            raise _refused(alike[0], where)
        for group in alike:
            mask, picture = sorted(group, key=lambda path: _rest(path) not in masks)
            roles[_stem(picture)] = (picture, mask)
    return roles


def _mask_of(pair: Sequence[Path], where: Path) -> Path:
    plain = [path for path in pair if holds_few_values(path) is not False]
    if len(plain) == 2:
        plain = [path for path in pair if path.suffix.lower() not in _LOSSY]
    if len(plain) != 1:
        raise _refused(pair, where)
    return plain[0]


def _stem(path: Path) -> str:
    """A file's name without its suffix, and without that of another picture as in 7.jpg.png; accents composed."""
    stem = unicodedata.normalize("NFC", path.stem)
    while stem.lower().endswith(PICTURE_SUFFIXES) and not stem.startswith("."):
        stem = stem.rpartition(".")[0]
    return stem


def _rest(path: Path) -> str:
    return unicodedata.normalize("NFC", path.name).removeprefix(_stem(path))


def _refused(paths: Sequence[Path], where: Path) -> UserError:
    names = " and ".join(printable(path.relative_to(where).as_posix()) for path in paths)
    return UserError(
        f"{printable(str(where))}: which of {names} is the picture and which its mask cannot be told; call masks like "
        "their pictures with the ending _mask, and keep each photograph once."
    )


def _refused_several(picture: Path, masks: Sequence[Path], where: Path) -> UserError:
    names = " and ".join(printable(path.relative_to(where).as_posix()) for path in masks[:3])
    shown = printable(picture.relative_to(where).as_posix())
    home = printable(picture.relative_to(where).with_suffix("").as_posix())
    return UserError(
        f"{printable(str(where))}: {names} are several masks of {shown}; put them into a folder masks/{home}, called "
        "like the picture, or unite them in one file."
    )


def _without_ending(stem: str) -> str:
    return MASK_ENDING.sub("", stem)


def _by_stem(keys: Iterable[Key]) -> dict[str, list[Key]]:
    stems: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        stems[key[-1]].append(key)
    return stems
