"""The package of the guide, installed beside raylab2f: its layout read, its detector trained, its diagnosis made."""

import json
import os
import subprocess
import sys
from pathlib import Path

from added_packages import write_parts


def test_the_guides_package_runs_from_beginning_to_end(example, cache, tmp_path):
    parts, out = write_parts(tmp_path / "parts", good=16, defective=6), tmp_path / "run"
    paths = os.pathsep.join(filter(None, (str(example), os.environ.get("PYTHONPATH"))))
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {"PYTHONPATH": paths}

    def raylab2f(*arguments):
        program = Path(sys.executable).with_name("raylab2f")
        done = subprocess.run(
            [program, *map(str, arguments), "--cache", cache],
            capture_output=True,
            text=True,
            timeout=600,
            env=environment | {"COLUMNS": "200"},
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    options = ["--detector", "tiny", "--layout", "tiny", "--preset", "fast", "--set", "learning_rate=0.5"]
    # Two workers share every batch: the class is found by its name in processes of several kinds.
    raylab2f(
        "run-cv", "--data", parts, *options, "--folds", 1, "--workers-per-fold", 2, "--replicates", 100, "--out", out
    )
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["config"]["learning_rate"] == 0.5
    assert record["versions"]["raylab2f-tiny"] == "1.0"
    assert json.loads((out / "folds" / "0" / "model.json").read_text(encoding="utf-8"))["detector"] == "tiny"
    # Spots that stand out from noise are far from its mean.
    rows = json.loads((out / "summary.json").read_text(encoding="utf-8"))["estimates"]
    assert next(row for row in rows if row["metric"] == "auroc")["mean"] == 1.0

    before = [finding["name"] for finding in findings_of(out)]
    said = raylab2f("diagnose", out, "--only", "tiny", "--stored-only")
    assert "TINY1 tiny" in said
    assert "docs/pitfalls/TINY1" not in said
    assert [finding["name"] for finding in findings_of(out)] == [*before, "tiny"]
    assert (out / "diagnosis" / "tiny.parquet").exists()

    said = raylab2f("diagnose", out, "--only", "tiny", "--stored-only", "--mute", "tiny1", "--mute", "tiny2")
    assert "TINY1 tiny" not in said
    assert "--mute TINY2: no finding has this code." in said
    assert [finding["muted"] for finding in findings_of(out)] == [False] * len(before) + [True]


def findings_of(run):
    return json.loads((run / "diagnosis.json").read_text(encoding="utf-8"))["findings"]
