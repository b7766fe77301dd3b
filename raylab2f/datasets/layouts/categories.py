"""Finding the categories of a data set below the folder that the user named, and choosing one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from raylab2f.datasets.discovery import is_folder, list_folders
from raylab2f.errors import UserError

__all__ = ["child", "choose", "find", "only"]

_DEPTH = 3


def child(folder: Path, name: str) -> Path:
    """The sub-folder of a name, in whatever case it is written; where there is none, the path it would have."""
    exact = folder / name
    if is_folder(exact):
        return exact
    # Thousands of samples may lie here: their names tell enough, without a look at each.
    try:
        with os.scandir(folder) as entries:
            alike = sorted(entry.name for entry in entries if entry.name.lower() == name.lower())
    except OSError:
        return exact
    return next((folder / other for other in alike if is_folder(folder / other)), exact)


def find(root: Path, fits: Callable[[Path], bool], depth: int = _DEPTH) -> dict[str, Path]:
    """Folders with the shape of a category: `root` itself or some below it, never one inside another.

    Arguments:
        fits: whether a folder has the shape.
        depth: how many folders below `root` are looked at.

    Returns:
        The folders by name, or by path relative to `root` where names repeat.
    """
    by_place: dict[str, Path] = {}
    # A folder to which links lead as well counts where it lies.
    for folder in sorted(
        _search(root, fits, depth), key=lambda folder: (str(folder) != os.path.realpath(folder), folder)
    ):
        by_place.setdefault(os.path.realpath(folder), folder)
    found = sorted(by_place.values())
    names = Counter(folder.name for folder in found)
    return {folder.name if names[folder.name] == 1 else folder.relative_to(root).as_posix(): folder for folder in found}


def choose(root: Path, categories: dict[str, Path], wanted: str | None, looked_for: str) -> Path:
    """The folder of the category that the user asked for, or of the only one.

    Arguments:
        looked_for: what a category is recognised by, in words.

    Raises:
        UserError: there is no category, no such category as asked for, or several and none was asked for.
    """
    if not categories:
        raise UserError(f"{root}: there is no {looked_for} here.")
    if wanted is None and len(categories) == 1:
        return next(iter(categories.values()))
    listed = ", ".join(categories)
    if wanted is None:
        raise UserError(f"{root} holds several categories; choose one with --category: {listed}.")
    if wanted not in categories:
        raise UserError(f"--category {wanted}: there is no such category in {root}; there is {listed}.")
    return categories[wanted]


def only(root: Path, found: dict[str, Path], looked_for: str) -> Path:
    """The folder of a data set that has no categories.

    Raises:
        UserError: the data set is not there, or more than once.
    """
    if not found:
        raise UserError(f"{root}: there is no {looked_for} here.")
    if len(found) > 1:
        raise UserError(f"{root} holds the data set more than once; choose {' or '.join(map(str, found.values()))}.")
    return next(iter(found.values()))


def _search(folder: Path, fits: Callable[[Path], bool], depth: int) -> Iterator[Path]:
    if fits(folder):
        yield folder
    elif depth > 0:
        for below in list_folders(folder):
            yield from _search(below, fits, depth - 1)
