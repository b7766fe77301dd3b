"""What the evaluation said of parts, on the scale of one model: what the line is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.carried import FoldScores, anchored_scale
from raylab2f.files.parquet import read_parquet
from raylab2f.models.folder import EVALUATION_SCHEMA
from raylab2f.models.record import Decision
from raylab2f.seeding import numpy_generator
from raylab2f.workflows.evidence import RunEvidence
from raylab2f.workflows.model_thresholds import Member, units_of

__all__ = ["evaluation_table"]

_COLUMNS = ("image_id", "object_id", "label", "condition", "score")


def evaluation_table(
    run: RunEvidence, members: Sequence[Member], decision: Decision, way: str, distances: Mapping[str, float]
) -> pa.Table:
    """One row a picture that some fold did not train on.

    Of a fold's model, that fold's scores. Of an ensemble, the mean of the calibrated scores of the folds that did not
    train on it. Of a refit, the score of one such fold, drawn by the run's seed, on the refit's scale as the defective
    parts tell it (`raylab2f.evaluation.decisions.carried.anchored_scale`).

    Arguments:
        distances: strangeness by picture, as far as it is known.

    Returns:
        A table of `EVALUATION_SCHEMA`, sorted by picture.
    """
    if way == "refit":
        scores = _of_one_fold(run, [_on_scale(run, members[0], decision, fold) for fold in sorted(run.splits)])
    else:
        scores = _mean([_calibrated(run, member) for member in members])
    rows = scores.sort_by("image_id").to_pylist()
    own = pa.Table.from_pylist(rows)
    units, _, joint = units_of(own, decision.level, decision.object_score)
    verdicts = {unit: decision.verdict(score) for unit, score in zip(units.tolist(), joint.tolist(), strict=True)}
    named = "object_id" if decision.level == "object" else "image_id"
    for row in rows:
        row |= {"strangeness": distances.get(row["image_id"]), "verdict": verdicts[row[named]]}
    return pa.Table.from_pylist(rows, schema=EVALUATION_SCHEMA)


def _fold(run: RunEvidence, number: int | None) -> pa.Table:
    return run.scores.filter(pc.equal(run.scores["fold"], number)).select(_COLUMNS)


def _calibrated(run: RunEvidence, member: Member) -> pa.Table:
    own = _fold(run, member.fold)
    score = pc.divide(pc.subtract(own["score"], member.centre), member.scale)
    return own.set_column(own.column_names.index("score"), "score", score)


def _mean(tables: Sequence[pa.Table]) -> pa.Table:
    keys = [name for name in _COLUMNS if name != "score"]
    table = pa.concat_tables(tables).group_by(keys).aggregate([("score", "mean")])
    return table.select([*keys, "score_mean"]).rename_columns([*keys, "score"])


def _on_scale(run: RunEvidence, refit: Member, decision: Decision, number: int) -> pa.Table:
    """A fold's scores on the refit's scale; as they are where there are too few defective parts to tell it."""
    own = _fold(run, number)
    units, labels, scores = units_of(own, decision.level, decision.object_score)
    anchors, _, theirs = units_of(read_parquet(refit.folder / "scores.parquet"), decision.level, decision.object_score)
    try:
        factor, offset = anchored_scale(
            FoldScores(units, labels, scores, 0.0), dict(zip(anchors.tolist(), theirs.tolist(), strict=True))
        )
    except (UserError, KeyError):
        return own
    moved = pc.add(pc.multiply(own["score"], factor), offset)
    return own.set_column(own.column_names.index("score"), "score", moved)


def _of_one_fold(run: RunEvidence, tables: Sequence[pa.Table]) -> pa.Table:
    """Each part with all its pictures from one of the folds that did not train on it."""
    order = numpy_generator(run.settings.seed, "evaluated by").permutation(len(tables))
    chosen: dict[str, list[int]] = {}
    for place in order:
        for owner in sorted(set(tables[place]["object_id"].to_pylist())):
            chosen.setdefault(owner, []).append(int(place))
    draws = numpy_generator(run.settings.seed, "evaluated by", "parts")
    pick = {owner: places[int(draws.integers(len(places)))] for owner, places in sorted(chosen.items())}
    return pa.concat_tables(
        table.filter(pa.array([pick[owner] == place for owner in table["object_id"].to_pylist()]))
        for place, table in enumerate(tables)
    )
