import cv2
import numpy as np
import pyarrow as pa
import pytest

from raylab2f.diagnostics import diagnose_likelihood
from raylab2f.diagnostics.complexity import BACKGROUND_STATISTICS, COMPLEXITY_SCHEMA, picture_complexity


def complexity_of(scores, column=None, source=None, seed=0):
    """Random complexities of the scored pictures; `column` follows the scores."""
    rng = np.random.default_rng(seed)
    rows = {}
    for row in scores.to_pylist():
        values = {name: float(rng.normal()) for name in COMPLEXITY_SCHEMA.names if name != "image_id"}
        if column:
            values[column] = source[row["image_id"]] + 0.2 * float(rng.normal())
        rows.setdefault(row["image_id"], {"image_id": row["image_id"], **values})
    return pa.Table.from_pylist(list(rows.values()), schema=COMPLEXITY_SCHEMA)


def steady(scores):
    """The same scores in every fold, and each picture's score."""
    table = scores.to_pylist()
    first = {row["image_id"]: row["score"] for row in reversed(table)}
    return pa.Table.from_pylist([{**row, "score": first[row["image_id"]]} for row in table]), first


def test_scores_that_follow_nothing_pass(make_scores):
    scores = make_scores(2.0)
    assert diagnose_likelihood(scores, complexity_of(scores), seed=0).verdict == "pass"


def test_scores_that_follow_complexity_fail(make_scores):
    scores, source = steady(make_scores(2.0))
    finding = diagnose_likelihood(scores, complexity_of(scores, "complexity", source), seed=0)
    assert finding.verdict == "fail"
    assert finding.figure.name == "complexity-correlation"


def test_scores_that_follow_the_background_fail(make_scores):
    scores, source = steady(make_scores(2.0))
    finding = diagnose_likelihood(scores, complexity_of(scores, BACKGROUND_STATISTICS[0], source), seed=0)
    assert finding.verdict == "fail"
    assert finding.figure.name == "score-from-background"
    assert finding.figure.estimate.value > 0.8


@pytest.mark.parametrize("blind", [0, 1, 20, 24])
def test_pictures_without_background_are_left_out_and_counted(make_scores, blind):
    """24 good objects of two pictures each; of `blind` objects the mask covers the whole picture."""
    scores, source = steady(make_scores(2.0))
    hidden = {f"0-{number}-{view}.png" for number in range(blind) for view in range(2)}
    rows = [
        {**row, **(dict.fromkeys(BACKGROUND_STATISTICS) if row["image_id"] in hidden else {})}
        for row in complexity_of(scores, BACKGROUND_STATISTICS[0], source).to_pylist()
    ]
    finding = diagnose_likelihood(scores, pa.Table.from_pylist(rows, schema=COMPLEXITY_SCHEMA), seed=0)
    if blind < 20:
        assert (finding.verdict, finding.figure.name) == ("fail", "score-from-background")
        assert finding.figure.estimate.value > 0.8
    else:
        # Two objects with a background in either partition, and none at all.
        assert "score-from-background" not in [m.name for m in finding.measures if m.verdict != "skip"]
    assert len(finding.seen_on) == (blind > 0)
    if blind:
        assert f"{2 * blind} of 48 good pictures" in finding.seen_on[0]


def test_inverted_classes_fail(make_scores):
    scores = make_scores(-1.5)
    finding = diagnose_likelihood(scores, complexity_of(scores), seed=0)
    assert finding.verdict == "fail"
    assert finding.figure.name == "anomalies-below-nominals"
    assert finding.evidence.to_pylist()[0]["defect_type"] == "dent"


def test_complexity_of_known_pictures():
    rng = np.random.default_rng(0)
    flat = np.full((128, 128, 3), 90, np.uint8)
    halves = flat.copy()
    halves[:, 64:] = 200
    noise = np.repeat(rng.integers(0, 256, (128, 128, 1), np.uint8), 3, axis=2)
    table = picture_complexity(["flat", "halves", "noise"], np.stack([flat, halves, noise]))
    entropy, complexity = (np.array(table[key].to_pylist()) for key in ("entropy", "complexity"))
    np.testing.assert_allclose(entropy[:2], [0, 1], atol=1e-6)
    assert entropy[2] > 7.9
    assert complexity[0] < complexity[1] < 1 < 7 < complexity[2]
    assert table["background_mean"].null_count == 3


def test_background_statistics_do_not_see_the_part():
    rng = np.random.default_rng(0)
    foreground = np.zeros((2, 64, 64), np.uint8)
    foreground[:, 16:48, 16:48] = 1
    pictures = np.full((2, 64, 64, 3), 50, np.uint8)
    pictures[1, 20:44, 20:44] = cv2.resize(rng.integers(0, 255, (6, 6, 3), np.uint8), (24, 24))
    table = picture_complexity(["a", "b"], pictures, foreground).to_pylist()
    for name in BACKGROUND_STATISTICS:
        assert table[0][name] == table[1][name]
    assert table[0]["background_mean"] == 50
