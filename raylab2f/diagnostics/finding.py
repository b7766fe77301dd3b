"""What a diagnosis says: measures held against documented bounds, and the verdict that follows."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from raylab2f.diagnostics.resampling import CONFIDENCE, Estimate

__all__ = ["CODES", "Bounds", "Finding", "Measure", "Verdict", "conclude", "skipped"]

#: Diagnosis -> code of its pitfall, in `raylab2f.pitfalls.PITFALLS`.
CODES = {
    "background": "RL101",
    "silhouette": "RL102",
    "variance": "RL103",
    "invariance": "RL104",
    "leakage": "RL105",
    "shift": "RL106",
    "threshold": "RL107",
    "likelihood": "RL108",
    "condition": "RL109",
}

Verdict = Literal["pass", "warn", "fail", "skip"]

_SEVERITY: dict[Verdict, int] = {"skip": -1, "pass": 0, "warn": 1, "fail": 2}
# Evidence is stored whole beside the findings; within them the first rows serve as examples.
_EXAMPLES = 20


@dataclass(frozen=True)
class Bounds:
    """Where a measure becomes a warning and where a failure.

    A measure warns beyond `warn`. It fails beyond `fail` if besides its whole interval lies beyond `warn`: bad, and not
    only by the chance of which objects were sampled. Without an interval, for want of objects or folds, it only
    warns.

    Arguments:
        warn: bound of the warning.
        fail: bound of the failure; `None`: this measure only warns.
        lower_is_worse: beyond means below.
        exact: the measure is a count of what the data hold and no estimate, so that it needs no interval to fail.
    """

    warn: float
    fail: float | None
    lower_is_worse: bool = False
    exact: bool = False

    def verdict(self, estimate: Estimate) -> Verdict:
        """Of an estimate; `skip` where there is none."""
        sign = -1 if self.lower_is_worse else 1
        if not math.isfinite(estimate.value):
            return "skip"
        if sign * estimate.value <= sign * self.warn:
            return "pass"
        nearer_end = estimate.high if self.lower_is_worse else estimate.low
        sure = self.exact or (math.isfinite(nearer_end) and sign * nearer_end > sign * self.warn)
        beyond = self.fail is not None and sign * estimate.value > sign * self.fail
        return "fail" if beyond and sure else "warn"

    def __str__(self) -> str:
        side = "below" if self.lower_is_worse else "above"
        if self.fail is None:
            return f"warns {side} {self.warn:g}, never fails"
        text = f"warns {side} {self.warn:g}, fails {side} {self.fail:g}"
        return text if self.exact else f"{text} with its interval {side} {self.warn:g}"


@dataclass(frozen=True)
class Measure:
    """One figure of a diagnosis.

    Arguments:
        name: in kebab-case.
        estimate: value and interval.
        sentence: what was found, a whole sentence.
        bounds: `None`: for information only.
    """

    name: str
    estimate: Estimate
    sentence: str
    bounds: Bounds | None = None

    @property
    def verdict(self) -> Verdict:
        return "pass" if self.bounds is None else self.bounds.verdict(self.estimate)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; what is undefined is `None`."""
        return {
            "name": self.name,
            "value": _finite(self.estimate.value),
            "interval": {
                "confidence": CONFIDENCE,
                "low": _finite(self.estimate.low),
                "high": _finite(self.estimate.high),
            },
            "bound": None if self.bounds is None else str(self.bounds),
            "verdict": self.verdict if self.bounds is not None else None,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Finding:
    """Outcome of one diagnosis.

    Arguments:
        name: of the diagnosis.
        verdict: the worst of its measures'; `skip` when it could not be made.
        figure: the measure that decided; `None` when skipped.
        why: one sentence.
        measures: all of them.
        evidence: table of what the figures rest on, worst rows first.
        seen_on: what a reader must know about what was looked at, one sentence each.
        own_code: of a diagnosis that another package adds: capitals, digits and hyphens, not beginning with RL. With it
            the finding can be muted.
    """

    name: str
    verdict: Verdict
    figure: Measure | None
    why: str
    measures: tuple[Measure, ...] = ()
    evidence: pa.Table = field(default_factory=lambda: pa.table({}))
    seen_on: tuple[str, ...] = ()
    own_code: str | None = None

    @property
    def code(self) -> str | None:
        """Code of the pitfall that was looked for; `None` where a diagnosis of another package has none."""
        return CODES.get(self.name.partition("[")[0], self.own_code)

    @property
    def bound(self) -> str:
        """The bound that decided, in words."""
        if self.figure is None or self.figure.bounds is None:
            return ""
        return f"{self.figure.name} {self.figure.bounds}"

    def measure(self, name: str) -> Measure:
        """The measure of this name; `KeyError` where there is none."""
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise KeyError(name)

    def to_dict(self, mute: Collection[str] = ()) -> dict[str, Any]:
        """JSON-able, with the first rows of the evidence; marked if its code is among those that the user muted."""
        return {
            "name": self.name,
            "code": self.code,
            "muted": self.code in mute,
            "verdict": self.verdict,
            "figure": None if self.figure is None else self.figure.to_dict(),
            "bound": self.bound,
            "why": self.why,
            "measures": [measure.to_dict() for measure in self.measures],
            "evidence": [
                {key: _finite(value) for key, value in row.items()}
                for row in self.evidence.slice(0, _EXAMPLES).to_pylist()
            ],
            "seen_on": list(self.seen_on),
        }


def conclude(
    name: str,
    measures: Sequence[Measure],
    evidence: pa.Table | None = None,
    seen_on: Sequence[str] = (),
    own_code: str | None = None,
) -> Finding:
    """The finding that follows from measures: the first one with the worst verdict decides."""
    judged = [measure for measure in measures if measure.bounds is not None and measure.verdict != "skip"]
    if not judged:
        return skipped(name, "None of its figures could be measured.", seen_on, own_code)
    worst = max(judged, key=lambda measure: _SEVERITY[measure.verdict])
    return Finding(
        name,
        worst.verdict,
        worst,
        worst.sentence,
        tuple(measures),
        evidence if evidence is not None else pa.table({}),
        tuple(seen_on),
        own_code,
    )


def skipped(name: str, why: str, seen_on: Sequence[str] = (), own_code: str | None = None) -> Finding:
    """A diagnosis that could not be made, and why."""
    return Finding(name, "skip", None, why, seen_on=tuple(seen_on), own_code=own_code)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
