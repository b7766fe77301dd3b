"""Jobs on a head node that an administrator started, from shells with its token and without."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
from in_process import raylab2f
from listeners import watched_listeners
from prometheus import scrape
from ray_head import BIN, title


@pytest.fixture
def program(head):
    """Run `raylab2f` in a clean shell of a user who holds the cluster's token, or with another environment."""

    def run(*arguments, environment=None):
        return subprocess.run(
            [BIN / "raylab2f", *map(str, arguments)],
            env=environment or head.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def job_name(output):
    return re.search(r"submitted (\S+)", output)[1]


def options(pictures, cache, out):
    parts = ["--data", pictures, "--cache", cache, "--out", out, "--preset", "fast", "--epochs", 1, "--size", 64]
    return ["--detector", "csflow", "--layers", "blocks.4", *parts, "--replicates", 200]


def test_a_submitted_run_is_followed_to_its_end_and_tells_no_secret(
    head, program, pictures, cache, tmp_path, read_summary
):
    out = tmp_path / "run"
    process = program(
        "submit", "--address", head.dashboard, "--follow", "--", "run-cv", "--folds", 3, *options(pictures, cache, out)
    )
    assert process.returncode == 0, process.stdout + process.stderr
    for line in ("fold 0: finished", "fold 1: finished", "fold 2: finished", "results in"):
        assert line in process.stdout
    assert read_summary(out)["folds"] == {"planned": 3, "finished": 3}

    name = job_name(process.stdout)
    assert "SUCCEEDED" in program("jobs", "status", name, "--address", head.dashboard).stdout
    assert "fold 2: finished" in program("jobs", "logs", name, "--address", head.dashboard).stdout
    listed = program("jobs", "list", "--address", head.dashboard).stdout
    assert "SUCCEEDED" in listed

    status, answer = head.get("/api/jobs/", head.token)
    assert status == 200
    told = [process.stdout, process.stderr, listed, answer]
    assert not any(head.token in text for text in told)
    files = [p for folder in (out, head.temporary) for p in folder.rglob("*") if p.is_file()]
    assert len(files) > 20
    assert [path for path in files if head.token.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_a_live_job_is_watched_followed_and_stopped(head, program, pictures, cache, tmp_path):
    out = tmp_path / "watched"
    long = [*options(pictures, cache, out), "--epochs", 100_000, "--max-parallel-folds", 1, "--tensorboard"]
    process = program("submit", "--address", head.dashboard, "--name", "long", "--", "run-cv", "--folds", 2, *long)
    assert process.returncode == 0, process.stderr
    # With a folder of its own, for the first one's may hold a run by now.
    other = [tmp_path / "other" if value == out else value for value in long]
    again = program("submit", "--address", head.dashboard, "--name", "long", "--", "run-cv", "--folds", 2, *other)
    assert again.returncode == 2
    assert "--name" in again.stderr

    deadline = time.monotonic() + 400
    seen = []
    # Driver and trial send their metrics at their own times.
    while not {"raylab2f_folds", "raylab2f_loss", "raylab2f_features_total"} <= {name for name, _, _ in seen}:
        assert time.monotonic() < deadline, seen
        time.sleep(0.3)
        seen = [sample for sample in scrape(head.metrics_port) if sample[1].get("run") == "watched"]
    assert {tags["detector"] for _, tags, _ in seen} == {"csflow"}
    folds = {tags["state"]: value for name, tags, value in seen if name == "raylab2f_folds"}
    assert folds == {"planned": 1, "running": 1, "finished": 0, "failed": 0}
    values = {name: (tags.get("fold"), value) for name, tags, value in seen}
    fold, epoch = values["raylab2f_epoch"]
    assert fold in {"0", "1"}
    assert 1 <= epoch <= 100_000
    assert values["raylab2f_epochs"] == (fold, 100_000)
    assert values["raylab2f_pictures_per_second"][1] > 0
    assert sum(value for name, _, value in seen if name == "raylab2f_features_total") == 48
    assert list(out.glob("tensorboard/fold-*/events*"))

    _, answer = head.get("/api/v0/actors?detail=1", head.token)
    actors = json.loads(answer)["data"]["result"]["result"]
    # Other tests' runs were on this head before.
    folds = [actor for actor in actors if actor["class_name"] == "Fold" and actor["state"] == "ALIVE"]
    assert {actor["repr_name"].partition(", fold")[0] for actor in folds} == {"watched: plates csflow seed 0"}
    status = program("jobs", "status", "long", "--address", head.dashboard).stdout
    assert f"{out}: folds: 0 of 2 done, 1 running, 1 waiting; fold {fold} epoch " in status
    assert "folds: 0 of 2 done" in (out / "log.txt").read_text(encoding="utf-8")

    follower = subprocess.Popen(
        [BIN / "raylab2f", "jobs", "logs", "long", "--follow", "--address", head.dashboard],
        env=head.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert any("read pictures" in line for line in follower.stdout)
    follower.send_signal(signal.SIGINT)
    _, said = follower.communicate(timeout=180)
    assert follower.returncode == 130
    assert "the job goes on" in said
    assert "the same command" not in said
    assert "RUNNING" in program("jobs", "status", "long", "--address", head.dashboard).stdout

    assert "STOPPED" in program("jobs", "stop", "long", "--address", head.dashboard).stdout
    deadline = time.monotonic() + 120
    while driver_or_trial(head):
        assert time.monotonic() < deadline, driver_or_trial(head)
        time.sleep(0.2)


def driver_or_trial(head):
    names = [title(pid) for pid in head.processes()]
    return [name for name in names if "raylab2f.cli" in name or "ray::Fold" in name]


def test_mistakes_are_found_before_anything_is_sent():
    for arguments, sentence in (
        (["run-cv", "--folds", 3], "--out"),
        (["run-cv", "--out", "runs/here", "--cache", "/cache"], "absolute"),
        (["run-cv", "--out", "s3://key:secret@runs/here"], "credentials"),
        # No mistake in the command, and so the first to be told is that no cluster answers.
        (["run-cv", "--out", "s3://runs/here", "--cache", "s3://cache"], "no Ray dashboard"),
        (["run-cw"], "run-cv"),
    ):
        process = raylab2f("submit", "--address", "http://127.0.0.1:1", "--", *arguments)
        assert process.returncode == 2
        assert sentence in process.stderr
        assert len(process.stderr.strip().splitlines()) == 1


def test_nobody_answers_at_the_port_of_a_cluster_or_dashboard():
    for address, sentence in (
        ("127.0.0.1:1", "no Ray cluster answers there (Connection refused)"),
        ("http://127.0.0.1:1", "no Ray dashboard answers there (Connection refused)"),
    ):
        process = raylab2f("jobs", "list", "--address", address)
        assert process.returncode == 2
        [said] = process.stderr.splitlines()
        assert said.startswith(f"error: --address {address}: {sentence}")


def test_a_job_ends_with_the_exit_code_of_its_command(head, program, tmp_path):
    arguments = ["run-cv", "--data", tmp_path / "nowhere", "--out", tmp_path / "run", "--cache", tmp_path]
    process = program("submit", "--address", head.dashboard, "--follow", "--", *arguments)
    assert process.returncode == 2
    assert "nowhere" in process.stdout
    assert "FAILED" in process.stderr


def test_without_the_token_nobody_gets_in(head, program, pictures, cache, tmp_path):
    for path in ("/api/jobs/", "/api/v0/nodes", "/nodes?view=summary"):
        assert head.get(path)[0] == 401
        assert head.get(path, token="0" * 64)[0] == 403
        assert head.get(path, token=head.token)[0] == 200

    asked = ["--address", head.dashboard, "--", "run-cv", "--out", "/nowhere", "--cache", "/nowhere"]
    process = program("submit", *asked, environment=head.stranger)
    assert process.returncode == 2
    assert "asks for a token" in process.stderr
    process = program("submit", *asked, environment={**head.stranger, "RAY_AUTH_TOKEN": "0" * 64})
    assert process.returncode == 2
    assert "refuses the token" in process.stderr
    assert "0" * 64 not in process.stderr

    run = ["run-cv", *options(pictures, cache, tmp_path / "run"), "--address", head.address]
    for environment, sentence in (
        (head.stranger, "asks for a token, and here is none"),
        ({**head.stranger, "RAY_AUTH_TOKEN": "0" * 64}, "refuses the token"),
        ({**head.environment, "RAY_AUTH_MODE": "disabled"}, "RAY_AUTH_MODE=disabled keeps yours back"),
    ):
        process = program(*run, environment=environment)
        assert process.returncode == 2
        [said] = process.stderr.splitlines()
        assert said.startswith(f"error: --address {head.address}: the cluster ")
        assert sentence in said
        assert "0" * 64 not in said
    process = program("jobs", "list", "--address", head.dashboard[len("http://") :], environment=head.environment)
    assert process.returncode == 2
    assert "web server" in process.stderr


def test_a_private_cluster_makes_its_token_and_keeps_its_dashboard_to_this_machine(head, tmp_path):
    code = """
import json, urllib.error, urllib.request
from pathlib import Path
import ray
from raylab2f.cluster.session import ray_session

def ask(url, token=None):
    request = urllib.request.Request(url + "/api/jobs/", headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code

urls = []
with ray_session(cpus=1, dashboard=urls.append):
    file = Path.home() / ".ray" / "auth_token"
    mode = oct(file.stat().st_mode & 0o777)
    port = ray.nodes()[0]["MetricsExportPort"]
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read(100_000).decode()
    print(json.dumps([urls[0], mode, ask(urls[0]), ask(urls[0], file.read_text()), metrics]))
"""
    environment = {**head.stranger, "HOME": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    with watched_listeners(process.pid) as seen:
        said, _ = process.communicate(timeout=400)
    url, mode, without, with_token, metrics = json.loads(said)
    assert url.startswith("http://127.0.0.1:")
    assert (mode, without, with_token) == ("0o600", 401, 200)
    assert "ray_" in metrics
    assert seen == set()
