import numpy as np
import pyarrow as pa
import pytest

from raylab2f.diagnostics import diagnose_shift


def data(shift=0.0, only_first=False, seed=0):
    """30 training and 12 evaluation objects of three pictures each; the evaluation's features are shifted."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(42), 3)
    features = rng.normal(0, 1, (42, 20))[owner] + rng.normal(0, 0.5, (126, 20))
    moved = (owner >= 30) & ((owner < 31) | (not only_first))
    features[moved] += shift
    ids = [f"{i}.png" for i in range(126)]
    partition = ["train" if o < 30 else "threshold" if o % 2 else "inference" for o in owner]
    split = pa.table({"image_id": ids, "partition": partition})
    return features, ids, [f"part{o}" for o in owner], {0: split}


def test_pictures_drawn_alike_pass():
    finding = diagnose_shift(*data(), seed=0)
    assert finding.verdict == "pass"
    assert finding.measure("odd-pictures").estimate.value < 0.15


def test_shifted_pictures_fail():
    finding = diagnose_shift(*data(shift=2.0), seed=0)
    assert finding.verdict == "fail"
    assert finding.figure.name == "odd-pictures"


def test_odd_pictures_are_listed_first():
    features, ids, objects, splits = data(shift=6.0, only_first=True)
    finding = diagnose_shift(features, ids, objects, splits, seed=0)
    assert finding.verdict != "fail"
    assert set(finding.evidence["object_id"].to_pylist()[:3]) == {"part30"}


@pytest.mark.parametrize("kept", [0, 1])
def test_too_little_to_compare_is_skipped(kept):
    features, ids, objects, splits = data()
    few = [row for row, name in enumerate(objects) if int(name[4:]) < 30 + kept]
    finding = diagnose_shift(features[few], [ids[r] for r in few], [objects[r] for r in few], splits, seed=0)
    assert finding.verdict == "skip"
