"""From what a model says of the pictures of a part to what is done with the part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from raylab2f.models.judging import Judge, Opinion
from raylab2f.models.record import Verdict

__all__ = ["PartVerdict", "decide_part"]


@dataclass(frozen=True)
class PartVerdict:
    """What is done with a part.

    Arguments:
        verdict: what is unfamiliar or incomplete, and would be accepted, is for review.
        score: of the part; `None`: none of its pictures could be read.
        margin: score minus the threshold; below 0 the part is not rejected.
        scores: of each picture that was looked at, by itself.
    """

    verdict: Verdict
    score: float | None
    margin: float | None
    scores: tuple[float, ...]


def decide_part(
    judge: Judge, opinions: Sequence[Opinion], *, unfamiliar: Literal["review", "ignore"], unreadable: int = 0
) -> PartVerdict:
    """Decide a part.

    Arguments:
        opinions: of its pictures that could be read.
        unfamiliar: `review`: a part with an unfamiliar picture is not accepted.
        unreadable: so many of its pictures could not be read.
    """
    decision = judge.record.decision
    own = tuple(judge.joint_score(opinion.scores) for opinion in opinions)
    if not own:
        return PartVerdict("review", None, None, ())
    # Where pictures are decided one by one, a part is as bad as the worst of them.
    joint = judge.joint_score(np.concatenate([opinion.scores for opinion in opinions]))
    score = max(own) if decision.level == "image" else joint
    verdict = decision.verdict(score)
    strange = unfamiliar == "review" and any(opinion.unfamiliar for opinion in opinions)
    if verdict == "accept" and (strange or unreadable):
        verdict = "review"
    return PartVerdict(verdict, score, score - decision.threshold, own)
