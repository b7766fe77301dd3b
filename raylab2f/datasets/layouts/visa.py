"""Layout `visa`: that of VisA as it is downloaded.

    split_csv/1cls.csv                             object,split,label,image,mask: the authors' split
    <category>/Data/Images/{Normal,Anomaly}/<NNNN>.JPG
    <category>/Data/Masks/Anomaly/<NNN>.png        where the defect is, as numbers of defect classes
    <category>/image_anno.csv                      image,label,mask: the defect types, optional

Where 1cls.csv is there (beside the category's folder), it says which pictures are read and how they are split; without
it all pictures are, normal ones as training pictures. The lists for training on defects (2cls_*.csv) are not used.
Nothing in the names says which pictures show the same part.

Reference: Zou, Jeong, Pemula, Zhang, Dabeer: "SPot-the-Difference self-supervised pre-training for anomaly detection
and segmentation" (ECCV 2022).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from raylab2f.datasets.discovery import is_file, is_folder, list_pictures
from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions
from raylab2f.datasets.layouts.categories import child, choose, find
from raylab2f.datasets.layouts.listed import place_below
from raylab2f.datasets.mask_pairing import NO_PICTURE, key_of, match_masks
from raylab2f.errors import UserError

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "visa (<category>/Data/Images/Normal and Anomaly)"

_SPLIT_FILE = ("split_csv", "1cls.csv")
_TYPES_FILE = "image_anno.csv"
_LABELS = {"normal": 0, "anomaly": 1}
_SPLITS = ("train", "test")
_UNNAMED = "anomaly"


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a category or holds some."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of one category; image ids start at its folder.

    Raises:
        UserError: there is no category, no such category as asked for, several and none was asked for, or one of the
            lists cannot be read.
    """
    category = choose(root, find(root, _fits), options.category, LOOKED_FOR)
    types = _types(category)
    masks, unused = _masks(category)
    split_file = _split_file(category)
    listed = is_file(split_file)
    entries = _listed(category, split_file, types) if listed else _all(category, masks, types)
    strays = tuple((path.relative_to(category).as_posix(), NO_PICTURE) for path in unused)
    return Found(category.name, tuple(entries), strays)


def _all(category: Path, masks: Mapping[Path, Path], types: Mapping[str, str]) -> list[Entry]:
    """Every picture, by its folder."""
    return [
        _entry(category, path, label, _SPLITS[label], masks.get(path), types)
        for kind, label in _LABELS.items()
        for path in list_pictures(child(_images(category), kind), recursive=True)
    ]


def _listed(category: Path, file: Path, types: Mapping[str, str]) -> list[Entry]:
    """The pictures that the authors' list gives to this category."""
    entries = []
    base = file.parent.parent
    for number, row in enumerate(_rows(file, ("object", "split", "label", "image", "mask")), start=2):
        if row["object"] != category.name:
            continue
        where = f"{file}: line {number}"
        label = _LABELS.get(row["label"].lower())
        split = row["split"].lower()
        if label is None or split not in _SPLITS:
            raise UserError(f"{where} must have the split train or test and the label normal or anomaly.")
        path = place_below(base, row["image"], category, where)
        mask = place_below(base, row["mask"], category, where) if row["mask"] else None
        entries.append(_entry(category, path, label, split, mask, types))
    if not entries:
        raise UserError(f"{file}: it names no pictures of {category.name}; call the folder as it was published.")
    return entries


def _entry(category: Path, path: Path, label: int, split: str, mask: Path | None, types: Mapping[str, str]) -> Entry:
    image_id = path.relative_to(category).as_posix()
    return Entry(
        image_id=image_id,
        path=str(path),
        label=label,
        defect_type=types.get(image_id, _UNNAMED) if label else NOMINAL,
        given_split=split,
        mask_path=None if mask is None else str(mask),
    )


def _types(category: Path) -> dict[str, str]:
    """Defect types by image id, as far as they are told."""
    file = category / _TYPES_FILE
    if not is_file(file):
        return {}
    types = {}
    for row in _rows(file, ("image", "label")):
        # Paths start at the folder above that of the category.
        image_id = row["image"].removeprefix(f"{category.name}/")
        if row["label"] and row["label"].lower() not in ("normal", NOMINAL):
            types[image_id] = row["label"]
    return types


def _rows(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline=""), restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read as UTF-8 CSV ({error}).") from error
    for row in rows[:1]:
        for column in columns:
            if column not in row:
                raise UserError(f"{file}: the column {column} is missing; download the file anew.")
    return [{column: row[column].strip() for column in columns} for row in rows]


def _masks(category: Path) -> tuple[dict[Path, Path], list[Path]]:
    """Mask of each defective picture that has one, and the masks that belong to none."""
    pictures, masks = child(_images(category), "Anomaly"), child(child(child(category, "Data"), "Masks"), "Anomaly")
    return match_masks(
        {key_of(path, pictures): path for path in list_pictures(pictures, recursive=True)},
        [(key_of(path, masks), path) for path in list_pictures(masks, recursive=True)],
    )


def _split_file(category: Path) -> Path:
    """The authors' list, in whatever case its names are written; it may be absent."""
    folder, name = child(category.parent, _SPLIT_FILE[0]), _SPLIT_FILE[1]
    try:
        alike = sorted(path for path in folder.iterdir() if path.name.lower() == name)
    except OSError:
        alike = []
    return alike[0] if alike else folder / name


def _images(category: Path) -> Path:
    return child(child(category, "Data"), "Images")


def _fits(folder: Path) -> bool:
    return is_folder(child(_images(folder), "Normal"))
