"""Layout `mvtec`: that of MVTec AD, shared by MPDD, G-Link, VisA in its MVTec style and many others.

    <category>/train/good/<stem>.png
    <category>/test/good/<stem>.png, <category>/test/<defect type>/<stem>.png
    <category>/ground_truth/<defect type>/<stem>_mask.png   or <stem>.png: where the defect is (optional)
    fg_mask/<category>/<stem>.png                           where the part is, for training pictures (optional)

Reference: Bergmann, Fauser, Sattlegger, Steger: "MVTec AD, a comprehensive real-world dataset for unsupervised anomaly
detection" (CVPR 2019); `fg_mask` as in Yao et al.: "Explicit boundary guided semi-push-pull contrastive learning"
(CVPR 2023), beside the category's folder or inside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions, list_pictures
from raylab2f.errors import UserError

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "mvtec (train/good and test/<defect type>, in the folder or up to three folders below it)"

_DEPTH = 3
_MASK_SUFFIX = "_mask"


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a category or holds some."""
    return bool(_categories(root))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of one category; image ids start at its folder.

    Raises:
        UserError: there is no category, no such category as asked for, or several and none was asked for.
    """
    category = _choose(root, options.category)
    masks = {kind.name: _masks(kind) for kind in _folders(category / "ground_truth")}
    foregrounds = _foregrounds(root, category)
    entries = []
    for split in ("train", "test"):
        for kind in _folders(category / split):
            nominal = _is_good(kind)
            # The folders of nominal masks that some datasets have hold black pictures.
            kind_masks = masks.get(kind.name, {}) if split == "test" else {}
            for path in list_pictures(kind):
                mask = _take_mask(kind_masks, path)
                entries.append(
                    Entry(
                        image_id=path.relative_to(category).as_posix(),
                        path=str(path),
                        label=0 if nominal else 1,
                        defect_type=NOMINAL if nominal else kind.name,
                        given_split=split,
                        mask_path=None if nominal or mask is None else str(mask),
                        foreground_path=foregrounds.get(path.stem) if split == "train" else None,
                    )
                )
    unused = [(mask, "the mask has no picture of its name") for kind in masks.values() for mask in kind.values()]
    unused += [
        (path, f"the picture lies in {split} itself, not in a folder of its defect type")
        for split in ("train", "test")
        for path in list_pictures(category / split)
    ]
    strays = tuple((path.relative_to(category).as_posix(), reason) for path, reason in unused)
    return Found(category.name, tuple(entries), strays)


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
    found = list(_search(root, _DEPTH))
    names = Counter(folder.name for folder in found)
    return {folder.name if names[folder.name] == 1 else folder.relative_to(root).as_posix(): folder for folder in found}


def _search(folder: Path, depth: int) -> Iterator[Path]:
    children = {child.name: child for child in _folders(folder)}
    if "train" in children and ("test" in children or any(_is_good(kind) for kind in _folders(children["train"]))):
        yield folder
    elif depth > 0:
        for child in children.values():
            yield from _search(child, depth - 1)


def _is_good(folder: Path) -> bool:
    return folder.name.lower() == NOMINAL


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _masks(folder: Path) -> dict[str, Path]:
    """Masks by their stem as it stands on disk; two of the same stem cannot both be right."""
    masks: dict[str, Path] = {}
    for path in list_pictures(folder):
        if path.stem in masks:
            raise UserError(f"{path} and {masks[path.stem]} are masks of the same name; remove one of them.")
        masks[path.stem] = path
    return masks


def _take_mask(masks: dict[str, Path], picture: Path) -> Path | None:
    """The picture's mask, removed from `masks` so that what remains has no picture."""
    suffixed = masks.pop(picture.stem + _MASK_SUFFIX, None)
    return suffixed if suffixed is not None else masks.pop(picture.stem, None)


def _foregrounds(root: Path, category: Path) -> dict[str, str]:
    """Foreground masks of training pictures by stem."""
    places = (category / "fg_mask", category.parent / "fg_mask" / category.name, root / "fg_mask" / category.name)
    for place in places:
        pictures = list_pictures(place)
        if pictures:
            return {path.stem: str(path) for path in pictures}
    return {}
