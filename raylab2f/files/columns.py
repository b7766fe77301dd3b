"""Finding the columns of a table from strangers by their names."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Sequence

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.files.cells import shown

__all__ = ["hint_at_columns", "plain_name", "select_columns", "unread_columns"]

# What other tools call a column, as parts of its plain name.
_ALIKE = {
    "score": ("score", "anomaly", "prob", "distance", "pred", "logit"),
    "image_id": ("image", "img", "file", "path", "picture", "name", "id"),
    "path": ("path", "file", "image", "img", "picture", "name"),
    "label": ("label", "target", "truth", "class", "gt", "ytrue", "anomal", "defect"),
}
# Plain names that columns which may be absent have elsewhere: where nothing reads one of these, it may be a mistake.
_ALIKE_OPTIONAL = {
    "object_id": r"(object|part|sample|specimen|serial|item|component|unit|piece|product|patient|group|bauteil|teil)s?"
    r"(id|no|nr|num|number|name)?",
    "partition": r"split|set|subset|phase|usage|split(name|type)|datasplit",
    "given_split": r"split|set|subset|phase|usage|partition|split(name|type)|datasplit",
    "mask_path": r"(mask|groundtruth|gt|segmentation|annotation)s?(path|file|filename|image)?",
    "foreground_path": r"(foreground|fg)(mask)?(path|file|filename)?",
    "defect_type": r"(defect|anomaly|fault|error)(type|class|kind|name|category)?|type|kind",
    "condition": r"conditions|light(ing)?|illumination|batch|lot|session",
    "view": r"views?id|views|camera(id)?|angle|side|pose",
    "fold": r"folds|fold(id|no|nr|number)|cv(fold)?|kfold",
}
_NUMBER = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+")
_MOST = 20
# Of names that are longer than so many letters, this likeness is a slip of the finger: conditon, objct_id, veiw_id.
_SHORT, _MISSPELT = 3, 0.85


def plain_name(name: str) -> str:
    """A column's name in lower case, letters and digits only: `Image ID` and `image_id` are the same column."""
    return re.sub(r"[\W_]+", "", name.casefold())


def select_columns(table: pa.Table, known: Sequence[str], where: str) -> pa.Table:
    """The known columns that a table has, under their own names; others are left out.

    Arguments:
        table: as read, its names as its giver wrote them.
        known: names of columns that mean something.
        where: the table, to begin a sentence with.

    Raises:
        UserError: a known column is there twice, or two columns could be it.
    """
    places = defaultdict(list)
    for place, name in enumerate(table.column_names):
        places[plain_name(name)].append(place)
    chosen = {}
    for name in known:
        found = places.get(plain_name(name), [])
        spellings = list(dict.fromkeys(table.column_names[place] for place in found))
        if len(spellings) > 1:
            listed = " and ".join(f"'{spelling}'" for spelling in spellings)
            raise UserError(f"{where} has the columns {listed}, which could each be {name}; rename or remove one.")
        if len(found) > 1:
            raise UserError(f"{where} has the column {spellings[0]} {_times(len(found))}; rename or remove one.")
        if found:
            chosen[name] = table.column(found[0])
    return pa.table(chosen) if chosen else table.select([])


def unread_columns(names: Sequence[str], known: Collection[str]) -> dict[str, list[str]]:
    """Columns that nothing reads, by the name of the absent column that each may be meant as.

    Arguments:
        names: of all columns of the table.
        known: names of all columns that mean something.
    """
    plain = {plain_name(name) for name in names}
    free = [name for name in dict.fromkeys(names) if plain_name(name) not in {plain_name(own) for own in known}]
    meant = {
        own: [name for name in free if _may_be(plain_name(name), own)]
        for own in known
        if own in _ALIKE_OPTIONAL and plain_name(own) not in plain
    }
    return {own: alike for own, alike in meant.items() if alike}


def _may_be(plain: str, own: str) -> bool:
    """Whether a plain name is one that others use for a column, or that column's name misspelt."""
    if re.fullmatch(_ALIKE_OPTIONAL[own], plain):
        return True
    return len(plain) > _SHORT and difflib.SequenceMatcher(None, plain, plain_name(own)).ratio() >= _MISSPELT


def hint_at_columns(names: Sequence[str], missing: Collection[str], known: Collection[str]) -> str:
    """What a table that lacks columns has instead, and what to do, to end a sentence with.

    Arguments:
        names: of all columns of the table.
        missing: names of the columns that it lacks.
        known: names of all columns that mean something.
    """
    if not names:
        return "it has none"
    plain = {plain_name(name) for name in known}
    free = [name for name in names if plain_name(name) not in plain]
    listed = ", ".join(shown(name) or "''" for name in names[:_MOST]) + (
        f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    )
    has = f"it has {listed}"
    if any(not name.strip() for name in names):
        has += "; name the column without a name"
    if len(names) == 1 and len(names[0].split()) > 1:
        return f"{has}, so separate the columns by commas, semicolons, tabs or |"
    if len(free) == len(names) and any(_NUMBER.fullmatch(name.strip()) for name in names):
        return f"{has}, so put a line with the names of the columns first"
    mends = []
    for name in missing:
        alike = [other for other in free if any(part in plain_name(other) for part in _ALIKE.get(name, ()))]
        if len(alike) == 1:
            mends.append(f"rename '{shown(alike[0])}' to {name} if it is that")
        elif alike:
            mends.append(f"rename one of {', '.join(map(shown, alike[:5]))} to {name}")
    return "; ".join([has, *mends])


def _times(count: int) -> str:
    return {2: "twice"}.get(count, f"{count} times")
