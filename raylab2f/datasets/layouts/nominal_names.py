"""Which folders hold nominal pictures, told by their names, and what must be said of that."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from raylab2f.datasets.entries import NOMINAL
from raylab2f.pitfalls import Caution

__all__ = ["is_nominal_name", "name_warnings"]

_NOMINAL_WORDS = (NOMINAL, "ok", "normal", "nominal")
# With one of these among its words, a name such as "ok_not" is no nominal one.
_DEFECT_WORD = re.compile(
    r"no|not|non|ng|nok|nio|ko|bad|def|fail\w*|defect\w*|anomal\w*|abnormal\w*|fault\w*|damage\w*|broken|but"
)
_WORD = re.compile(r"[^\W\d_]+")
# Words of names that may be meant as nominal, but are not taken so.
_SOUNDS_NOMINAL = re.compile(
    r"goods?|oks?|okay|normals?|nominals?|pass|passed|clean|perfect|flawless|intact|healthy|negatives?|accepted|io"
    r"|nondefective|faultless|defectless"
)
_NEGATION = ("no", "not", "non", "n", "without", "zero", "un")
_FREE = "free"


def is_nominal_name(name: str) -> bool:
    """Whether a folder of nominal pictures is called so: good, ok, normal, nominal, or with that as its first word."""
    others = _WORD.findall(name.lower())[1:]
    return _first_word(name) in _NOMINAL_WORDS and not any(_DEFECT_WORD.fullmatch(word) for word in others)


def name_warnings(folders: Iterable[tuple[str, str]], published: Collection[str] = (NOMINAL,)) -> tuple[Caution, ...]:
    """Which folders were taken as nominal, and which as defective although they sound nominal (RL211), if any.

    Arguments:
        folders: name of each folder of pictures, with the path that it is called by.
        published: names of nominal folders in lower case, of which nothing needs to be said.
    """
    said: dict[bool, list[str]] = {True: [], False: []}
    for name, place in folders:
        if name.lower() not in published and (is_nominal_name(name) or _may_be_meant_as_nominal(name)):
            said[is_nominal_name(name)].append(place)
    parts = [
        f"{', '.join(said[nominal])}: taken as {'nominal' if nominal else 'defective'} because of the folder's name"
        for nominal in (True, False)
        if said[nominal]
    ]
    mend = "if that is wrong, rename it, or name the folders with --nominal and --anomalous"
    return (Caution("RL211", f"{'; '.join([*parts, mend])}."),) if parts else ()


def _may_be_meant_as_nominal(name: str) -> bool:
    words = _WORD.findall(name.lower())
    if _first_word(name) in _NOMINAL_WORDS or "".join(words) == "io":
        return True
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        negated = before in _NEGATION
        if _SOUNDS_NOMINAL.fullmatch(word) and not negated:
            return True
        if _DEFECT_WORD.fullmatch(word) and word not in _NEGATION and (negated or after == _FREE):
            return True
    return False


def _first_word(name: str) -> str:
    match = _WORD.match(name.lower())
    return match[0] if match else ""
