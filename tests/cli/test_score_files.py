"""Files of other tools where the command line takes a table of scores."""

import json
from functools import partial

import numpy as np
import pytest
from in_process import raylab2f

evaluate = partial(raylab2f, "evaluate")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """60 good and 40 defective parts with two pictures each: predictions of anomalib, and a manifest."""
    folder = tmp_path_factory.mktemp("world")
    generator = np.random.default_rng(5)
    predictions, manifest = ["image_path,gt_label,pred_score"], ["path,object_id,view,label"]
    for part in range(100):
        label, kind = int(part < 40), "dent" if part < 40 else "good"
        for view in range(2):
            predictions.append(f"/srv/test/{kind}/{part}_{view}.png,{label},{generator.normal(2.5 * label):.6f}")
            manifest.append(f"{kind}/{part}_{view}.png,part{part},{view},{label}")
    (folder / "predictions.csv").write_text("\n".join(predictions) + "\n", encoding="utf-8")
    (folder / "parts.csv").write_text("\n".join(manifest) + "\n", encoding="utf-8")
    return folder


def test_parts_and_views_come_from_the_manifest(world):
    given = (world / "predictions.csv", "--manifest", world / "parts.csv", "--by", "view", "--replicates", 100)
    process = evaluate(*given, "--folds", 3, "--json")
    assert process.returncode == 0, process.stderr
    summary = json.loads(process.stdout)
    assert 30 < summary["objects"]["good"] <= 60
    metrics = {row["metric"] for row in summary["estimates"]}
    assert {"auroc", "recall[view=0]", "recall[dent]"} <= metrics
    codes = [warning["code"] for warning in summary["warnings"]]
    assert "RL318" in codes
    assert "RL201" not in codes


def test_without_a_manifest_pictures_are_parts_and_a_muted_warning_stays_away(world):
    process = evaluate(world / "predictions.csv", "--from", "anomalib", "--replicates", 100, "--mute", "RL318")
    assert process.returncode == 0, process.stderr
    assert "RL201" in process.stdout
    assert "muted: 1 warning: RL318" in process.stdout


def test_accept_and_pod_take_them_too(world, tmp_path):
    scores = (world / "predictions.csv", "--manifest", world / "parts.csv")
    process = raylab2f("accept", *scores, "--max-escape", 0.9, "--replicates", 100)
    assert process.returncode == 0, process.stderr
    assert "RL318" in process.stdout
    process = raylab2f("accept", *scores, "--max-escape", 0.9, "--at", 1.0)
    assert process.returncode == 0, process.stderr
    # A threshold that stood before needs no partition.
    assert "RL318" not in process.stdout
    header, *rows = (world / "predictions.csv").read_text(encoding="utf-8").splitlines()
    sized = [f"{row},{1 + number % 30 if ',1,' in row else ''}" for number, row in enumerate(rows)]
    (tmp_path / "sized.csv").write_text("\n".join([f"{header},size", *sized]), encoding="utf-8")
    process = raylab2f("pod", tmp_path / "sized.csv", "--replicates", 50)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--from", "fiftyone"), "give --from anomalib"),
        (("--from", "halcon"), "anomalib, fiftyone, glass, mlflow, patchcore"),
        (("--manifest", "absent.csv"), "There is no manifest at"),
    ],
)
def test_mistakes_are_one_sentence(world, options, sentence):
    process = evaluate(world / "predictions.csv", *options)
    assert (process.returncode, process.stdout) == (2, "")
    assert sentence in process.stderr
    assert "Traceback" not in process.stderr


def test_a_run_needs_neither(world, tmp_path):
    process = evaluate(tmp_path, "--from", "anomalib")
    assert process.returncode == 2
    assert "leave them out for a run" in process.stderr
