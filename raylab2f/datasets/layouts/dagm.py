"""Layout `dagm`: that of the DAGM 2007 competition.

    Class<N>/{Train,Test}/<NNNN>.PNG
    Class<N>/{Train,Test}/Label/<NNNN>_label.PNG     roughly where the defect is; only for defective pictures
    Class<N>/{Train,Test}/Label/Labels.txt           number, 1 for defective, picture, 0, mask; optional

Each archive holds its class in a folder of the same name once more, which makes no difference. Where there is a
Labels.txt it decides the labels, else a picture with a mask is defective. The pictures are computed textures: each is a
part of its own.

Reference: Wieler, Hahn, Hamprecht: "Weakly supervised learning for industrial optical inspection" (DAGM 2007,
doi:10.5281/zenodo.8086136).
"""

from __future__ import annotations

from pathlib import Path

from raylab2f.datasets.discovery import is_folder, list_pictures
from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions
from raylab2f.datasets.layouts.categories import child, choose, find
from raylab2f.datasets.mask_pairing import NO_PICTURE, key_of, match_masks
from raylab2f.errors import UserError

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "dagm (Class<N>/Train with Label/<NNNN>_label.PNG)"

_SPLITS = ("train", "test")
_MASK_SUFFIX = "_label"
_FLAGS = {"0": 0, "1": 1}


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a class or holds some."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of one class; image ids start at its folder.

    Raises:
        UserError: there is no class, no such class as asked for, several and none was asked for, or a Labels.txt cannot
            be read.
    """
    category = choose(root, find(root, _fits), options.category, LOOKED_FOR)
    entries, strays = [], []
    for split in _SPLITS:
        folder = child(category, split)
        label_folder = child(folder, "Label")
        pictures = {key_of(path, folder): path for path in list_pictures(folder)}
        masks, unused = match_masks(
            pictures, [(key_of(path, label_folder), path) for path in list_pictures(label_folder)]
        )
        labels = _labels(label_folder)
        for path in pictures.values():
            image_id = path.relative_to(category).as_posix()
            mask = masks.get(path)
            label = int(mask is not None) if labels is None else labels.get(path.stem.lower())
            if label is None:
                strays.append((image_id, "Label/Labels.txt does not name the picture"))
                continue
            entries.append(
                Entry(
                    image_id=image_id,
                    path=str(path),
                    label=label,
                    defect_type="defect" if label else NOMINAL,
                    given_split=split,
                    object_id=image_id,
                    mask_path=None if mask is None else str(mask),
                )
            )
        strays += [(path.relative_to(category).as_posix(), NO_PICTURE) for path in unused]
    return Found(category.name, tuple(entries), tuple(strays))


def _labels(folder: Path) -> dict[str, int] | None:
    """Labels by the picture's stem in lower case, or None where there is no list."""
    file = _list_of_labels(folder)
    if file is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as UTF-8 text ({error}).") from error
    labels = {}
    for number, line in enumerate(lines, start=1):
        cells = line.split()
        # The first line holds the number of classes alone.
        if len(cells) < 2:
            continue
        if len(cells) < 3 or cells[1] not in _FLAGS:
            raise UserError(f"{file}: line {number} must hold a number, 0 or 1, and the name of a picture.")
        labels[Path(cells[2]).stem.lower()] = _FLAGS[cells[1]]
    return labels


def _fits(folder: Path) -> bool:
    return any(_has_labels(child(folder, split)) for split in _SPLITS)


def _has_labels(folder: Path) -> bool:
    label_folder = child(folder, "Label")
    if not is_folder(label_folder) or not list_pictures(folder):
        return False
    masks = (path for path in list_pictures(label_folder) if path.stem.lower().endswith(_MASK_SUFFIX))
    return _list_of_labels(label_folder) is not None or next(masks, None) is not None


def _list_of_labels(folder: Path) -> Path | None:
    return next((path for path in folder.glob("*") if path.name.lower() == "labels.txt"), None)
