"""Pictures with their masks beside them in one folder, where the mask alone says whether there is a defect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from raylab2f.datasets.discovery import list_pictures
from raylab2f.datasets.entries import Entry

__all__ = ["holds_masks", "judged_by_masks"]


def judged_by_masks(
    base: Path,
    folder: Path,
    mask_suffix: str,
    complete: Callable[[Path], Entry],
    ignored: Callable[[Path], bool] = lambda path: False,
) -> tuple[list[Entry], list[tuple[str, str]]]:
    """Pictures of a folder whose labels are left to their masks.

    Arguments:
        base: folder where image ids start.
        folder: what is listed; not the folders in it.
        mask_suffix: what the mask's stem adds to that of its picture, in any case.
        complete: the entry of a picture, without its mask.
        ignored: files that are neither.

    Returns:
        The entries, and what has no counterpart as (relative path, what is wrong).
    """
    files = [path for path in list_pictures(folder) if not ignored(path)]
    masks = {path.stem.lower(): path for path in files if _is_mask(path, mask_suffix)}
    entries, strays = [], []
    for path in files:
        if _is_mask(path, mask_suffix):
            continue
        mask = masks.pop(f"{path.stem}{mask_suffix}".lower(), None)
        if mask is None:
            reason = f"there is no mask {path.stem}{mask_suffix} beside it, which would say whether it shows a defect"
            strays.append((path.relative_to(base).as_posix(), reason))
        else:
            entries.append(replace(complete(path), mask_path=str(mask)))
    strays += [(path.relative_to(base).as_posix(), "the mask has no picture of its name") for path in masks.values()]
    return entries, strays


def holds_masks(folder: Path, mask_suffix: str) -> bool:
    """Whether there is a mask by its name."""
    return any(_is_mask(path, mask_suffix) for path in list_pictures(folder))


def _is_mask(path: Path, mask_suffix: str) -> bool:
    return path.stem.lower().endswith(mask_suffix.lower())
