"""A live run as Prometheus sees it, and what the shipped Grafana dashboard asks for."""

import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path

from ray_head import BIN

from raylab2f.cluster import monitoring

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"


# Without those that need a GPU, or a fold that has ended.
EXPECTED = {
    *(f"raylab2f_{name}" for name in ("folds", "epoch", "epochs", "loss", "pictures_per_second")),
    "raylab2f_features_total",
}


def running(samples):
    """How many folds train, by these samples."""
    return sum(value for name, tags, value in samples if name == "raylab2f_folds" and tags["state"] == "running")


def scrape(port):
    """Samples as (name, tags, value)."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:  # the node's agent starts after its head
        return []
    samples = []
    for line in lines:
        found = re.fullmatch(r"ray_(raylab2f_\w+)\{(.*)\} (\S+)", line)
        if found:
            samples.append((found[1], dict(re.findall(r'(\w+)="([^"]*)"', found[2])), float(found[3])))
    return samples


def test_a_live_run_is_seen_by_prometheus(head, pictures, cache, tmp_path):
    out = tmp_path / "watched"
    options = ["--data", pictures, "--cache", cache, "--out", out, "--preset", "fast", "--size", 64, "--epochs", 3000]
    process = subprocess.Popen(
        [
            BIN / "raylab2f",
            "run-cv",
            "--address",
            head.address,
            "--detector",
            "csflow",
            "--layers",
            "blocks.4",
            "--folds",
            "2",
        ]
        + [str(option) for option in [*options, "--max-parallel-folds", 1, "--tensorboard"]],
        env=head.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 400
        seen = []
        # Driver and trial send their metrics at their own times.
        while not {"raylab2f_folds", "raylab2f_loss", "raylab2f_features_total"} <= {name for name, _, _ in seen}:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline, seen
            time.sleep(0.5)
            seen = [sample for sample in scrape(head.metrics_port) if sample[1].get("run") == "watched"]
    finally:
        process.kill()
        process.communicate()
    assert {tags["detector"] for _, tags, _ in seen} == {"csflow"}
    folds = {tags["state"]: value for name, tags, value in seen if name == "raylab2f_folds"}
    assert folds == {"planned": 1, "running": 1, "finished": 0, "failed": 0}
    [(fold, epoch)] = [(tags["fold"], value) for name, tags, value in seen if name == "raylab2f_epoch"]
    assert fold in {"0", "1"}
    assert 1 <= epoch <= 3000
    [epochs] = [value for name, _, value in seen if name == "raylab2f_epochs"]
    assert epochs == 3000
    [speed] = [value for name, _, value in seen if name == "raylab2f_pictures_per_second"]
    assert speed > 0
    assert sum(value for name, _, value in seen if name == "raylab2f_features_total") == 48
    assert list(out.glob("tensorboard/fold-*/events*"))


def test_the_dashboard_draws_what_is_recorded():
    documented = set(re.findall(r"`(raylab2f_\w+)`", monitoring.__doc__))
    queries = [
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
        for target in panel.get("targets", [])
    ]
    drawn = {
        re.sub(r"_(total|bucket|sum|count)$", "", n) for q in queries for n in re.findall(r"ray_(raylab2f_\w+)", q)
    }
    assert drawn == documented
