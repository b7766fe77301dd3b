"""A cluster that has no GPU yet and may grow: folds wait for GPUs, and the autoscaler adds them."""

import json
import subprocess

import pytest
from ray_head import BIN, Head


@pytest.fixture(scope="module")
def growing(tmp_path_factory):
    """A head without GPUs, and an autoscaler that may add two nodes of one slot and one (pretended) GPU."""
    pytest.importorskip("aiohttp_cors", reason="needs raylab2f[cluster]")
    config = {
        "cluster_name": "growing",
        "max_workers": 2,
        "provider": {"type": "fake_multinode"},
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0},
            "with-gpu": {"resources": {"CPU": 1, "GPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
        },
        "head_node_type": "ray.head.default",
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": 10,
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        **{
            name: []
            for name in (
                "initialization_commands",
                "setup_commands",
                "head_setup_commands",
                "worker_setup_commands",
                "head_start_ray_commands",
                "worker_start_ray_commands",
                "cluster_synced_files",
                "rsync_exclude",
                "rsync_filter",
            )
        },
        "file_mounts_sync_continuously": False,
    }
    with Head(tmp_path_factory.mktemp("growing"), cpus=1, autoscaling=config) as head:
        yield head


@pytest.mark.slow
def test_features_and_folds_that_need_a_gpu_make_the_cluster_grow(growing, pictures, tmp_path):
    options = ["--preset", "fast", "--detector", "csflow", "--layers", "blocks.4", "--size", 64, "--epochs", 1]
    options += [
        "--data",
        pictures,
        "--cache",
        tmp_path / "cache",
        "--out",
        tmp_path / "run",
        "--folds",
        2,
        "--replicates",
        200,
    ]
    assert growing.alive_nodes() == 1
    subprocess.run(
        [
            BIN / "raylab2f",
            "run-cv",
            "--address",
            growing.address,
            "--grow",
            "--gpus-per-fold",
            "1",
            *map(str, options),
        ],
        env=growing.environment,
        check=True,
        timeout=500,
    )
    # One node may have done both folds before the other was ready.
    assert growing.alive_nodes() in (2, 3)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["folds"] == {"planned": 2, "finished": 2}
