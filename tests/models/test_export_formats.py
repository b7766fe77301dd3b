"""Exported files judge as the model does, on pictures of any size and number."""

import numpy as np
import pytest
from small_models import plate, small_judge

from raylab2f.models.export.certificate import Example, compare, findings
from raylab2f.models.export.formats import FORMATS, format_of
from raylab2f.models.export.graph import JudgingGraph

LARGEST = (150, 200)
SMALL = {
    "mahalanobis": {"fit": "pad"},
    "dfm": {},
    "padim": {"members": 2, "dimensions": 20},
    "patchcore": {"most_patches": 300},
    "glass": {},
    "csflow": {"kernel_sizes": [3], "hidden_channels": 16},
}
#: Odd, one side larger and one smaller than as prepared, as prepared, smaller, twice as large, the largest.
SIZES = [(96, 83), (50, 131), (64, 64), (33, 17), (128, 128), LARGEST]


def written(folder, kind, judge, precision="float32"):
    found = format_of(kind, precision)
    graph = JudgingGraph(judge, LARGEST, casts=found.casts)
    found.write(graph, folder, precision, [plate(number) for number in range(8)])
    assert sorted(path.name for path in folder.iterdir()) == sorted(found.files)
    return found.open(folder / found.files[0], 1)


#: Of every kind one: fitted, and trained.
QUICK = ("mahalanobis", "glass")


def assert_alike(judge, runner, tolerance=1e-4, sizes=SIZES):
    scale = max(1.0, abs(judge.record.decision.threshold))
    for size in sizes:
        pictures = np.stack([plate(number, spot=number == 8, size=size) for number in (7, 8, 9)])
        opinions = judge.look(list(pictures))
        for count in (3, 1):
            scores, maps = runner(pictures[:count])
            expected = np.array([opinion.scores[0] for opinion in opinions[:count]])
            np.testing.assert_allclose(scores, expected, atol=tolerance * scale, rtol=0)
            shown = np.stack([opinion.map for opinion in opinions[:count]])
            np.testing.assert_allclose(maps, shown, atol=10 * tolerance * max(scale, shown.max()), rtol=0)


@pytest.mark.parametrize(
    "detector", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SMALL]
)
def test_every_detector_judges_alike_as_onnx(tmp_path, detector):
    judge = small_judge(detector, **SMALL[detector])
    runner = written(tmp_path, "onnx", judge)
    assert_alike(judge, runner)
    # Never accepted: the graph has not enough taps for it.
    assert np.isposinf(runner(plate(1, size=(300, 300))[None])[0]).all()


@pytest.mark.parametrize("kind", ["openvino", pytest.param("pt2", marks=pytest.mark.slow)])
def test_other_runtimes_judge_alike(tmp_path, judge, kind):
    assert_alike(judge, written(tmp_path, kind, judge))


@pytest.mark.slow
def test_an_ensemble_of_networks_judges_alike_as_torch_program(tmp_path):
    judge = small_judge("glass", members=2)
    assert_alike(judge, written(tmp_path, "pt2", judge), sizes=SIZES[:2])


@pytest.mark.slow
def test_halved_weights_make_a_smaller_file_that_judges_nearly_alike(tmp_path, judge):
    for name in ("float32", "float16"):
        (tmp_path / name).mkdir()
    written(tmp_path / "float32", "onnx", judge)
    runner = written(tmp_path / "float16", "onnx", judge, "float16")
    sizes = {name: (tmp_path / name / "model.onnx").stat().st_size for name in ("float32", "float16")}
    assert sizes["float16"] < 0.75 * sizes["float32"]
    good, bad = (np.stack([plate(n, spot=spot) for n in range(60, 66)]) for spot in (False, True))
    assert runner(good)[0].max() < judge.record.decision.threshold < runner(bad)[0].min()


@pytest.mark.slow
def test_what_quantising_loses_is_found(tmp_path, judge):
    """The backbone of these tests loses nearly all that it knows by it; whatever it loses is counted."""
    runner = written(tmp_path, "onnx", judge, "int8")
    examples = [Example(f"{n}", f"{n}", int(n > 5), plate(n, spot=n > 5)) for n in range(12)]
    found = findings(judge, compare(judge, runner, examples), 1e-4)
    threshold = judge.record.decision.threshold
    pictures = np.stack([one.picture for one in examples])
    before = np.array([opinion.scores[0] for opinion in judge.look(list(pictures))])
    after = np.concatenate([runner(one[None])[0] for one in pictures])
    changed = (before >= threshold) != (after >= threshold)
    assert found["flips"]["count"] == found["flips"]["outside_margin"] == changed.sum()


def test_every_format_says_what_it_offers():
    for name in FORMATS:
        found = format_of(name, "float32")
        assert found.options(2)
        assert found.files
