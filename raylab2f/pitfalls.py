"""Every pitfall that a diagnosis or a warning can name has a code, which stays, and a page of that name in the docs.

RL1xx: what `diagnose` looks for. RL2xx: what is odd about the data. RL3xx: what figures rest on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from raylab2f.errors import UserError

__all__ = ["PITFALLS", "Caution", "parse_codes", "split_muted", "unread_cautions"]

#: Title by code.
PITFALLS = {
    "RL101": "Background shortcut",
    "RL102": "Silhouette instead of defect",
    "RL103": "Objects vary too much in place and pose",
    "RL104": "Missing invariance",
    "RL105": "Leakage between training and evaluation",
    "RL106": "Shift between training and evaluation",
    "RL107": "Fragile threshold",
    "RL108": "Likelihood follows complexity",
    "RL109": "Conditions that were never seen",
    "RL201": "Objects are not known",
    "RL202": "Dark 16-bit pictures",
    "RL203": "Defective pictures without a mask",
    "RL204": "Equal files under several objects",
    "RL205": "Picture files left out",
    "RL206": "Unreadable files skipped",
    "RL207": "Masks that contradict labels",
    "RL208": "Masks of several classes",
    "RL209": "Masks turned against their pictures",
    "RL210": "Objects with good and defective pictures",
    "RL211": "Folders taken as nominal",
    "RL212": "Views restricted",
    "RL213": "Foreground masks that cover everything",
    "RL214": "Defects lost by turning",
    "RL215": "Good pictures of defective objects train",
    "RL216": "Masks whose background is doubtful",
    "RL217": "Pictures that look like masks",
    "RL218": "Columns that are not read",
    "RL219": "Fewer good pictures than defective ones",
    "RL220": "Few pictures train",
    "RL221": "Classes that their files tell apart",
    "RL222": "Defects smaller than a patch",
    "RL223": "Defects in tiles that are not seen",
    "RL301": "Folds missing",
    "RL302": "A single fold",
    "RL303": "Few defective objects",
    "RL304": "Few errors seen",
    "RL305": "A level without objects of a class",
    "RL306": "A strategy without a threshold",
    "RL307": "Bootstrap replicates without a value",
    "RL308": "An interval that does not apply",
    "RL309": "Objects on both sides of a split",
    "RL310": "Split by picture",
    "RL311": "Pixel metrics on few masks",
    "RL312": "Scores the wrong way round",
    "RL313": "A fold trained again",
    "RL314": "No better than the nearest neighbour",
    "RL315": "A training that does not learn",
    "RL316": "Scores that depend on the batch",
    "RL318": "One test set without partitions",
}


class Caution(str):
    """What a reader of results must know: a sentence, and the `code` of its pitfall."""

    code: str

    def __new__(cls, code: str, sentence: str) -> Caution:
        """A sentence with a code.

        Arguments:
            code: a key of `PITFALLS`.
            sentence: what was found, with numbers and names, and the mend.

        Raises:
            KeyError: no pitfall has this code.
        """
        if code not in PITFALLS:
            raise KeyError(code)
        made = super().__new__(cls, sentence)
        made.code = code
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]  # of `__new__` here, not of `str`
        return self.code, str(self)

    def to_dict(self) -> dict[str, str]:
        """`code` and `text`, for JSON."""
        return {"code": self.code, "text": str(self)}


_Text = TypeVar("_Text", bound=str)


def unread_cautions(unread: Mapping[str, Sequence[str]]) -> Iterator[Caution]:
    """What is said of columns that may be meant, but are not read (RL218), if there are any.

    Arguments:
        unread: columns by the name of the one that each may be meant as; see `files.columns.unread_columns`.
    """
    for name, alike in unread.items():
        listed = ", ".join(f"'{other if other.isprintable() else ascii(other)}'" for other in alike[:5])
        subject = f"The columns {listed} are" if len(alike) > 1 else f"The column {listed} is"
        one = "one of them" if len(alike) > 1 else "it"
        yield Caution("RL218", f"{subject} not read; rename {one} to {name} if it is that.")


def parse_codes(codes: Iterable[str], option: str = "--mute", *, of_others: bool = False) -> tuple[str, ...]:
    """Codes of pitfalls as the user wrote them, in upper case.

    Arguments:
        of_others: other packages' codes, of which nothing is known but that they do not begin with RL, are taken too.

    Raises:
        UserError: one is not known.
    """
    known = tuple(dict.fromkeys(code.strip().upper() for code in codes))
    for code in known:
        if code not in PITFALLS and (not of_others or code.startswith("RL") or not code):
            raise UserError(f"{option} {code}: no pitfall has this code; they are {', '.join(PITFALLS)}.")
    return known


def split_muted(warnings: Iterable[_Text], mute: Iterable[str]) -> tuple[tuple[_Text, ...], tuple[_Text, ...]]:
    """Warnings that are shown and those whose code is muted."""
    silent, kept = set(mute), tuple(warnings)
    return (
        tuple(warning for warning in kept if getattr(warning, "code", None) not in silent),
        tuple(warning for warning in kept if getattr(warning, "code", None) in silent),
    )
