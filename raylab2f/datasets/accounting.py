"""Every picture file below the folder that a layout read is used, left out by a rule, or named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raylab2f.datasets.discovery import is_folder, printable, search
from raylab2f.datasets.entries import Entry, Found, first_few
from raylab2f.errors import UserError
from raylab2f.pitfalls import Caution

__all__ = ["account_for"]

_NAMED = 5


def account_for(root: Path, layout: str, found: Found, *, one_category: bool) -> Found:
    """What a layout found, with what it did not.

    - A picture to which several ways lead (links) counts once, where it lies without links.
    - Files in the layout's folders that cannot be opened whatever they hold become strays.
    - One warning (RL205) has the number and the first few paths of all other picture files that are used neither as
      picture nor as mask, and what the layout leaves out by a rule.

    Arguments:
        root: the folder that was read, absolute.
        layout: its name, for the warning.
        one_category: the user chose one of several, so that nothing is said of files outside of it.

    Raises:
        UserError: one picture is both nominal and anomalous because links lead to it.
    """
    base = _start_of_ids(root, found.entries)
    top = base if one_category else root
    tree = search(top)
    places = {str(path): real for path, real in tree.pictures.items()}
    entries = _once(found.entries, places)
    used = {real for entry in found.entries for real in _files_of(entry, places)}
    unused = [path for path, real in tree.pictures.items() if real not in used] + tree.unread
    strays = list(found.strays)
    folders = found.folders or (base,)
    for path, reason in tree.broken:
        if any(path.is_relative_to(folder) for folder in folders):
            strays.append((printable(path.relative_to(base).as_posix()), reason))
        else:
            unused.append(path)
    told = {base / name for name, _ in found.strays}
    ruled_out = {base / name for name, _ in found.left_out}
    unexplained, left_out = [], 0
    for path in unused:
        if path in ruled_out or not ruled_out.isdisjoint(path.parents):
            left_out += 1
        elif path not in told:
            unexplained.append(path.relative_to(top).as_posix())
    warnings = [*found.warnings, *_warning(layout, sorted(unexplained), left_out, found.left_out)]
    return replace(found, entries=tuple(entries), strays=tuple(strays), warnings=tuple(warnings))


def _warning(
    layout: str, unexplained: Sequence[str], left_out: int, rules: Sequence[tuple[str, str]]
) -> Iterator[Caution]:
    said = []
    if unexplained:
        said.append(
            f"{len(unexplained)} picture files are used neither as picture nor as mask: "
            f"{first_few(unexplained, _NAMED)}. Layout {layout} has no place for them, or their kind cannot be read; "
            "if they belong to the data set, move or convert them, name their folders, or list them in a manifest."
        )
    if left_out:
        reasons = first_few([f"{name}: {reason}" for name, reason in rules], _NAMED)
        said.append(f"Layout {layout} leaves out {left_out} picture files by its rules ({reasons}).")
    if said:
        yield Caution("RL205", " ".join(said))


def _start_of_ids(root: Path, entries: Sequence[Entry]) -> Path:
    """The folder that image ids are relative to."""
    for entry in entries[:1]:
        folder = entry.path.removesuffix(f"/{entry.image_id}")
        if folder != entry.path and Path(folder).is_relative_to(root):
            return Path(folder)
    return root


def _once(entries: Iterable[Entry], places: Mapping[str, str]) -> list[Entry]:
    kept: dict[str, Entry] = {}
    for entry in entries:
        real = _real(entry.path, places)
        other = kept.get(real)
        if other is not None and other.label != entry.label:
            raise UserError(
                f"{first_few([other.path])} and {first_few([entry.path])} are one picture, which would be both nominal "
                "and anomalous; remove the link."
            )
        # Where several links lead to a picture that lies elsewhere, the first counts.
        if other is None or (entry.path == real and other.path != real):
            kept[real] = entry
    return list(kept.values())


def _files_of(entry: Entry, places: Mapping[str, str]) -> Iterator[str]:
    yield _real(entry.path, places)
    for path in (entry.mask_path, entry.foreground_path):
        if path is not None and path not in places and is_folder(Path(path)):
            yield from search(Path(path)).pictures.values()
        elif path is not None:
            yield _real(path, places)


def _real(path: str, places: Mapping[str, str]) -> str:
    return places.get(path) or os.path.realpath(path)
