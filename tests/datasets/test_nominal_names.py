import pytest

from raylab2f.datasets import load_dataset
from raylab2f.datasets.layouts.nominal_names import is_nominal_name, name_warnings

TAKEN = ["good", "OK", "Ok_front", "good-new", "nominal", "normal parts", "ok1", "GOOD 2", "OK.old"]
MENTIONED = [
    *("pass", "PASSED", "okay", "goods", "normals", "0_good", "test_ok", "clean", "negative", "i.O.", "IO"),
    *("no defect", "non-defective", "defect free", "without faults", "ok_ng", "ok but scratched"),
]
PLAIN_DEFECTS = ["not_ok", "nok", "n.i.O.", "no_good", "ko", "bad", "dent", "abnormal", "non-conform", "broken"]


@pytest.mark.parametrize("name", TAKEN)
def test_nominal_names_are_taken_and_said(name):
    assert is_nominal_name(name)
    said = name_warnings([(name, f"test/{name}")])
    assert [warning.code for warning in said] == ([] if name == "good" else ["RL211"])
    assert all(f"test/{name}: taken as nominal" in warning for warning in said)


@pytest.mark.parametrize("name", MENTIONED)
def test_names_that_only_sound_nominal_count_as_defective_and_are_said(name):
    assert not is_nominal_name(name)
    (warning,) = name_warnings([(name, f"test/{name}")])
    assert f"test/{name}: taken as defective" in warning


@pytest.mark.parametrize("name", PLAIN_DEFECTS)
def test_nothing_is_said_of_defects(name):
    assert not is_nominal_name(name)
    assert name_warnings([(name, f"test/{name}")]) == ()


@pytest.mark.parametrize(
    ("good", "bad", "other"),
    [
        ("train/good", "test/dent", "test/{}"),
        ("train/ok", "test/ko", "test/{}"),
        ("train/good", "test/logical_anomalies", "test/{}"),
        ("train/good", "test_public/bad", "test_public/{}"),
        ("train/good/rgb", "test/hole/rgb", "test/{}/rgb"),
    ],
)
@pytest.mark.parametrize(("name", "label"), [("ok_front", 0), ("Normal", 0), ("passed", 1)])
def test_the_same_names_in_every_layout(tmp_path, save, good, bad, other, name, label):
    for folder in (good, bad, other.format(name)):
        for k in range(2):
            save(tmp_path / folder / f"{k}.png")
    (tmp_path / "test").mkdir(exist_ok=True)
    dataset = load_dataset(tmp_path)
    labels = {row["label"] for row in dataset.manifest.to_pylist() if name in row["image_id"]}
    assert labels == {label}
    (said,) = [warning for warning in dataset.warnings if warning.code == "RL211"]
    assert name in said
