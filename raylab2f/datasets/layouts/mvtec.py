"""Layout `mvtec`: that of MVTec AD, shared by MPDD, G-Link, VisA in its MVTec style and many others.

    <category>/train/good/<stem>.png
    <category>/test/good/<stem>.png, <category>/test/<defect type>/<stem>.png
    <category>/validation/good/<stem>.png                   given as training pictures (optional)
    <category>/ground_truth/<defect type>/<stem>_mask.png   or <stem>.png: where the defect is (optional)
    <category>/ground_truth/<defect type>/<stem>/<any>.png  likewise, several masks of one picture
    fg_mask/<category>/<stem>.png                           where the part is, for training pictures (optional)

Pictures may lie deeper than their folder, with masks in the same folders below `ground_truth`, or beside them
(`datasets.mask_pairing`). Folders called ok, normal or nominal, or whose name begins with that word, are nominal as
good is. Defective pictures in train are anomalous pictures like those in test: folds deal both anew, and only nominal
ones train.

Reference: Bergmann, Fauser, Sattlegger, Steger: "MVTec AD, a comprehensive real-world dataset for unsupervised anomaly
detection" (CVPR 2019); `fg_mask` as in Yao et al.: "Explicit boundary guided semi-push-pull contrastive learning"
(CVPR 2023), beside the category's folder or inside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from raylab2f.datasets.discovery import list_folders, list_pictures
from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions, first_few
from raylab2f.datasets.layouts.categories import choose, find
from raylab2f.datasets.layouts.nominal_names import is_nominal_name, name_warnings
from raylab2f.datasets.mask_contents import find_mask_folders
from raylab2f.datasets.mask_pairing import (
    MASK_FOLDERS,
    NO_PICTURE,
    Paired,
    key_of,
    match_masks,
    pair_masks,
    stem_of_picture,
)
from raylab2f.errors import UserError

__all__ = ["LOOKED_FOR", "read", "read_category", "recognises"]

LOOKED_FOR = "mvtec (train/good and test/<defect type>, in the folder or up to three folders below it)"

_FOREGROUNDS = "fg_mask"
# Names of the folders of splits in lower case, with the split that is written down.
_SPLITS = {"train": "train", "validation": "train", "valid": "train", "val": "train", "test": "test"}


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a category or holds some."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of one category; image ids start at its folder.

    Raises:
        UserError: there is no category, no such category as asked for, or several and none was asked for; or as in
            `read_category`.
    """
    return read_category(root, choose(root, find(root, _fits), options.category, LOOKED_FOR))


def read_category(root: Path, category: Path, published: Collection[str] = (NOMINAL,)) -> Found:
    """Pictures of a folder with `train` and `test`; image ids start at it.

    Arguments:
        root: the folder that the user named.
        published: names of nominal folders that a data set is published with, of which nothing needs to be said.

    Raises:
        UserError: train holds folders, but none of nominal pictures; or it cannot be told which file is a picture and
            which its mask.
    """
    splits = [child for child in list_folders(category) if child.name.lower() in _SPLITS]
    homes = _mask_folders(splits)
    kinds = {kind: pair_masks(kind, category) for split in splits for kind in list_folders(split) if kind not in homes}
    kinds = {kind: paired for kind, paired in kinds.items() if paired.pictures}
    _require_nominal_training(category, kinds)
    masks, unused = _masks(category, kinds, homes)
    foregrounds = _foregrounds(root, category, kinds)
    entries = []
    for kind, paired in kinds.items():
        nominal = is_nominal_name(kind.name)
        for path in paired.pictures:
            mask = masks.get(path)
            entries.append(
                Entry(
                    image_id=path.relative_to(category).as_posix(),
                    path=str(path),
                    label=0 if nominal else 1,
                    defect_type=NOMINAL if nominal else kind.name,
                    given_split=_split(kind),
                    mask_path=None if mask is None else str(mask),
                    foreground_path=foregrounds.get(path),
                )
            )
    strays = [(mask, NO_PICTURE) for mask in unused]
    strays += [
        (path, f"the picture lies in {split.name} itself, not in a folder of its defect type")
        for split in splits
        for path in list_pictures(split)
    ]
    return Found(
        category.name,
        tuple(entries),
        tuple((path.relative_to(category).as_posix(), reason) for path, reason in strays),
        warnings=name_warnings(((kind.name, kind.relative_to(category).as_posix()) for kind in kinds), published),
    )


