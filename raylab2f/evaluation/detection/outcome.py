"""What `pod` finds: for all defects, and for each type, the curve and the sizes that it gives, or why it gives none.

The shape of `Detection.to_dict()` is documented in docs/pod.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raylab2f.pitfalls import Caution

__all__ = ["CURVE_SCHEMA", "DETECTION_VERSION", "Detection", "DetectionRow", "curve_table"]

DETECTION_VERSION = 1

#: The curve: probability of detection at a size, with one-sided bounds of 95 % each.
CURVE_SCHEMA = pa.schema([(name, pa.float64()) for name in ("size", "probability", "low", "high")])


@dataclass(frozen=True)
class DetectionRow:
    """Defects of one type, or all.

    Arguments:
        defect_type: `None`: all.
        parts: how many different defective parts of known size were judged.
        judged: how many parts or, at image level, pictures that is.
        found: mean share of them that is found, every part counting once.
        smallest, largest: sizes observed.
        a90: size found with a probability of 90 %.
        a90_95: size of which, with a confidence of 95 %, at least 90 % are found.
        why_no_a90, why_no_a90_95: one sentence where there is none.
        floor, ceiling: what the curve tends to for small and large sizes.
        effect: by how much the bootstrap says that hits vary more than those of independent parts would; at least 1.
        curve: in `CURVE_SCHEMA`, from the smallest to the largest size; without rows where there is none.
    """

    defect_type: str | None
    parts: int
    judged: int
    found: float
    smallest: float
    largest: float
    a90: float | None = None
    a90_95: float | None = None
    why_no_a90: str | None = None
    why_no_a90_95: str | None = None
    floor: float | None = None
    ceiling: float | None = None
    effect: float | None = None
    curve: pa.Table = field(default_factory=CURVE_SCHEMA.empty_table)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the curve as columns."""
        return {**vars(self), "curve": self.curve.to_pydict()}


@dataclass(frozen=True)
class Detection:
    """Outcome of `pod`.

    Arguments:
        rows: all defects, then each type where there are several.
        size: what sizes are: `area`, `extent` or `column`.
        unit: of the sizes; empty where a column does not say.
        level: `object` or `image`.
        settings: what else the outcome depends on.
        unsized: defective parts or pictures that were judged, but left out because they have no size.
        warnings: what to know before the figures are trusted.
    """

    rows: tuple[DetectionRow, ...]
    size: str
    unit: str
    level: str
    settings: Mapping[str, Any]
    unsized: int = 0
    warnings: tuple[Caution, ...] = ()

    def sentences(self) -> list[str]:
        """Why there is no a90, or no a90/95, of those rows that have none."""
        found = []
        for row in self.rows:
            of_type = "" if row.defect_type is None else f"{row.defect_type}: "
            if row.why_no_a90 is not None:
                found.append(f"{of_type}no a90: {row.why_no_a90}")
            if row.why_no_a90_95 not in (None, row.why_no_a90):
                found.append(f"{of_type}no a90/95: {row.why_no_a90_95}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "version": DETECTION_VERSION,
            "size": self.size,
            "unit": self.unit,
            "level": self.level,
            "rows": [row.to_dict() for row in self.rows],
            "unsized": self.unsized,
            "settings": dict(self.settings),
            "warnings": [warning.to_dict() for warning in self.warnings],
        }


def curve_table(detection: Detection, defect_type: str | None = None) -> pa.Table:
    """The curve as a table in `CURVE_SCHEMA`.

    Arguments:
        defect_type: of one type; `None`: of all defects.

    Returns:
        Without rows where there is no curve; the row's `why_no_a90` says why.

    Raises:
        KeyError: there is no such type.
    """
    for row in detection.rows:
        if row.defect_type == defect_type:
            return row.curve
    raise KeyError(defect_type)
