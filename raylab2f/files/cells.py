"""What the cells of tables from strangers mean: names, labels, numbers.

Score tables and manifests are read by the same rules, so that a part has one name wherever it is listed.

Example:
    >>> [clean_name(cell) for cell in ("7", 7.0, " 7.0", "007", "NaN")]
    ['7', '7', '7', '007', None]
    >>> [read_label(cell) for cell in ("OK", 0.0, " Defective", "scratched")]
    [False, False, True, None]
    >>> read_numbers(["0,5", "1,25", "2"], "The table")
    [0.5, 1.25, 2.0]
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

from raylab2f.errors import UserError

__all__ = [
    "LABEL_WORDS",
    "clean_name",
    "clean_path",
    "clean_text",
    "is_missing",
    "padded_pairs",
    "read_label",
    "read_numbers",
    "shown",
]

#: Words for nominal and for anomalous, in any case.
LABEL_WORDS = {
    False: ("0", "good", "ok", "normal", "nominal", "pass", "false"),
    True: ("1", "bad", "ng", "ko", "defective", "anomalous", "fail", "true"),
}
_LABELS = {word: label for label, words in LABEL_WORDS.items() for word in words}

# What pandas, numpy, R, SQL and spreadsheets write for a value that is not there.
_MISSING = {
    "", "nan", "+nan", "-nan", "none", "null", "(null)", "\\n", "na", "n/a", "<na>", "nat", "#n/a", "#na", "#n/a n/a",
    "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
}  # fmt: skip
# Around a name, beside what `str.strip` takes away: a byte order mark and spaces without width.
_UNSEEN = "\ufeff\u200b\u200e\u200f\u2060"
_WHOLE = re.compile(r"([+-]?[0-9]+)[.,]0+")
# As spreadsheets show long numbers: different ones may look alike.
_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+")
_EXACT = 2**53
# Names that are their own one spelling, unless they are missing: most are, and millions are quickly looked through.
_ORDINARY = re.compile(r"[0-9A-Za-z_/-]+(?:\.[A-Za-z][0-9A-Za-z]*)?")

_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_PLAIN = re.compile(rf"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+){_EXPONENT}|[+-]?inf(?:inity)?", re.IGNORECASE)
_COMMA = re.compile(rf"[+-]?(?:[0-9]+,[0-9]*|,[0-9]+){_EXPONENT}")
# 1,234 is 1234 in some countries and 1.234 in others.
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_WHOLE_BELOW_1000 = re.compile(r"[+-]?[0-9]{1,3}")


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing: null, NaN, blank, or a word like `nan`, `none`, `null`, `NA` in any case."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and _strip(value).lower() in _MISSING


def clean_text(value: object) -> str | None:
    """A cell as text without spaces around it; `None` where it is missing."""
    return None if is_missing(value) else _strip(str(value))


def clean_path(value: object) -> str | None:
    """A cell as it stands, for a file's name may begin with a space; `None` where it is missing."""
    return None if is_missing(value) else str(value)


def clean_name(value: object) -> str | None:
    """The one spelling of a name: no spaces around it, letters composed, whole numbers without decimals.

    `7`, `7.0` and ` 7` are one name, for pandas writes whole numbers with gaps as decimals. `07` is another: whether
    its zero means anything only its giver knows.

    Returns:
        `None` where the cell is missing.

    Raises:
        ValueError: a number that has lost digits on its way, so that different names may have become one.
    """
    if isinstance(value, str) and _ORDINARY.fullmatch(value):
        return None if value.lower() in _MISSING else value
    if is_missing(value):
        return None
    if isinstance(value, float):
        if not abs(value) < _EXACT:
            raise ValueError(f"{value:g}")
        return str(int(value)) if value.is_integer() else str(value)
    text = unicodedata.normalize("NFC", _strip(str(value)))
    if _ROUNDED.fullmatch(text):
        raise ValueError(text)
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def read_label(value: object) -> bool | None:
    """True for anomalous, False for nominal, `None` for anything that is neither; see `LABEL_WORDS`."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else None
    text = _strip(str(value)).lower()
    whole = _WHOLE.fullmatch(text)
    return _LABELS.get(whole[1] if whole else text)


def read_numbers(cells: Sequence[str | None], where: str) -> list[float | None]:
    """Numbers from the text of one column, with decimal points or, in the whole column, decimal commas.

    Arguments:
        cells: of one column.
        where: the column, to begin a sentence with.

    Returns:
        `None` where the cell is missing.

    Raises:
        UserError: a cell is no number, has separators of thousands, or could be read in two ways.
    """
    texts = [clean_text(cell) for cell in cells]
    with_comma: list[tuple[int, str]] = []
    with_point: tuple[int, str] | None = None
    for row, text in enumerate(texts, start=1):
        if text is None:
            continue
        if _PLAIN.fullmatch(text):
            if with_point is None and "." in text:
                with_point = row, text
        elif _COMMA.fullmatch(text):
            with_comma.append((row, text))
        else:
            raise UserError(
                f"{where} has '{shown(text)}' in row {row}, which is no number; write numbers like 1234.5, without "
                "separators of thousands."
            )
    if with_comma and with_point is not None:
        raise UserError(
            f"{where} has '{shown(with_comma[0][1])}' in row {with_comma[0][0]} and '{shown(with_point[1])}' in row "
            f"{with_point[0]}; write all its numbers with decimal points and without separators of thousands."
        )
    if with_comma and all(_EITHER.fullmatch(text) for _, text in with_comma):
        row, text = with_comma[0]
        raise UserError(
            f"{where} has '{text}' in row {row}, which may mean {text.replace(',', '.')} or {text.replace(',', '')}; "
            "write decimal points, and no separators of thousands."
        )
    pointed = [text for text in texts if text is not None and "." in text]
    others = [text for text in texts if text is not None and "." not in text]
    # 950 and 1.250 in one column: no program writes decimals in this way, and many write thousands so.
    if pointed and others and all(map(_EITHER.fullmatch, pointed)) and all(map(_WHOLE_BELOW_1000.fullmatch, others)):
        first, other = texts.index(pointed[0]) + 1, texts.index(others[0]) + 1
        raise UserError(
            f"{where} has '{pointed[0]}' in row {first} and '{others[0]}' in row {other}, so the point may separate "
            "thousands; write all its numbers with decimals, or none with separators of thousands."
        )
    return [None if text is None else float(text.replace(",", ".")) for text in texts]


def padded_pairs(names: Iterable[str]) -> list[str]:
    """Names that differ from another one only in leading zeros, each as `007 and 7`, sorted."""
    all_names = set(names)
    pairs = [(name, name.lstrip("0") or "0") for name in all_names if name.isdecimal()]
    return sorted(f"{name} and {bare}" for name, bare in pairs if bare != name and bare in all_names)


def shown(text: str, length: int = 60) -> str:
    """A stranger's text for a sentence: its beginning, without what would steer a terminal."""
    text = text if len(text) <= length else text[:length] + "..."
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _strip(text: str) -> str:
    text = text.strip()
    # Spaces may stand on both sides of what is unseen.
    while text and (text[0] in _UNSEEN or text[-1] in _UNSEEN):
        text = text.strip(_UNSEEN).strip()
    return text
