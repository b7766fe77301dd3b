"""What monitoring finds: plain frozen values, and a table by signal and day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

__all__ = ["MONITORING_SCHEMA", "Alarm", "Monitoring", "Signal"]

#: One row a signal and day on which it has values. `units`: parts or days until its end; `units_of_day`: on it.
#: `level`: of the day, the mean rank among the reference and all before (0.5 where nothing has changed, 1 where all are
#: higher), or the rate. `low`, `high`: running confidence sequence of the rate, `reference_low`, `reference_high`: its
#: interval in the reference; null for ranks. `log10_evidence`, `log10_peak`: at the end of the day, and the highest
#: until then. `log10_restarted`: Shiryaev-Roberts statistic, null for rates. `alarm`, `warning`: whether one was raised
#: until the end of that day.
MONITORING_SCHEMA = pa.schema(
    [
        ("signal", pa.string()),
        ("condition", pa.string()),
        ("day", pa.string()),
        ("units", pa.int64()),
        ("units_of_day", pa.int64()),
        ("level", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("reference_low", pa.float64()),
        ("reference_high", pa.float64()),
        ("log10_evidence", pa.float64()),
        ("log10_peak", pa.float64()),
        ("log10_restarted", pa.float64()),
        ("alarm", pa.bool_()),
        ("warning", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Alarm:
    """When a signal passed its bound for the first time.

    Arguments:
        units: how many parts, or days, it had seen, that one included.
        name: of the part, or the day.
        day: ISO date; `None` where the table has no days.
    """

    units: int
    name: str
    day: str | None


@dataclass(frozen=True)
class Signal:
    """One thing that is watched.

    Arguments:
        signal: `score`, `familiarity`, `accept`, `review` or `reject`.
        condition: `None` for all parts.
        alpha: the signal's share of the probability of a false alarm.
        reference_units: parts, or days, of the reference.
        units: of the stream.
        log10_evidence: after the last one.
        log10_peak: highest so far.
        log10_alarm: bound of the evidence.
        log10_warning: bound of the Shiryaev-Roberts statistic; `None` for rates.
        alarm: `None` where the bound was never reached.
        warning: likewise.
        statement: one sentence.
    """

    signal: str
    condition: str | None
    alpha: float
    reference_units: int
    units: int
    log10_evidence: float
    log10_peak: float
    log10_alarm: float
    log10_warning: float | None
    alarm: Alarm | None
    warning: Alarm | None
    statement: str


@dataclass(frozen=True)
class Monitoring:
    """What was found of a stream.

    Arguments:
        signals: in a fixed order, those of all parts first.
        table: see `MONITORING_SCHEMA`.
        alpha: probability of any false alarm, ever.
        arl: parts, or days, until a false warning, on average at least.
        unit: `part` or `day`.
        parts: how many the stream has.
        reference_parts: how many the reference has, as drawn.
        left_out: rows that could not be used, by table (`reference`, `judged`) and reason.
        notes: sentences on what is not watched, and why.
    """

    signals: tuple[Signal, ...]
    table: pa.Table
    alpha: float
    arl: float
    unit: str
    parts: int
    reference_parts: int
    left_out: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]

    @property
    def alarmed(self) -> bool:
        """Whether any signal has raised its alarm."""
        return any(signal.alarm is not None for signal in self.signals)

    def to_dict(self) -> dict[str, Any]:
        """All but the table, for JSON."""
        return {
            "alpha": self.alpha,
            "arl": self.arl,
            "unit": self.unit,
            "parts": self.parts,
            "reference_parts": self.reference_parts,
            "alarmed": self.alarmed,
            "signals": [asdict(signal) for signal in self.signals],
            "left_out": {name: dict(counts) for name, counts in self.left_out.items()},
            "notes": list(self.notes),
        }
