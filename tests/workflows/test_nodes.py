"""Three nodes on one machine: folds on all of them, one killed in the middle, and what the doctor says."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from ray_head import BIN, marked_processes, trains_a_fold

import raylab2f

FOLDS = 6


@pytest.fixture(scope="module")
def three_nodes(head, tmp_path_factory):
    """The head and two more nodes of one processor slot; the last one has another raylab2f installed."""
    other = tmp_path_factory.mktemp("other") / "raylab2f"
    package = Path(raylab2f.__file__)
    shutil.copytree(package.parent, other, ignore=shutil.ignore_patterns("__pycache__"))
    source = package.read_text(encoding="utf-8").replace(f'"{raylab2f.__version__}"', '"0.0.1"')
    (other / "__init__.py").write_text(source, encoding="utf-8")
    paths = [str(other.parent), *head.environment.get("PYTHONPATH", "").split(":")]
    with head.joined({}, {"environment": {"PYTHONPATH": ":".join(filter(None, paths))}}) as nodes:
        yield head, nodes


def test_the_doctor_finds_the_node_with_another_version_and_the_storage_that_is_none(three_nodes, cache, tmp_path):
    head, _ = three_nodes
    options = ["--address", head.address, "--cache", cache, "--storage", "/proc/nothing", "--detector", "csflow"]
    process = subprocess.run(
        [BIN / "raylab2f", "cluster", "doctor", *map(str, options)],
        # Elsewhere, for Ray has the nodes look for packages in the folder of the caller first.
        cwd=tmp_path,
        env={**head.environment, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert process.returncode == 1, process.stderr
    found = {line.split("│")[1].strip(): line for line in process.stdout.splitlines() if line.count("│") == 4}
    wrong = {check for check, line in found.items() if "WRONG" in line}
    assert wrong == {"versions are equal", "storage /proc/nothing"}
    assert found["versions are equal"].count("raylab2f 0.0.1") == 1
    assert "3: " in found["nodes answer"]
    assert not list(cache.glob(".raylab2f-probe*"))


@pytest.mark.slow
def test_folds_land_on_all_nodes_and_a_killed_node_changes_no_result(
    three_nodes, pictures, cache, csflow_run, read_summary, tmp_path
):
    head, nodes = three_nodes
    undisturbed_folder, _ = csflow_run
    epochs = len(json.loads((undisturbed_folder / "folds" / "0" / "fold.json").read_text(encoding="utf-8"))["history"])
    options = ["--detector", "csflow", "--layers", "blocks.4", "--folds", FOLDS, "--epochs", epochs]
    out = tmp_path / "disturbed"
    arguments = ["--data", pictures, "--cache", cache, "--out", out, "--preset", "fast", "--size", 64, *options]
    process = subprocess.Popen(
        [BIN / "raylab2f", "run-cv", "--address", head.address, "--replicates", "200", *map(str, arguments)],
        env=head.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    used = set()
    deadline = time.monotonic() + 240
    try:
        # The last node's plug is pulled while it trains, after the first fold has finished somewhere.
        while len(used) < 3 or not list(out.glob("folds/*/fold.json")) or not trains(nodes[1]):
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline, used
            used |= {place for place in (f"{head.mark}\0", *nodes) if trains(place)}
            time.sleep(0.05)
        head.kill_node(nodes[1])
        before = len(list(out.glob("folds/*/fold.json")))
        said, _ = process.communicate(timeout=240)
    finally:
        process.kill()
    assert before < FOLDS
    assert process.returncode == 0, said
    disturbed, undisturbed = read_summary(out), read_summary(undisturbed_folder)
    assert disturbed["folds"] == {"planned": FOLDS, "finished": FOLDS}
    assert len(disturbed["estimates"]) == len(undisturbed["estimates"])
    for one, other in zip(disturbed["estimates"], undisturbed["estimates"], strict=True):
        assert (one["strategy"], one["level"], one["metric"]) == (other["strategy"], other["level"], other["metric"])
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-4)
        assert (one["interval"] is None) == (other["interval"] is None)
        if one["interval"] is not None:
            assert one["interval"]["low"] == pytest.approx(other["interval"]["low"], abs=1e-4)


def trains(place):
    """Whether a node's processes include one that trains a fold."""
    return any(trains_a_fold(pid) for pid in marked_processes(place))
