"""What `accept` finds: a verdict for every limit and for all together, and on what it rests.

The shape of `Acceptance.to_dict()` is documented in docs/acceptance.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from raylab2f.evaluation.acceptance.agreement import AgreementRow
from raylab2f.evaluation.acceptance.repeats import RepeatAgreement
from raylab2f.evaluation.acceptance.verdict import LimitVerdict, together
from raylab2f.pitfalls import Caution

__all__ = ["ACCEPTANCE_VERSION", "FINISHED", "PROCEDURE", "Acceptance"]

ACCEPTANCE_VERSION = 1
#: Kinds of evidence, which are never mixed.
PROCEDURE, FINISHED = "procedure", "finished model"


@dataclass(frozen=True)
class Acceptance:
    """Outcome of `accept`.

    Arguments:
        evidence: `procedure`: folds of `run-cv`, each with a model and a threshold of its own: what is judged is the
            way of making them. `finished model`: one model with a fixed threshold, on parts that nothing else has seen.
        limits: the verdicts, in the order of the limits.
        agreement: the table of attribute agreement.
        level: that the table is of.
        settings: what the verdict depends on beside scores and limits.
        limits_before: whether the limits were set before the model was trained; `None`: not known.
        warnings: what to know before the verdict is trusted.
        repeats: agreement of a finished model with itself; `None` where no part was seen more than once.
    """

    evidence: str
    limits: tuple[LimitVerdict, ...]
    agreement: tuple[AgreementRow, ...]
    level: str
    settings: Mapping[str, Any]
    limits_before: bool | None = None
    warnings: tuple[Caution, ...] = ()
    repeats: RepeatAgreement | None = None

    @property
    def verdict(self) -> str:
        """`shown`, `refuted` or `not yet shown`, on all limits together."""
        return together([limit.verdict for limit in self.limits])

    def to_dict(self) -> dict[str, Any]:
        """The content of `acceptance.json`: plain values, `None` for what is undefined."""
        return {
            "version": ACCEPTANCE_VERSION,
            "verdict": self.verdict,
            "evidence": self.evidence,
            "limits_before": self.limits_before,
            "limits": [limit.to_dict() for limit in self.limits],
            "agreement": {"level": self.level, "rows": [asdict(row) for row in self.agreement]},
            "repeats": None if self.repeats is None else self.repeats.to_dict(),
            "settings": dict(self.settings),
            "warnings": [warning.to_dict() for warning in self.warnings],
        }
