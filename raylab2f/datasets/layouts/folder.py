"""Layout `folder`: sub-folders that the user names as nominal or anomalous, with pictures at any depth below them.

Nominal pictures are given as training pictures, anomalous ones as test pictures; the defect type is the name of the
folder that the user named. Masks are told by their names (`datasets.mask_pairing`): they lie beside their pictures, in
a sub-folder such as masks, or in such a folder beside the named one, which mirrors it; or what a folder beside it holds
tells that it is one of masks.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raylab2f.datasets.discovery import is_folder, list_folders, list_pictures, printable, search
from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions, first_few
from raylab2f.datasets.mask_contents import find_mask_folders
from raylab2f.datasets.mask_pairing import MASK_FOLDERS, NO_PICTURE, key_of, match_masks, pair_masks, stem_of_picture
from raylab2f.errors import UserError

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "sub-folders of pictures named with --nominal and --anomalous"


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether the user named folders."""
    return bool(options.nominal or options.anomalous)


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of the named folders.

    Raises:
        UserError: one kind of folder is not named, a folder is absent or outside `root`, a picture would be both
            nominal and anomalous, or it cannot be told which file is a picture and which its mask.
    """
    if not (options.nominal and options.anomalous):
        raise UserError(f"{root}: layout folder needs {LOOKED_FOR}, at least one of each.")
    nominal_folders = [_folder(root, "--nominal", name) for name in options.nominal]
    anomalous_folders = [_folder(root, "--anomalous", name) for name in options.anomalous]
    strays: dict[str, str] = {}
    nominal = _entries(root, nominal_folders, 0, strays)
    anomalous = _entries(root, anomalous_folders, 1, strays)
    both = sorted(nominal.keys() & anomalous.keys())
    if both:
        raise UserError(
            f"--nominal and --anomalous overlap: {first_few(both)} would be both; name folders that do not contain "
            "one another."
        )
    folders = [*nominal_folders, *anomalous_folders]
    entries = _with_masks_beside(root, folders, [*nominal.values(), *anomalous.values()])
    entries.sort(key=lambda entry: entry.image_id)
    return Found(root.name, tuple(entries), tuple(strays.items()), folders=tuple(folders))


def _folder(root: Path, option: str, name: str) -> Path:
    folder = Path(os.path.normpath(root / name))
    if not folder.is_relative_to(root):
        folder = folder.resolve()
    if not folder.is_relative_to(root):
        raise UserError(f"{option} {name}: the folder must lie inside {root}.")
    if not is_folder(folder):
        # File systems write accents as one letter or as two, and people see no difference.
        alike = [other for other in list_folders(folder.parent) if _composed(other.name) == _composed(folder.name)]
        if len(alike) != 1:
            there = ", ".join(printable(other.name) for other in list_folders(folder.parent)[:8]) or "none"
            raise UserError(f"{option} {name}: there is no such folder in {root}; beside it there is {there}.")
        folder = alike[0]
    tree = search(folder)
    if not tree.pictures and not tree.broken:
        unread = first_few([path.name for path in tree.unread])
        raise UserError(
            f"{option} {name}: there are no pictures in {folder}"
            + (f" of a kind that is read ({unread}); convert them." if unread else ".")
        )
    return folder


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _entries(root: Path, folders: Sequence[Path], label: int, strays: dict[str, str]) -> dict[str, Entry]:
    entries = {}
    for folder in folders:
        paired = pair_masks(folder, root)
        for path in paired.pictures:
            image_id = path.relative_to(root).as_posix()
            mask = paired.masks.get(path)
            entries[image_id] = Entry(
                image_id=image_id,
                path=str(path),
                label=label,
                # A nominal folder's own name would break the rule that nominal pictures are "good".
                defect_type=_defect_type(folder) if label else NOMINAL,
                given_split="test" if label else "train",
                mask_path=None if mask is None else str(mask),
            )
        strays |= {path.relative_to(root).as_posix(): NO_PICTURE for path in paired.strays}
    return entries


def _defect_type(folder: Path) -> str:
    return folder.name if folder.name != NOMINAL else "defect"


def _with_masks_beside(root: Path, folders: Sequence[Path], entries: list[Entry]) -> list[Entry]:
    """Entries without a mask get theirs from folders of masks that lie beside the named folders, or further up."""
    by_path = {Path(entry.path): entry for entry in entries}
    parents = {parent for folder in folders for parent in folder.parents if parent.is_relative_to(root)}
    for parent in sorted(parents, key=lambda parent: len(parent.parts), reverse=True):
        for masks in list_folders(parent):
            if masks.name.lower() not in MASK_FOLDERS or any(_overlap(masks, folder) for folder in folders):
                continue
            without = {
                key_of(path, parent): path
                for path, entry in by_path.items()
                if entry.mask_path is None and path.is_relative_to(parent)
            }
            files = [(key_of(path, masks), path) for path in list_pictures(masks, recursive=True)]
            found, _ = match_masks(without, files)
            by_path |= {path: replace(by_path[path], mask_path=str(mask)) for path, mask in found.items()}
        by_path |= _with_masks_of_any_name(parent, folders, by_path)
    return list(by_path.values())


def _with_masks_of_any_name(parent: Path, folders: Sequence[Path], by_path: Mapping[Path, Entry]) -> dict[Path, Entry]:
    """Entries whose masks lie in a folder beside that of their pictures, which only what it holds tells to be one."""
    own = {path for path, entry in by_path.items() if entry.mask_path is None and path.parent.parent == parent}
    others = [folder for folder in list_folders(parent) if not any(_overlap(folder, named) for named in folders)]
    files = [path for folder in others if folder.name.lower() not in MASK_FOLDERS for path in list_pictures(folder)]
    homes = find_mask_folders([*sorted(own), *files], stem_of_picture)
    by_place = {key: path for path in own for key in [(path.parent, stem_of_picture(path))]}
    pairs = {by_place.get((homes[mask.parent], stem_of_picture(mask))): mask for mask in files if mask.parent in homes}
    return {path: replace(by_path[path], mask_path=str(mask)) for path, mask in pairs.items() if path is not None}


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
