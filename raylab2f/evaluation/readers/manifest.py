"""A manifest beside a file of scores: labels, objects, views of pictures that the scores name in their own way.

Tools name a picture by the path where it lay on their machine, manifests by a path from their own folder. One picture
is meant where one name is the end of the other, folder by folder, after what all names of a table begin with is left
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.readers.reader import forward
from raylab2f.files.cells import clean_text, read_label, shown
from raylab2f.files.columns import select_columns
from raylab2f.files.tables import read_table

__all__ = ["JOINED", "join_manifest"]

#: Columns that a manifest adds to scores; `label` only where the scores have none, and else they must agree.
JOINED = ("label", "object_id", "view", "condition", "repeat", "defect_type", "partition")

_NAMES = ("path", "image_id")
# What manifests call a good picture's type; here only defects have one.
_NO_DEFECT = "good"


def join_manifest(table: pa.Table, manifest: str | Path, where: str) -> pa.Table:
    """Scores with what a manifest says of their pictures.

    Arguments:
        table: with `image_id`.
        manifest: Parquet, CSV or other text with `path` or `image_id`, and columns of `JOINED`.
        where: the scores' file, to begin a sentence with.

    Returns:
        The table; columns that the manifest has are the manifest's.

    Raises:
        UserError: a picture is not in the manifest, could be several there, or two pictures are one; labels contradict.
    """
    if "image_id" not in table.column_names:
        raise UserError(f"{where} does not name its pictures, so no manifest can say more of them.")
    said = read_table(manifest, _NAMES, JOINED, what="manifest")
    said = select_columns(said, (*_NAMES, *JOINED), f"'{manifest}'")
    if not set(_NAMES) & set(said.column_names):
        raise UserError(f"'{manifest}' names no pictures; it needs a column path or image_id.")
    names = [None if name is None else forward(str(name)) for name in table["image_id"].to_pylist()]
    pictures = list(dict.fromkeys(name for name in names if name is not None))
    rows = _match(pictures, said, where, f"'{manifest}'")
    places = [None if name is None else rows[name] for name in names]
    for column in JOINED:
        if column not in said.column_names:
            continue
        cells = [clean_text(cell) for cell in said[column].to_pylist()]
        joined = [None if place is None else cells[place] for place in places]
        if column == "defect_type":
            joined = [None if cell is None or cell.lower() == _NO_DEFECT else cell for cell in joined]
        if column == "label" and column in table.column_names:
            _require_agreement(names, table[column].to_pylist(), joined, where, f"'{manifest}'")
            continue
        if column in table.column_names:
            table = table.drop_columns(column)
        table = table.append_column(column, pa.array(joined, pa.string()))
    return table


def _match(pictures: Sequence[str], said: pa.Table, where: str, manifest: str) -> dict[str, int]:
    """The manifest's row of each picture."""
    # By the more telling name first: an image_id may be anything, a path is where the picture lies.
    attempts = []
    for column in _NAMES:
        if column not in said.column_names:
            continue
        known = [forward(str(name)) if name is not None else "" for name in said[column].to_pylist()]
        rows, lost, several = _match_names(pictures, known)
        if not lost and not several:
            _refuse_two_pictures(rows, where, manifest, known)
            return rows
        attempts.append((lost, several, known))
    lost, several, known = min(attempts, key=lambda attempt: len(attempt[0]))
    if several:
        name, places = next(iter(several.items()))
        listed = " and ".join(f"'{shown(known[place])}'" for place in places[:2])
        raise UserError(
            f"{where}: '{shown(name)}' may be {listed} of {manifest}; name pictures with so many of their folders that "
            "each is one."
        )
    raise UserError(
        f"{where}: {len(lost)} of {len(pictures)} pictures are not in {manifest}, '{shown(lost[0])}' among them; add "
        "them there, or leave them out."
    )


def _match_names(
    pictures: Sequence[str], known: Sequence[str]
) -> tuple[dict[str, int], list[str], dict[str, list[int]]]:
    """Row of each picture; those of none; those of several, with the rows."""
    exact: dict[str, list[int]] = {}
    for row, name in enumerate(known):
        exact.setdefault(name, []).append(row)
    theirs, ours = _folders(known), _folders(pictures)
    wholes: dict[tuple[str, ...], list[int]] = {}
    ends: dict[tuple[str, ...], list[int]] = {}
    for row, parts in enumerate(theirs):
        wholes.setdefault(parts, []).append(row)
        for start in range(len(parts)):
            ends.setdefault(parts[start:], []).append(row)
    rows: dict[str, int] = {}
    lost: list[str] = []
    several: dict[str, list[int]] = {}
    for name, parts in zip(pictures, ours, strict=True):
        found = exact.get(name) or ends.get(parts)
        if not found:
            # The longest of the manifest's names that this one ends with.
            found = next((wholes[parts[s:]] for s in range(1, len(parts)) if parts[s:] in wholes), [])
        if len(found) == 1:
            rows[name] = found[0]
        elif found:
            several[name] = found
        else:
            lost.append(name)
    return rows, lost, several


def _folders(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Each name's folders and its own, without the folders that all begin with."""
    split = [tuple(part for part in name.split("/") if part not in ("", ".")) for name in names]
    common = 0
    filled = [parts for parts in split if parts]
    if len(filled) > 1:
        shortest = min(len(parts) for parts in filled) - 1
        while common < shortest and len({parts[common] for parts in filled}) == 1:
            common += 1
    return [parts[common:] for parts in split]


def _refuse_two_pictures(rows: Mapping[str, int], where: str, manifest: str, known: Sequence[str]) -> None:
    first: dict[int, str] = {}
    for name, row in rows.items():
        if row in first:
            raise UserError(
                f"{where}: '{shown(first[row])}' and '{shown(name)}' are both '{shown(known[row])}' of {manifest}; "
                "list each picture there with so many of its folders that it is one."
            )
        first[row] = name


def _require_agreement(
    names: Sequence[str | None], ours: Sequence[Any], theirs: Sequence[str | None], where: str, manifest: str
) -> None:
    for name, mine, other in zip(names, ours, theirs, strict=True):
        if other is not None and mine is not None and read_label(mine) != read_label(other):
            raise UserError(
                f"{where} says that '{shown(str(name))}' is {shown(str(mine))}, {manifest} that it is {shown(other)}; "
                "mend the one that is wrong."
            )
