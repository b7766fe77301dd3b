"""Which files below a folder are pictures: each once, however many ways lead to it.

- A picture is known by its suffix (`PICTURE_SUFFIXES`), in upper or lower case.
- Hidden files and folders, and the folders in which tools keep thumbnails, copies and deleted files
  (`LEFT_OUT_FOLDERS`), are left out.
- Links to folders are followed. A picture to which several ways lead is taken where it lies, or, if it lies elsewhere,
  where the first link leads. A link to a folder that holds the link itself or the folder that is searched leads in a
  circle and is not followed.
- A link that leads nowhere is a missing file; a name that is not UTF-8 cannot be written down. Both are told of, not
  passed over.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "LEFT_OUT_FOLDERS",
    "PICTURE_SUFFIXES",
    "UNREAD_SUFFIXES",
    "Tree",
    "is_file",
    "is_folder",
    "is_left_out",
    "list_folders",
    "list_pictures",
    "printable",
    "search",
]

#: Suffixes of files that are read.
PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".jp2"),
    *(".pgm", ".ppm", ".pbm", ".pnm"),
)
#: Suffixes of pictures of kinds that are not read.
UNREAD_SUFFIXES = (
    *(".gif", ".heic", ".heif", ".avif", ".jxl", ".jpe", ".j2k", ".jpx", ".jxr", ".tga", ".dib", ".psd"),
    *(".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".dcm", ".pcx", ".ras"),
)
#: Folders in which tools keep what is not the user's: names in lower case, compared regardless of case. Hidden ones,
#: such as .ipynb_checkpoints and .thumbnails, are left out as all hidden folders are.
LEFT_OUT_FOLDERS = frozenset(
    {
        *("@eadir", "@__thumb", "thumbs", "thumbnails"),  # thumbnails: Synology, QNAP, galleries
        *("__macosx", "__pycache__"),  # archives made on macOS, Python
        *("ipynb_checkpoints", "lost+found", "system volume information"),
        *("$recycle.bin", "recycler", "#recycle", "@recycle", "@recently-snapshot", "#snapshot"),
    }
)

# A dangling link without a suffix may have been a folder of pictures.
_FILE_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}$")


@dataclass
class Tree:
    """What a search found, in no particular order.

    Attributes:
        pictures: real path (without links) by path of every picture.
        broken: (path, reason) of what cannot be read whatever it holds.
        unread: pictures of kinds that are not read.
    """

    pictures: dict[Path, str] = field(default_factory=dict)
    broken: list[tuple[Path, str]] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)


def list_pictures(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Pictures in a folder, or also below it, sorted; what cannot be read is left to `search`. An absent folder holds
    none.
    """
    return sorted(search(folder, recursive=recursive).pictures)


def list_folders(folder: Path) -> list[Path]:
    """Folders in a folder, sorted; links to folders count unless they lead in a circle. An absent folder holds none."""
    real = os.path.realpath(folder)
    try:
        # What a directory tells of its entries saves a look at each.
        with os.scandir(folder) as items:
            return sorted(
                folder / item.name
                for item in items
                if not is_left_out(item.name)
                and item.is_dir()
                and not (item.is_symlink() and _is_below(real, os.path.realpath(item.path)))
            )
    except OSError:
        return []


def is_folder(path: Path) -> bool:
    """Whether there is a folder, as far as one may see; `Path.is_dir` raises where permissions forbid a look."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Likewise for a file."""
    return os.path.isfile(path)  # noqa: PTH113


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is left out by rule."""
    return name.startswith(".") or name.lower() in LEFT_OUT_FOLDERS


def printable(name: str) -> str:
    """A name in one line of UTF-8: what cannot be printed is written as its code."""
    return name if name.isprintable() else "".join(c if c.isprintable() else _code(c) for c in name)


def search(root: Path, *, recursive: bool = True) -> Tree:
    """All picture files in a folder, or also below it."""
    tree = Tree()
    real_root = os.path.realpath(root)
    seen: set[str] = set()
    linked_files: list[Path] = []
    # Links wait until all that lies here without them is known.
    folders, linked_folders = deque([root]), deque[Path]()
    while folders or linked_folders:
        folder = folders.popleft() if folders else linked_folders.popleft()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        for item in _scan(folder, tree):
            path = folder / item.name
            if is_left_out(item.name):
                continue
            if item.is_symlink():
                target = os.path.realpath(path)
                if _leads_nowhere(path, tree):
                    continue
                if not is_folder(path):
                    linked_files.append(path)
                elif recursive and not _is_below(real, target) and not _is_below(real_root, target):
                    linked_folders.append(path)
            elif item.is_dir():
                if recursive:
                    folders.append(path)
            elif item.is_file():
                _add(tree, path, f"{real.rstrip(os.sep)}{os.sep}{item.name}")
            elif path.suffix.lower() in PICTURE_SUFFIXES:
                tree.broken.append((path, "it is no file but a pipe, a socket or a device"))
    taken = set(tree.pictures.values())
    for path in sorted(linked_files):
        target = os.path.realpath(path)
        if target not in taken and is_file(path):
            taken.add(target)
            _add(tree, path, target)
    return tree


def _code(character: str) -> str:
    # Python holds bytes of a file's name that are not UTF-8 as these characters.
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _scan(folder: Path, tree: Tree) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as items:
            yield from sorted(items, key=lambda item: item.name)
    except OSError as error:
        tree.broken.append((folder, f"the folder cannot be opened ({error.strerror})"))


def _leads_nowhere(link: Path, tree: Tree) -> bool:
    try:
        link.stat()
    except OSError as error:
        if link.suffix.lower() in PICTURE_SUFFIXES or not _FILE_SUFFIX.search(link.name):
            tree.broken.append(
                (
                    link,
                    f"the file does not exist (a link to {printable(str(link.readlink()))})"
                    if isinstance(error, FileNotFoundError)
                    else f"the link cannot be followed ({error.strerror})",
                )
            )
        return True
    return False


def _add(tree: Tree, path: Path, real: str) -> None:
    suffix = path.suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        tree.unread.append(path)
    elif suffix in PICTURE_SUFFIXES:
        if _is_utf8(str(path)):
            tree.pictures[path] = real
        else:
            tree.broken.append((path, "the file's name is not UTF-8; rename it"))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_below(path: str, folder: str) -> bool:
    """Whether a real path is the folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
