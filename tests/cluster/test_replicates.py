"""Replicates computed by any number of tasks are those computed here."""

import numpy as np
import pyarrow as pa
import pytest
import ray

from raylab2f.cluster import replicates
from raylab2f.cluster.replicates import spread_replicates
from raylab2f.evaluation import evaluate, parse_strategy
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.intervals.bootstrap import bootstrap_chunks
from raylab2f.evaluation.outcomes.judging import build_problem
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import prepare_scores


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    label = np.arange(60) < 24
    return pa.table(
        {
            "image_id": [f"{picture}.png" for picture in range(60)],
            "object_id": [f"part {picture // 2}" for picture in range(60)],
            "label": pa.array(label.astype(int), pa.int8()),
            "score": (1.5 * label + rng.standard_normal(60)).round(1),
        }
    )


def test_the_number_of_tasks_changes_nothing(shared_ray, table):
    problem = build_problem(
        prepare_scores(table, folds=3), [parse_strategy("youden")], parse_object_score("max"), Costs()
    )
    here = bootstrap_chunks(problem, 2_300, 7)
    for tasks in (1, 2, 3, 5, 40):
        np.testing.assert_array_equal(spread_replicates(problem, 2_300, 7, tasks=tasks), here)


def test_a_summary_made_by_tasks_is_the_same(shared_ray, table, monkeypatch):
    used = []
    monkeypatch.setattr(replicates, "_WORTH_SPREADING", 0)
    monkeypatch.setattr(ray, "put", lambda value, put=ray.put: used.append(value) or put(value))
    spread = evaluate(table, replicates=1_100, folds=2, replicator=spread_replicates)
    assert used
    assert spread.to_dict() == evaluate(table, replicates=1_100, folds=2).to_dict()
