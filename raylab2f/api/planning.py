"""`raylab2f.plan_samples`: how many parts an evaluation needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raylab2f.api.comparison import read_run_at
from raylab2f.api.functions import offered
from raylab2f.api.results import Result, html_list, html_table
from raylab2f.errors import UserError
from raylab2f.options.planning import Clusters, Curve, Guarantee, Widths

if TYPE_CHECKING:
    from raylab2f.evaluation.comparison.run_scores import RunScores

__all__ = ["SamplePlan", "plan_samples"]

HALF_WIDTH_SCHEMA = pa.schema(
    [
        ("rate", pa.string()),
        ("expected", pa.float64()),
        ("objects", pa.int64()),
        ("objects_by_picture", pa.int64()),
        ("pictures", pa.float64()),
        ("correlation", pa.float64()),
        ("design_effect", pa.float64()),
    ]
)
CURVE_SCHEMA = pa.schema(
    [
        ("run", pa.string()),
        ("fraction", pa.float64()),
        ("pictures", pa.float64()),
        ("strategy", pa.string()),
        ("level", pa.string()),
        ("metric", pa.string()),
        ("mean", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)


@dataclass(frozen=True, repr=False)
class SamplePlan(Result):
    """How many parts are needed.

    Attributes:
        values: the whole plan, as `plan-samples --json` prints it; `good_pictures_train`: those of defective parts
            train in the run, so that a third of the parts, not half, choose thresholds.
        half_width: in `HALF_WIDTH_SCHEMA`: of each rate, how many parts of its class give the interval its width.
        guarantee: defective parts for the guarantee (`fewest`, `useful`, `misses`); `None` where it is out of reach.
        learning_curve: in `CURVE_SCHEMA`; empty without runs.
    """

    values: dict[str, Any]

    @property
    def half_width(self) -> pa.Table:
        return pa.Table.from_pylist(self.values["half_width"], schema=HALF_WIDTH_SCHEMA)

    @property
    def guarantee(self) -> dict[str, int] | None:
        return self.values["guarantee"]

    @property
    def learning_curve(self) -> pa.Table:
        points = [
            point | {end: (point["interval"] or {}).get(end) for end in ("low", "high")}
            for point in self.values["learning_curve"]
        ]
        return pa.Table.from_pylist(points, schema=CURVE_SCHEMA)

    @property
    def table(self) -> pa.Table:
        return self.half_width

    def _repr_html_(self) -> str:
        shown = [
            html_table(
                "parts to judge",
                [list(row.values()) for row in self.half_width.to_pylist()],
                self.half_width.column_names,
            )
        ]
        if self.guarantee is None:
            shown.append(html_list("No guarantee can be planned.", [self.values["guarantee_out_of_reach"]]))
        else:
            shown.append(
                html_table("defective parts for the guarantee", [list(self.guarantee.values())], list(self.guarantee))
            )
        if curve := self.learning_curve.to_pylist():
            shown.append(html_table("learning curve", [list(row.values()) for row in curve], CURVE_SCHEMA.names))
        return "".join(shown)


@offered
def plan_samples(widths: Widths, guarantee: Guarantee, clusters: Clusters, curve: Curve) -> SamplePlan:
    """Say how many defective and good parts are needed before they are photographed, as `raylab2f plan-samples` does.

    Raises:
        UserError: an option that makes no sense, or a run that cannot be read.

    Example:
        >>> import raylab2f
        >>> raylab2f.plan_samples(half_width=0.1, recall=0.9).half_width["objects"].to_pylist()
        [44, 29]
    """
    from raylab2f.evaluation.comparison.planning import OutOfReachError, objects_for_half_width, plan_guarantee

    run = None if clusters.run is None else read_run_at(clusters.run)
    found = _clusters(clusters, run)
    rows = []
    for anomalous, rate, what in ((True, widths.recall, "recall"), (False, widths.specificity, "specificity")):
        options: dict[str, Any] = {"method": widths.method, "confidence": widths.confidence}
        row = {"rate": what, "expected": rate, "objects": objects_for_half_width(rate, widths.half_width, **options)}
        if found is not None:
            options |= {name: found[anomalous][name] for name in ("pictures", "correlation")}
            row |= {"objects_by_picture": objects_for_half_width(rate, widths.half_width, **options)}
            row |= found[anomalous]
        rows.append(row)
    planned, reason = None, None
    try:
        # Rounded, for 1 - 0.9 is a little less than 0.1.
        planned = plan_guarantee(guarantee.alpha, guarantee.delta, round(1 - widths.recall, 12), guarantee.power)
    except OutOfReachError as error:
        reason = str(error)
    settings = {name: getattr(widths, name) for name in ("half_width", "method", "confidence")}
    return SamplePlan(
        {
            "version": 1,
            "settings": settings | asdict(guarantee),
            "half_width": rows,
            "guarantee": None if planned is None else asdict(planned),
            "guarantee_out_of_reach": reason,
            "good_pictures_train": run is not None and run.good_pictures_train,
            "learning_curve": _learning_curve(curve),
        }
    )


def _clusters(given: Clusters, run: RunScores | None) -> dict[bool, dict[str, float]] | None:
    """Pictures of a part, correlation and design effect of each class; `None` where nothing is said about them."""
    from raylab2f.evaluation.comparison.planning import design_effect, estimate_clustering

    pictures, icc = given.pictures, given.icc
    if run is None:
        if pictures is None and icc is None:
            return None
        if pictures is None or icc is None:
            raise UserError("Give both --pictures and --icc, or --run with a run that both are estimated from.")
    found = estimate_clustering(run.scores) if run is not None else None
    clusters = {}
    for anomalous, word in ((True, "defective"), (False, "good")):
        size = pictures if found is None or pictures is not None else found[anomalous].pictures
        correlation = icc if found is None or icc is not None else found[anomalous].correlation
        if correlation is None:
            if size != 1:
                raise UserError(
                    f"--run {given.run}: all pictures of {word} parts are judged alike, which says nothing about how "
                    "much pictures of one part agree; give --icc (1 is safe)."
                )
            correlation = 1.0
        assert size is not None
        effect = design_effect(size, correlation)
        clusters[anomalous] = {"pictures": size, "correlation": correlation, "design_effect": effect}
    return clusters


def _learning_curve(given: Curve) -> list[dict[str, Any]]:
    if not given.curve:
        if given.metric or given.level != Curve.level:
            raise UserError("--metric and --level are of the learning curve; give --curve too, or leave them out.")
        return []
    from raylab2f.evaluation.comparison.learning_curve import learning_curve

    runs = [read_run_at(place) for place in given.curve]
    points = learning_curve(runs, metrics=given.metric or None, level=given.level)
    return [asdict(point) for point in points]
