"""Agreement of a system with itself: the same parts photographed again, and whether they are decided alike.

Attribute agreement analysis asks it of every appraiser ("within appraiser": Automotive Industry Action Group,
"Measurement Systems Analysis", 4th edition, 2010, chapter III, section C), and of automatic testers that each part be
run six times or more. A part that is not decided alike every time lies in the system's grey zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.object_scores import ObjectScore, aggregate_scores
from raylab2f.evaluation.intervals.methods import clopper_pearson_interval
from raylab2f.evaluation.scores import Scores

__all__ = ["ENOUGH_RUNS", "RepeatAgreement", "first_repeats", "refuse_repeats", "repeat_agreement"]

#: As often automatic testers should see a part.
ENOUGH_RUNS = 6
_CONFIDENCE = 0.95
_MOST_PARTS = 20


@dataclass(frozen=True)
class RepeatAgreement:
    """How often a system agrees with itself.

    Arguments:
        parts: that were seen more than once.
        alike: of them, decided alike every time.
        runs: how often a part was seen, at least and at most.
        estimate, low, high: share decided alike, with its exact two-sided 95 % interval.
        grey_zone: lowest and highest score of the parts that were not; `None` where all were.
        grey_parts: those parts, at most 20: `object_id`, `label`, `rejected` and `reviewed` of `runs`, `low` and `high`
            score.
    """

    parts: int
    alike: int
    runs: tuple[int, int]
    estimate: float
    low: float
    high: float
    grey_zone: tuple[float, float] | None
    grey_parts: tuple[Mapping[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def first_repeats(scores: Scores) -> np.ndarray | None:
    """(n,) bool, rows of each part's first repeat, by which alone it is judged; `None` where nothing is repeated.

    A part that was seen six times is one part. Repeats come in the order of their numbers, else of their names.

    Raises:
        UserError: repeats of a part that do not show the same views, which no decision can be compared of.
    """
    repeat = scores.groups.get("repeat")
    if repeat is None or not any(repeat):
        return None
    _refuse_unlike(scores)
    order = {name: place for place, name in enumerate(sorted(set(repeat.tolist()), key=_in_order))}
    place = np.array([order[name] for name in repeat.tolist()])
    first = np.full(len(scores.object_anomalous), len(order))
    np.minimum.at(first, scores.object, place)
    return place == first[scores.object]


def repeat_agreement(scores: Scores, thresholds: tuple[float, float], rule: ObjectScore) -> RepeatAgreement | None:
    """The agreement of one model with itself; `None` where no part was seen more than once.

    Arguments:
        scores: of one model, with `repeat` among its groups.
        thresholds: what scores less than the first is accepted, what scores as high as the second or higher rejected.
        rule: from the scores of a part's pictures of one repeat to its score.
    """
    names, number = np.unique(scores.groups["repeat"], return_inverse=True)
    owner, score = aggregate_scores(scores.score, scores.object * len(names) + number, rule)
    part = owner // len(names)
    parts, start, runs = np.unique(part, return_index=True, return_counts=True)
    accepted, rejected = (
        np.add.reduceat(decided.astype(np.int64), start) for decided in (score < thresholds[0], score >= thresholds[1])
    )
    reviewed = runs - accepted - rejected
    most = np.maximum.reduce([accepted, reviewed, rejected])
    low, high = np.minimum.reduceat(score, start), np.maximum.reduceat(score, start)
    several = runs > 1
    if not several.any():
        return None
    alike = most == runs
    grey = np.flatnonzero(several & ~alike)
    share = float(alike[several].mean())
    ends = clopper_pearson_interval(np.array([share]), int(several.sum()), _CONFIDENCE)
    # Those of which the fewest decisions are the other way come last.
    worst = grey[np.argsort((most - runs)[grey] / runs[grey], kind="stable")]
    return RepeatAgreement(
        parts=int(several.sum()),
        alike=int(alike[several].sum()),
        runs=(int(runs[several].min()), int(runs[several].max())),
        estimate=share,
        low=float(ends[0][0]),
        high=float(ends[1][0]),
        grey_zone=(float(low[grey].min()), float(high[grey].max())) if len(grey) else None,
        grey_parts=tuple(
            {
                "object_id": str(scores.object_names[parts[index]]),
                "label": int(scores.object_anomalous[parts[index]]),
                "rejected": int(rejected[index]),
                "reviewed": int(reviewed[index]),
                "runs": int(runs[index]),
                "low": float(low[index]),
                "high": float(high[index]),
            }
            for index in worst[:_MOST_PARTS]
        ),
    )


def refuse_repeats(owners: Sequence[str], repeats: Sequence[str]) -> None:
    """`UserError` if a part was photographed again: folds would take all times together, as no line does."""
    first: dict[str, str] = {}
    for owner, repeat in zip(owners, repeats, strict=True):
        if first.setdefault(owner, repeat) != repeat:
            raise UserError(
                f"Column repeat: part '{owner}' was photographed again, and folds take all pictures of a part "
                "together; keep one repeat of each part, or judge one finished model with --at."
            )


def _refuse_unlike(scores: Scores) -> None:
    repeats = scores.groups["repeat"]
    views = scores.groups.get("view", np.full(len(repeats), ""))
    seen: dict[int, dict[str, list[str]]] = {}
    for owner, repeat, view in zip(scores.object.tolist(), repeats.tolist(), views.tolist(), strict=True):
        seen.setdefault(owner, {}).setdefault(repeat, []).append(view)
    for owner, runs in seen.items():
        if len(runs) == 1:
            continue
        part = f"Column repeat: part '{scores.object_names[owner]}'"
        if "" in runs:
            raise UserError(f"{part} has it for some of its pictures only; fill it in for all of them.")
        (one, expected), *others = runs.items()
        for another, found in others:
            if sorted(found) != sorted(expected):
                raise UserError(
                    f"{part} does not show the same views in repeat '{one}' and in repeat '{another}'; number the "
                    "pictures of every view alike, and leave out repeats that lack one."
                )


def _in_order(name: str) -> tuple[bool, float, str]:
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name
