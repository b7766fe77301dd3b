"""What shortcuts would have claimed on the same data."""

import numpy as np
import pyarrow as pa
import pytest
import sklearn.metrics as sk

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate

QUICK = {"replicates": 20, "methods": ("naive-t",), "interval": "naive-t"}


def claims(summary, shortcut):
    return {(s.strategy, s.level, s.metric): s for s in summary.shortcuts if s.shortcut == shortcut}


def epochs_of(table, scores):
    """Scores after epochs 1, 2, ... from (epochs, n) scores of the table's rows."""
    return pa.concat_tables(
        table.select(["fold", "image_id"])
        .append_column("epoch", pa.array([number] * table.num_rows, pa.int32()))
        .append_column("score", pa.array(values))
        for number, values in enumerate(scores, start=1)
    )


def test_a_split_by_picture_is_held_against_the_honest_figures(simulate):
    honest, easy = simulate(seed=1), simulate(seed=1, separation=4.0)
    without = evaluate(honest, **QUICK)
    summary = evaluate(honest, picture_split=easy, **QUICK)
    assert summary.estimates == without.estimates
    found = claims(summary, "split-by-picture")
    assert {level for _, level, _ in found} == {"image"}
    row = found["any", "image", "auroc"]
    assert row.honest == without.find("auroc", level="image").mean
    assert row.claimed == evaluate(easy, **QUICK).find("auroc", level="image").mean
    assert row.optimism == pytest.approx(row.claimed - row.honest)
    assert row.optimism > 0
    assert found["youden", "image", "escape_rate"].optimism == pytest.approx(
        found["youden", "image", "recall"].optimism
    )


def test_the_best_epoch_is_chosen_in_every_fold_by_the_judged_pictures(simulate):
    table = simulate(seed=2)
    rng = np.random.default_rng(0)
    last = table["score"].to_numpy()
    scores = np.stack([*(last + rng.standard_normal((4, len(last)))), last])
    summary = evaluate(table, epoch_scores=epochs_of(table, scores), **QUICK)
    assert summary.estimates == evaluate(table, **QUICK).estimates
    fold, label = table["fold"].to_numpy(), table["label"].to_numpy()
    judged = np.array(table["partition"].to_pylist()) == "inference"
    best = [
        max(sk.roc_auc_score(label[judged & (fold == k)], s[judged & (fold == k)]) for s in scores) for k in range(3)
    ]
    row = claims(summary, "best-epoch-on-inference")["any", "image", "auroc"]
    assert row.claimed == pytest.approx(np.mean(best))
    assert row.optimism >= 0
    assert ("youden", "object", "balanced_accuracy") in claims(summary, "best-epoch-on-inference")


def test_with_the_last_epoch_alone_nothing_is_gained(simulate):
    table = simulate(seed=3)
    summary = evaluate(table, epoch_scores=epochs_of(table, [table["score"].to_numpy()]), **QUICK)
    assert {s.optimism for s in claims(summary, "best-epoch-on-inference").values()} == {0.0}


def test_scores_of_epochs_must_cover_the_table(simulate):
    table = simulate()
    epochs = epochs_of(table, [table["score"].to_numpy()])
    with pytest.raises(UserError, match="epoch 1 of fold 0 lack pictures"):
        evaluate(table, epoch_scores=epochs.slice(1), **QUICK)
    with pytest.raises(UserError, match="fold and partition"):
        evaluate(table.drop_columns(["partition"]), epoch_scores=epochs, **QUICK)