def _fits(folder: Path) -> bool:
    children: dict[str, list[Path]] = {}
    for child in list_folders(folder):
        children.setdefault(child.name.lower(), []).append(child)
    return "train" in children and (
        "test" in children
        or any(is_nominal_name(kind.name) for train in children["train"] for kind in list_folders(train))
    )


def _split(kind: Path) -> str:
    return _SPLITS[kind.parent.name.lower()]


def _require_nominal_training(category: Path, kinds: Iterable[Path]) -> None:
    training = [kind.name for kind in kinds if _split(kind) == "train"]
    if training and not any(map(is_nominal_name, training)):
        raise UserError(
            f"{category}: no folder in train is called good, ok, normal or nominal ({first_few(training)}), so all its "
            "pictures would count as defective; rename those of nominal pictures, or name the folders with --nominal "
            "and --anomalous."
        )


def _mask_folders(splits: Iterable[Path]) -> dict[Path, Path | None]:
    """Folders in the place of a defect type that hold masks, with the folder of their pictures.

    They are called so, and then mirror the split (`None`), or it shows in what they and the folder beside them hold.
    """
    homes: dict[Path, Path | None] = {}
    for split in splits:
        kinds = list_folders(split)
        homes |= {kind: None for kind in kinds if kind.name.lower() in MASK_FOLDERS}
        files = [path for kind in kinds if kind not in homes for path in list_pictures(kind)]
        homes |= {kind: own for kind, own in find_mask_folders(files, stem_of_picture).items() if kind.parent == split}
    return homes


def _masks(
    category: Path, kinds: Mapping[Path, Paired], homes: Mapping[Path, Path | None]
) -> tuple[dict[Path, Path], list[Path]]:
    """Mask of each picture that has one, and the masks that belong to no picture.

    Folders of masks mirror test; what is left over may belong to defective pictures of other splits.
    """
    masks = {picture: mask for paired in kinds.values() for picture, mask in paired.masks.items()}
    unused = [mask for paired in kinds.values() for mask in paired.strays]
    folders = {child.name.lower(): child for child in list_folders(category)}
    home = next((folders[name] for name in MASK_FOLDERS if name in folders), None)
    for mask_kind in [] if home is None else list_folders(home):
        left = list_pictures(mask_kind, recursive=True)
        own_kinds = [
            kind
            for kind in sorted(kinds, key=lambda kind: _split(kind) != "test")
            if kind.name.lower() == mask_kind.name.lower()
            and (_split(kind) == "test" or not is_nominal_name(kind.name))
        ]
        for kind in own_kinds:
            without = {key_of(path, kind): path for path in kinds[kind].pictures if path not in masks}
            found, left = match_masks(without, [(key_of(path, mask_kind), path) for path in left])
            masks |= found
        unused += left
    for own_home, owner in homes.items():
        own = [path for kind in kinds if kind.parent == own_home.parent for path in kinds[kind].pictures]
        base = owner or own_home.parent
        without = {key_of(path, base): path for path in own if path not in masks and path.is_relative_to(base)}
        files = [(key_of(path, own_home), path) for path in list_pictures(own_home, recursive=True)]
        found, left = match_masks(without, files)
        masks |= found
        unused += left
    return masks, unused


def _foregrounds(root: Path, category: Path, kinds: dict[Path, Paired]) -> dict[Path, str]:
    """Foreground masks of training pictures."""
    places = (category / _FOREGROUNDS, category.parent / _FOREGROUNDS / category.name)
    found: dict[Path, str] = {}
    for place in (*places, root / _FOREGROUNDS / category.name):
        files = [(key_of(path, place), path) for path in list_pictures(place, recursive=True)]
        if files:
            for kind in (kind for kind in kinds if kind.parent.name.lower() == "train"):
                own, _ = match_masks({key_of(path, kind): path for path in kinds[kind].pictures}, files)
                found |= {picture: str(mask) for picture, mask in own.items()}
            break
    return found
