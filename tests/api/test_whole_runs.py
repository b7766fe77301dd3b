"""A run from Python, the same run again from its folder, and what is muted on the way."""

import io
import json

import pytest
from rich.console import Console

import raylab2f
from raylab2f.files.parquet import read_parquet


@pytest.mark.slow
def test_a_run_from_python_and_the_same_run_again(pictures, cache, run, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    done = raylab2f.cross_validate(
        data=pictures, preset="fast", epochs=1, size=64, replicates=100, folds=2, out=tmp_path / "first", cache=cache,
        mute=["RL203", "RL303"], console=console,
    )  # fmt: skip
    [first] = done.runs
    assert {warning["code"] for warning in first.summary["muted"]} == {"RL203", "RL303"}
    assert not {"RL203", "RL303"} & {warning["code"] for warning in first.warnings}
    assert "without a mask" not in console.file.getvalue()
    assert set(first.metrics["fold"].to_pylist()) == {0, 1}
    assert done.to_pandas()["run"].unique().tolist() == [first.place]

    found = raylab2f.diagnose(first, only=["threshold", "leakage"], stored_only=True, cache=cache, mute="RL107")
    assert found.table.to_pydict()["muted"] == [False, True]
    written = json.loads((tmp_path / "first" / "diagnosis.json").read_text(encoding="utf-8"))["findings"]
    assert {finding["name"]: finding["muted"] for finding in written} == {"leakage": False, "threshold": True}

    process = run("--config", tmp_path / "first", "--out", tmp_path / "again", "--replicates", 100, "--epochs", 1)
    assert "muted: 2 warnings: RL203, RL303" in process.stdout
    for fold in range(2):
        splits = [read_parquet(tmp_path / name / "folds" / str(fold) / "split.parquet") for name in ("first", "again")]
        assert splits[0].equals(splits[1])
    records = [json.loads((tmp_path / name / "run.json").read_text("utf-8")) for name in ("first", "again")]
    assert records[0]["settings"] == records[1]["settings"]
    assert raylab2f.compare([first, tmp_path / "again"], replicates=100).differences.num_rows
