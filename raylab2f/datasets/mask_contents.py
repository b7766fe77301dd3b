"""Whether a picture file looks like a mask, where names alone do not tell; a few files are looked at, not all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from raylab2f.datasets.decoding import DEEP_MODES

__all__ = ["PLAIN", "few_of", "find_mask_folders", "holds_few_values", "plainness"]

_T = TypeVar("_T")

_LOOKED_AT = 5
# A mask holds nearly nothing but this many values.
_VALUES = 8
#: From this share of its eight commonest values on, a file looks like a mask.
PLAIN = 0.95
# Where more folders than these lie beside one another, they are the folders of objects or sessions.
_MOST_BESIDE = 8


def holds_few_values(path: Path) -> bool | None:
    """Whether nearly all pixels have one of a few values; `None` for a file that cannot be read."""
    try:
        with Image.open(path) as image:
            return plainness(image, 512) >= PLAIN
    except Exception:  # decoders raise nearly anything; the reading of all files says what is wrong with this one
        return None


def plainness(image: Image.Image, size: int = 64) -> float:
    """Share of a decoded image's pixels that have one of the eight commonest values, 0 to 1.

    Arguments:
        image: in any mode; at most `size` rows and columns of it, spread evenly, are looked at.
    """
    if image.mode in DEEP_MODES:
        step = -(-max(image.size) // size)
        values = np.asarray(image)[::step, ::step]
    else:
        if max(image.size) > size:
            scale = size / max(image.size)
            smaller = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(smaller, Image.Resampling.NEAREST)
        values = np.asarray(image.convert("RGBA"))
    colours = values.reshape(-1, 4).copy().view(np.uint32) if values.ndim == 3 else values
    _, counts = np.unique(colours, return_counts=True)
    return float(np.sort(counts)[-_VALUES:].sum() / counts.sum())


def few_of(items: Sequence[_T]) -> list[_T]:
    """Five of them, spread over all."""
    return [items[index] for index in sorted({len(items) * k // _LOOKED_AT for k in range(_LOOKED_AT)})]


def find_mask_folders(files: Iterable[Path], stem_of: Callable[[Path], str]) -> dict[Path, Path]:
    """Folders that hold masks although their names do not say so, with the folder of their pictures.

    That lies beside them, or they lie in it. It has a picture for each of their stems, and of both a few were looked
    at: the ones hold a few values, the others do not. Where several folders could be it, for names restart in each, it
    is the one whose name theirs contains, as dent and dent_seg; if there is no such one, they are left out.

    Arguments:
        files: pictures and masks of any folders.
        stem_of: the stem of the picture that a mask of this path belongs to.
    """
    stems: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in files:
        stems[path.parent][stem_of(path)] = path
    alike: dict[tuple[str, str], list[tuple[Path, Path]]] = defaultdict(list)
    for pictures, masks in _neighbours(stems):
        if stems[masks].keys() <= stems[pictures].keys():
            alike["" if pictures == masks.parent else pictures.name, masks.name].append((pictures, masks))
    found: dict[Path, list[Path]] = defaultdict(list)
    for folders in alike.values():
        pairs = [
            (stems[pictures][stem], mask) for pictures, masks in folders for stem, mask in sorted(stems[masks].items())
        ]
        looks = [(holds_few_values(mask), holds_few_values(picture)) for picture, mask in few_of(pairs)]
        # A mask that cannot be read does not hide what the others are.
        if any(mask for mask, _ in looks) and all(mask is not False and picture is False for mask, picture in looks):
            for pictures, masks in folders:
                found[masks].append(pictures)
    chosen = ((masks, _the_one(masks, candidates)) for masks, candidates in found.items())
    return {masks: pictures for masks, pictures in chosen if pictures is not None}


def _the_one(masks: Path, candidates: Sequence[Path]) -> Path | None:
    if len(candidates) == 1:
        return candidates[0]
    named = [folder for folder in candidates if folder.name.lower() in masks.name.lower()]
    longest = [folder for folder in named if len(folder.name) == max(len(other.name) for other in named)]
    return longest[0] if len(longest) == 1 else None


def _neighbours(folders: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    children: dict[Path, list[Path]] = defaultdict(list)
    for folder in folders:
        children[folder.parent].append(folder)
    for parent, own in children.items():
        if len(own) <= _MOST_BESIDE:
            yield from permutations(own, 2)
            if parent in folders:
                yield from ((parent, folder) for folder in own)
