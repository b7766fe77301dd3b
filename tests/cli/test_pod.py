"""`raylab2f pod` on a run and on a table."""

import json

import pyarrow.csv
import pytest
from in_process import raylab2f

import raylab2f as package


def test_a_run_tells_sizes_by_its_masks(finished_run, tmp_path):
    folder = finished_run[0]
    process = raylab2f("pod", folder, "--pixel-size", "0.1mm", "--out", tmp_path / "pod.json")
    assert process.returncode == 0, process.stderr
    assert "area of the largest marked region in mm²" in process.stdout
    found = json.loads((tmp_path / "pod.json").read_text(encoding="utf-8"))
    assert (found["size"], found["unit"], found["rows"][0]["parts"]) == ("area", "mm²", 5)
    # One spotted plate has no masks.
    assert found["unsized"] == 1
    assert "a curve takes at least 10" in process.stdout
    assert "a curve takes at least 10" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_table_with_a_column_size(tmp_path):
    from sized_scores import scores

    table = scores(slope=2.0)
    pyarrow.csv.write_csv(table, tmp_path / "scores.csv")
    process = raylab2f("pod", tmp_path / "scores.csv", "--json", "--replicates", "50")
    assert process.returncode == 0, process.stderr
    row = json.loads(process.stdout)["rows"][0]
    found = package.pod(table, replicates=50)
    assert row["a90"] == pytest.approx(found.table["a90"][0].as_py())
    assert found.curve.num_rows == len(row["curve"]["size"]) > 10
    assert "a90" in found._repr_html_()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pixel-size", "0.1"], "give the length of a pixel's side"),
        (["--size", "column", "--pixel-size", "0.1mm"], "--pixel-size is for sizes from masks"),
        (["--size", "column"], "size"),
    ],
)
def test_mistakes_are_told_in_a_sentence(finished_run, options, said):
    process = raylab2f("pod", finished_run[0], *options)
    assert process.returncode == 2
    assert said in process.stderr
    assert "Traceback" not in process.stderr


def test_a_run_without_masks_says_so(write_run, tmp_path):
    process = raylab2f("pod", write_run(tmp_path / "run"))
    assert process.returncode == 2
    assert len(process.stderr.strip().splitlines()) == 1
