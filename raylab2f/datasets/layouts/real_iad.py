"""Layout `real_iad`: that of Real-IAD, where each part is shown from five sides.

    realiad_<size>/<category>/OK/S<NNNN>/<category>_<NNNN>_OK_C<K>_<time>.jpg
    realiad_<size>/<category>/NG/<defect type>/S<NNNN>/<category>_<NNNN>_NG_<defect type>_C<K>_<time>.jpg, .png
    realiad_jsons/realiad_jsons/<category>.json     (or in realiad_jsons itself)
        {"meta": {"normal_class": "OK", ...}, "train": [...], "test": [...]}, both lists of
        {"image_path": "OK/S0001/...jpg", "mask_path": null, "anomaly_class": "OK", ...}

The list says which pictures are read, how they are split, and whether a picture shows a defect: on some sides of a
defective part nothing is to be seen. The object is the folder of the picture, as the numbers start anew in each folder
above; the view is C<K>. The other lists of the data set (realiad_jsons_sv, realiad_jsons_fuiad_*) are not used.

Reference: Wang, Zhu, Gao, Gan, Zhang, Gu, Qian, Chen, Ma: "Real-IAD: a real-world multi-view dataset for benchmarking
versatile industrial anomaly detection" (CVPR 2024).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raylab2f.datasets.discovery import is_file, is_folder, list_folders, list_pictures
from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions
from raylab2f.datasets.layouts.categories import child, choose, find
from raylab2f.datasets.layouts.listed import place_below
from raylab2f.errors import UserError
from raylab2f.files.strangers import require_regular

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "real_iad (<category>/OK/S<NNNN>/*_C<K>_*.jpg with realiad_jsons/<category>.json)"

_LISTS = "realiad_jsons"
_SPLITS = ("train", "test")
_SAMPLE = re.compile(r"S\d+", re.IGNORECASE)
_VIEW = re.compile(r"_(C\d+)(?=_|$)", re.IGNORECASE)


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a category or holds some."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of one category; image ids start at its folder.

    Raises:
        UserError: there is no category, no such category as asked for, several and none was asked for (sizes count as
            several), or its list is absent or cannot be read.
    """
    category = choose(root, find(root, _fits), options.category, LOOKED_FOR)
    file = _list_file(category)
    content = _content(file)
    normal = str(content["meta"].get("normal_class", "OK"))
    entries = [
        _entry(category, row, split, normal, f"{file}: {split}[{number}]")
        for split in _SPLITS
        for number, row in enumerate(content[split])
    ]
    return Found(category.name, tuple(entries))


def _entry(category: Path, row: Any, split: str, normal: str, where: str) -> Entry:
    if not isinstance(row, dict) or not row.get("image_path") or not row.get("anomaly_class"):
        raise UserError(f"{where} has no image_path or no anomaly_class; download the list anew.")
    path = _place(category, row["image_path"], where)
    kind = str(row["anomaly_class"])
    good = kind == normal
    mask = _place(category, row["mask_path"], where) if row.get("mask_path") else None
    view = _VIEW.search(path.stem)
    return Entry(
        image_id=path.relative_to(category).as_posix(),
        path=str(path),
        label=0 if good else 1,
        defect_type=NOMINAL if good else kind,
        given_split=split,
        object_id=_object(path, view).relative_to(category).as_posix(),
        view=None if view is None else view[1].upper(),
        mask_path=None if mask is None else str(mask),
    )


def _place(category: Path, listed: object, where: str) -> Path:
    """A listed file; its path starts at the category's folder, or at the folder above."""
    return place_below(category, str(listed).removeprefix(f"{category.name}/"), category, where)


def _object(path: Path, view: re.Match[str] | None) -> Path:
    """The folder of a sample; for pictures that were taken out of it, their names up to the view."""
    if _SAMPLE.fullmatch(path.parent.name):
        return path.parent
    return path.with_name(path.stem if view is None else path.stem[: view.start()])


def _list_file(category: Path) -> Path:
    """The category's list: beside the folder with all categories, or above it."""
    file = next(_list_files(category), None)
    if file is None:
        raise UserError(
            f"{category}: its list {_LISTS}/{category.name}.json is neither beside it nor above it, and only that "
            "tells which pictures show a defect; unpack realiad_jsons.zip beside the pictures."
        )
    return file


def _list_files(category: Path) -> Iterator[Path]:
    for above in (category, *category.parents[:3]):
        for lists in (above / _LISTS / _LISTS, above / _LISTS):
            if is_file(lists / f"{category.name}.json"):
                yield lists / f"{category.name}.json"


def _content(file: Path) -> dict[str, Any]:
    try:
        require_regular(file)
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error}).") from error
    shapes = {"meta": dict, "train": list, "test": list}
    filled = {**{key: shape() for key, shape in shapes.items()}, **(content if isinstance(content, dict) else {})}
    if not isinstance(content, dict) or not all(isinstance(filled[key], shape) for key, shape in shapes.items()):
        raise UserError(f"{file}: it is no list of Real-IAD, with train and test; download it anew.")
    return filled


def _fits(folder: Path) -> bool:
    """Whether there are good samples, with a list, or in numbered folders with the side in the pictures' names."""
    good = child(folder, "OK")
    if not is_folder(good):
        return False
    if next(_list_files(folder), None) is not None:
        return True
    first = next((below for below in list_folders(good) if _SAMPLE.fullmatch(below.name)), None)
    return first is not None and any(_VIEW.search(path.stem) for path in list_pictures(first))
