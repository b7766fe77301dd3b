"""How scores are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from raylab2f.options.declaration import Option

__all__ = ["AsEvaluated", "Evaluation", "JsonOption", "MuteOption", "PrevalenceOption", "ReplicatesOption"]

_PANEL = "Evaluation"
_OBJECT_SCORE = "A part's score from its pictures': max, mean, topk-mean:K or quantile:Q."
_COST_ESCAPE = "Cost of a defective part accepted."
_COST_OVERKILL = "Cost of a good part rejected."
_COST_REVIEW = "Cost of a part that a person looks at (review-cost, two-sided)."
_BETA = "Of F-beta."
_CONFIDENCE = "Of all intervals."
_SAME = "as the runs were evaluated"
_REVIEW = 0.25
_RULES = ("object_score", "cost_escape", "cost_overkill", "cost_review", "prevalence", "beta", "confidence")

PrevalenceOption = Annotated[float | None, Option("The factory's share of defective parts.", panel=_PANEL)]
ReplicatesOption = Annotated[int, Option("Of the bootstrap.", minimum=1, maximum=1_000_000, panel=_PANEL)]
MuteOption = Annotated[
    tuple[str, ...],
    Option("Code of a pitfall, such as RL203, whose warnings are kept apart from those that are shown; repeatable."),
]
JsonOption = Annotated[bool, Option("Print JSON instead of tables.", name="json", passing=True)]


@dataclass(frozen=True)
class Evaluation:
    """How scores are judged."""

    threshold: Annotated[
        tuple[str, ...],
        Option(
            "Threshold strategy, such as youden, cost, target-recall:0.95, guaranteed-recall, two-sided; repeatable.",
            panel=_PANEL,
        ),
    ] = ("youden",)
    object_score: Annotated[str, Option(_OBJECT_SCORE, panel=_PANEL)] = "max"
    cost_escape: Annotated[float, Option(_COST_ESCAPE, panel=_PANEL)] = 10.0
    cost_overkill: Annotated[float, Option(_COST_OVERKILL, panel=_PANEL)] = 1.0
    cost_review: Annotated[float, Option(_COST_REVIEW, panel=_PANEL)] = _REVIEW
    prevalence: PrevalenceOption = None
    beta: Annotated[float, Option(_BETA, panel=_PANEL)] = 2.0
    confidence: Annotated[float, Option(_CONFIDENCE, panel=_PANEL)] = 0.95
    interval: Annotated[str, Option("Method of the interval that is shown.", panel=_PANEL)] = "object-bootstrap"
    replicates: ReplicatesOption = 10_000
    by: Annotated[
        tuple[str, ...],
        Option(
            "Break recall and overkill rate down by condition or view; repeatable.",
            usual="condition, where the pictures have any",
            panel=_PANEL,
        ),
    ] = ()
    probabilities: Annotated[
        str | None,
        Option("Turn scores into probabilities of being defective: isotonic or venn-abers.", panel=_PANEL),
    ] = None

    def rules(self) -> dict[str, Any]:
        """As keyword arguments of `raylab2f.evaluation.evaluate`."""
        return {
            "strategies": list(self.threshold),
            "object_score": self.object_score,
            "cost_escape": self.cost_escape,
            "cost_overkill": self.cost_overkill,
            "prevalence": self.prevalence,
            "beta": self.beta,
            "confidence": self.confidence,
            "interval": self.interval,
            "replicates": self.replicates,
            # Left out where they are not given: runs of before know nothing of them.
            **({"cost_review": self.cost_review} if self.cost_review != _REVIEW else {}),
            **({"by": list(self.by)} if self.by else {}),
            **({"probabilities": self.probabilities} if self.probabilities is not None else {}),
        }


@dataclass(frozen=True)
class AsEvaluated:
    """How runs that were evaluated already are judged: `None`, and no strategy, means as they were."""

    threshold: Annotated[tuple[str, ...], Option("Threshold strategy; repeatable.", usual=_SAME)] = ()
    object_score: Annotated[str | None, Option(_OBJECT_SCORE, usual=_SAME)] = None
    cost_escape: Annotated[float | None, Option(_COST_ESCAPE)] = None
    cost_overkill: Annotated[float | None, Option(_COST_OVERKILL)] = None
    cost_review: Annotated[float | None, Option(_COST_REVIEW)] = None
    prevalence: PrevalenceOption = None
    beta: Annotated[float | None, Option(_BETA)] = None
    confidence: Annotated[float | None, Option(_CONFIDENCE)] = None

    def given(self) -> dict[str, Any]:
        """As `raylab2f.evaluation.comparison.run_scores.agreed_settings` takes them."""
        return {"strategies": list(self.threshold) or None} | {name: getattr(self, name) for name in _RULES}
