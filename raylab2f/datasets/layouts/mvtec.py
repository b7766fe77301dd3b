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

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from raylab2f.datasets.discovery import list_folders, list_pictures
from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions, first_few
from raylab2f.datasets.mask_pairing import MASK_FOLDERS, Paired, key_of, match_masks, pair_masks
from raylab2f.errors import UserError
from raylab2f.pitfalls import Caution

__all__ = ["LOOKED_FOR", "is_nominal_name", "read", "recognises"]

LOOKED_FOR = "mvtec (train/good and test/<defect type>, in the folder or up to three folders below it)"

_DEPTH = 3
_FOREGROUNDS = "fg_mask"
# Names of the folders of splits in lower case, with the split that is written down.
_SPLITS = {"train": "train", "validation": "train", "valid": "train", "val": "train", "test": "test"}
_NOMINAL_WORDS = (NOMINAL, "ok", "normal", "nominal")
# With one of these among its words, a name such as "ok_not" is no nominal one.
_DEFECT_WORD = re.compile(
    r"no|not|non|ng|nok|nio|ko|bad|def|fail\w*|defect\w*|anomal\w*|abnormal\w*|fault\w*|damage\w*|broken|but"
)
_WORD = re.compile(r"[^\W\d_]+")


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a category or holds some."""
    return bool(_categories(root))


def is_nominal_name(name: str) -> bool:
    """Whether a folder of nominal pictures is called so: good, ok, normal, nominal, or with that as its first word."""
    others = _WORD.findall(name.lower())[1:]
    return _first_word(name) in _NOMINAL_WORDS and not any(_DEFECT_WORD.fullmatch(word) for word in others)


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of one category; image ids start at its folder.

    Raises:
        UserError: there is no category, no such category as asked for, or several and none was asked for; train holds
            folders, but none of nominal pictures; or it cannot be told which file is a picture and which its mask.
    """
    category = _choose(root, options.category)
    splits = [child for child in list_folders(category) if child.name.lower() in _SPLITS]
    kinds = {kind: pair_masks(kind, category) for split in splits for kind in list_folders(split)}
    kinds = {kind: paired for kind, paired in kinds.items() if paired.pictures}
    _require_nominal_training(category, kinds)
    masks, unused = _masks(category, kinds)
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
    strays = [(mask, "the mask has no picture of its name") for mask in unused]
    strays += [
        (path, f"the picture lies in {split.name} itself, not in a folder of its defect type")
        for split in splits
        for path in list_pictures(split)
    ]
    return Found(
        category.name,
        tuple(entries),
        tuple((path.relative_to(category).as_posix(), reason) for path, reason in strays),
        warnings=_taken_as_nominal(category, kinds),
    )


def _choose(root: Path, wanted: str | None) -> Path:
    categories = _categories(root)
    if not categories:
        raise UserError(f"{root}: there is no {LOOKED_FOR} here.")
    if wanted is None and len(categories) == 1:
        return next(iter(categories.values()))
    listed = ", ".join(categories)
    if wanted is None:
        raise UserError(f"{root} holds several categories; choose one with --category: {listed}.")
    if wanted not in categories:
        raise UserError(f"--category {wanted}: there is no such category in {root}; there is {listed}.")
    return categories[wanted]


def _categories(root: Path) -> dict[str, Path]:
    """Folders with training and test pictures by name, or by relative path where names repeat."""
    by_place: dict[str, Path] = {}
    for folder in sorted(_search(root, _DEPTH), key=lambda folder: (str(folder) != os.path.realpath(folder), folder)):
        by_place.setdefault(os.path.realpath(folder), folder)
    found = sorted(by_place.values())
    names = Counter(folder.name for folder in found)
    return {folder.name if names[folder.name] == 1 else folder.relative_to(root).as_posix(): folder for folder in found}


def _search(folder: Path, depth: int) -> Iterator[Path]:
    children = {child.name.lower(): child for child in list_folders(folder)}
    if "train" in children and (
        "test" in children or any(is_nominal_name(kind.name) for kind in list_folders(children["train"]))
    ):
        yield folder
    elif depth > 0:
        for child in children.values():
            yield from _search(child, depth - 1)


def _first_word(name: str) -> str:
    match = _WORD.match(name.lower())
    return match[0] if match else ""


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


def _taken_as_nominal(category: Path, kinds: Iterable[Path]) -> tuple[Caution, ...]:
    names: dict[bool, list[str]] = {True: [], False: []}
    for kind in kinds:
        if _first_word(kind.name) in _NOMINAL_WORDS and kind.name.lower() != NOMINAL:
            names[is_nominal_name(kind.name)].append(kind.relative_to(category).as_posix())
    said = [
        f"{', '.join(names[nominal])}: taken as {'nominal' if nominal else 'defective'} because of the folder's name"
        for nominal in (True, False)
        if names[nominal]
    ]
    mend = "if that is wrong, rename it, or name the folders with --nominal and --anomalous"
    return (Caution("RL211", f"{'; '.join([*said, mend])}."),) if said else ()


def _masks(category: Path, kinds: dict[Path, Paired]) -> tuple[dict[Path, Path], list[Path]]:
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
            if kind.name == mask_kind.name and (_split(kind) == "test" or not is_nominal_name(kind.name))
        ]
        for kind in own_kinds:
            without = {key_of(path, kind): path for path in kinds[kind].pictures if path not in masks}
            found, left = match_masks(without, [(key_of(path, mask_kind), path) for path in left])
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
