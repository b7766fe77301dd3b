"""`raylab2f.pod`: which defects are found, by their size."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pyarrow as pa

from raylab2f.api.evaluation import is_run, score_table
from raylab2f.api.functions import offered
from raylab2f.api.results import Result, html_list, html_table
from raylab2f.files.places import place_of
from raylab2f.options.declaration import Option
from raylab2f.options.detection import Sizes
from raylab2f.options.evaluation import ReplicatesOption
from raylab2f.options.score_files import ScoreFiles

if TYPE_CHECKING:
    from raylab2f.evaluation.detection.outcome import Detection

__all__ = ["DETECTION_SCHEMA", "DetectionResult", "pod"]

DETECTION_SCHEMA = pa.schema(
    [
        ("defect_type", pa.string()),
        ("parts", pa.int64()),
        ("judged", pa.int64()),
        *[(name, pa.float64()) for name in ("found", "smallest", "largest", "a90", "a90_95", "floor", "ceiling")],
        ("why_no_a90", pa.string()),
        ("why_no_a90_95", pa.string()),
    ]
)
_SIZE_FILES = ("manifest.parquet", "pictures.parquet")


@dataclass(frozen=True, repr=False)
class DetectionResult(Result):
    """The probability of detection by size.

    Attributes:
        detection: everything that was found.
        table: one row for all defects and for each type, in `DETECTION_SCHEMA`.
        curve: `size`, `probability`, `low`, `high` of all defects; without rows where there is no curve.
    """

    detection: Detection

    @property
    def table(self) -> pa.Table:
        rows = [{name: vars(row)[name] for name in DETECTION_SCHEMA.names} for row in self.detection.rows]
        return pa.Table.from_pylist(rows, schema=DETECTION_SCHEMA)

    @property
    def curve(self) -> pa.Table:
        return self.detection.rows[0].curve

    def _repr_html_(self) -> str:
        headings = ("defect_type", "parts", "found", "a90", "a90_95")
        rows = [[row[name] for name in headings] for row in self.table.to_pylist()]
        unit = f" in {self.detection.unit}" if self.detection.unit else ""
        warnings = [f"{warning.code}: {warning}" for warning in self.detection.warnings]
        shown = html_table(f"probability of detection, {self.detection.size}{unit}", rows, headings)
        return shown + html_list("Not said", self.detection.sentences()) + html_list("Warnings", warnings)


@offered
def pod(
    scores: Any,
    sizes: Sizes,
    files: ScoreFiles,
    strategy: Annotated[str | None, Option()] = None,
    level: Annotated[Literal["object", "image"], Option()] = "object",
    object_score: Annotated[str | None, Option()] = None,
    replicates: ReplicatesOption = 1000,
    seed: Annotated[int, Option(minimum=0)] = 0,
) -> DetectionResult:
    """Say how large a defect must be to be found, as `raylab2f pod` does.

    Arguments:
        scores: a run's folder, whose defect masks or manifest tell the sizes; or scores as for `raylab2f.evaluate`
            with a column `size`.

    Raises:
        UserError: no sizes, a table or an option that make no sense.

    Example:
        >>> import raylab2f
        >>> size = [1 + part % 40 for part in range(120)]
        >>> found = raylab2f.pod({
        ...     "image_id": [str(part) for part in range(240)], "label": [1] * 120 + [0] * 120,
        ...     "score": [5 + s * 0.4 + part % 7 for part, s in enumerate(size)] + [part % 9 for part in range(120)],
        ...     "size": size + [None] * 120,
        ... }, replicates=50)
        >>> 1 <= found.detection.rows[0].a90 <= found.detection.rows[0].a90_95 <= 40
        True
    """
    from raylab2f.evaluation.detection.probability import probability_of_detection

    pixel = sizes.pixel()
    table, _, as_run, warnings = score_table(scores, files)
    unit, measure = "", "column"
    if isinstance(scores, (str, os.PathLike)) and is_run(place := place_of(os.fspath(scores))):
        from raylab2f.files.mirror import fetch
        from raylab2f.runs.defect_sizes import run_sizes, with_sizes

        fetch(place, _SIZE_FILES)
        found, measure = run_sizes(place, sizes.size, pixel)
        table = with_sizes(table, found)
        unit = "" if measure == "column" else pixel.unit_of(measure)
    if measure == "column":
        sizes.of_column()
    detection = probability_of_detection(
        table,
        strategy=strategy or (as_run.get("strategies") or ["youden"])[0],
        level=level,
        object_score=object_score or as_run.get("object_score", "max"),
        size=measure,
        unit=unit,
        replicates=replicates,
        seed=seed,
    )
    return DetectionResult(replace(detection, warnings=(*warnings, *detection.warnings)))
