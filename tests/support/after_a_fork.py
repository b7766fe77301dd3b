"""Forks, as starting Ray does, and then runs every diagnosis and every interval on arrays as large as real ones.

    python after_a_fork.py

Says after each step how far it is, so that a test knows where it hung.
"""

import os

import numpy as np
import pyarrow as pa

from raylab2f import diagnostics as guardrails
from raylab2f.diagnostics.alignment import aligned_greys, confirm_pairs
from raylab2f.diagnostics.alterations import BACKGROUND_ALTERATIONS
from raylab2f.diagnostics.complexity import COMPLEXITY_SCHEMA
from raylab2f.diagnostics.near_duplicates import feature_signatures, near_pairs, picture_hashes
from raylab2f.diagnostics.variance import activations
from raylab2f.evaluation import INTERVALS, evaluate
from raylab2f.evaluation.plans.iid_check import check_iid

# CS-Flow's features at 256 pixels: 192 channels at 8 x 8 positions, 12,288 numbers a picture.
CHANNELS, SIDE = 192, 8
COUNTS = (100, 292, 1500)
REPLICATES = 1000


def fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def score_table(count, rng, **more):
    """Scores of `count` pictures, two of each object, half of them defective, in two folds."""
    rows = []
    for fold in range(2):
        for number in range(count):
            owner = number // 2
            label = owner % 2
            rows.append(
                {
                    "fold": fold,
                    "partition": "threshold" if (owner // 2 + fold) % 2 else "inference",
                    "image_id": f"{number}.png",
                    "object_id": f"part {owner}",
                    "label": label,
                    "defect_type": "dent" if label else "good",
                    "score": float(rng.normal(2 * label)),
                    "trained": True,
                    **more,
                }
            )
    return pa.Table.from_pylist(rows)


def fold_maps(scores, rng):
    rows = [row for row in scores.to_pylist() if row["fold"] == 0]
    labels = np.array([row["label"] for row in rows])
    foregrounds = np.zeros((len(rows), SIDE, SIDE), np.float32)
    foregrounds[:, 2:6, 2:6] = 1
    maps = rng.normal(size=foregrounds.shape).astype(np.float32)
    return guardrails.FoldMaps(
        fold=0,
        image_ids=np.array([row["image_id"] for row in rows]),
        objects=np.array([row["object_id"] for row in rows]),
        labels=labels,
        scores=maps.reshape(len(rows), -1).max(axis=1).astype(np.float64),
        maps=maps,
        foregrounds=foregrounds,
        masked=np.ones(len(rows), bool),
        defects=(labels[:, None, None] > 0) & (foregrounds > 0),
    )


def findings(count, rng):
    """Every diagnosis of a run on `count` pictures."""
    features = rng.standard_normal((count, CHANNELS, SIDE, SIDE), np.float32)
    features[count // 2 + 1] = features[0]
    signatures = feature_signatures(features, seed=0)
    pairs, cosine, distance = near_pairs(
        signatures, picture_hashes(rng.standard_normal((count, 32, 32), np.float32), seed=0)
    )
    assert [0, count // 2 + 1] in pairs.tolist()
    objects = [f"part {number // 2}" for number in range(count)]
    pictures = rng.integers(0, 256, (count, 64, 64, 3)).astype(np.uint8)
    pictures[count // 2 + 1] = pictures[0]
    agreement = confirm_pairs(aligned_greys(pictures), pairs, objects, seed=0)
    names = np.array([f"{number}.png" for number in range(count)], object)
    near = pa.table(
        {
            "one": names[pairs[:, 0]],
            "other": names[pairs[:, 1]],
            "cosine": cosine,
            "hash_distance": distance,
            "agreement": agreement,
        }
    )
    print("near duplicates", flush=True)

    scores = score_table(count, rng)
    good = [number for number in range(count) if number // 2 % 2 == 0]
    splits = {
        fold: pa.table(
            {
                "image_id": names,
                "object_id": objects,
                "partition": [("train", "threshold", "inference")[(n // 2 + fold) % 3] for n in range(count)],
            }
        )
        for fold in range(2)
    }
    found = {"as it is": activations(features)}
    inference = scores.filter(pa.compute.equal(scores["label"], 0))
    altered = pa.concat_tables(
        inference.append_column("alteration", pa.array([name] * inference.num_rows)).append_column(
            "dose", pa.array([dose] * inference.num_rows)
        )
        for name, doses in [("none", (0.0,)), *((n, map(float, s.doses)) for n, s in guardrails.ALTERATIONS.items())]
        for dose in doses
    )
    swapped = pa.concat_tables(
        scores.append_column("alteration", pa.array([name] * scores.num_rows))
        for name in ("none", *BACKGROUND_ALTERATIONS)
    )
    complexity = pa.Table.from_pylist(
        [
            {"image_id": name, **{c: float(rng.normal()) for c in COMPLEXITY_SCHEMA.names if c != "image_id"}}
            for name in names
        ],
        schema=COMPLEXITY_SCHEMA,
    )
    yield guardrails.diagnose_leakage(splits, scores, near, seed=0)
    yield guardrails.diagnose_shift(
        features.mean(axis=(2, 3))[good], names[good].tolist(), [objects[n] for n in good], splits, seed=0
    )
    yield guardrails.diagnose_background([fold_maps(scores, rng)], swapped, seed=0)
    yield guardrails.diagnose_silhouette([fold_maps(scores, rng)], seed=0)
    yield guardrails.diagnose_variance(found, {"as it is": objects}, seed=0)
    yield guardrails.diagnose_invariance(inference, {0: 0.5, 1: 0.5}, altered, seed=0)
    yield guardrails.diagnose_fragility(scores, "youden", seed=0)
    yield guardrails.diagnose_likelihood(scores, complexity, seed=0)
    lit = scores.append_column("condition", pa.array(["day", "night"] * (scores.num_rows // 2)))
    yield guardrails.diagnose_conditions(lit, lit, "youden", seed=0)


def main():
    fork()
    rng = np.random.default_rng(0)
    for count in COUNTS:
        for finding in findings(count, rng):
            print(count, finding.name, finding.verdict, flush=True)
            fork()
        means = rng.standard_normal((count, CHANNELS))
        half = count // 2
        check_iid(means[:half], np.arange(half), means[half:], np.arange(half, count), seed=0)
        summary = evaluate(score_table(count, rng), replicates=REPLICATES, methods=list(INTERVALS))
        assert summary.find("auroc", level="image").mean > 0.5
        print(count, "intervals", *INTERVALS, flush=True)
        fork()
    print("done", flush=True)


if __name__ == "__main__":
    main()
