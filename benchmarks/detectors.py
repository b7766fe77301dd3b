"""Detectors side by side: the same pictures, backbone, folds and thread, fold by fold in this process.

    python benchmarks/detectors.py results.jsonl --data mtd=../shared/data/mtd --detector glass --detector padim
    python benchmarks/detectors.py results.jsonl --data demo --detector glass:hypothesis=manifold,noise_std=0.1

One line of JSON per fold; what is there already is not run again. `python benchmarks/detector_tables.py results.jsonl`
makes the tables.
"""

import argparse
import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from sklearn.metrics import roc_auc_score

from raylab2f.cluster.session import ray_session
from raylab2f.datasets.demo import DemoConfig
from raylab2f.datasets.manifest import fingerprint
from raylab2f.detectors.registry import config_from_dict, config_to_dict
from raylab2f.files.atomic import write_parquet
from raylab2f.files.parquet import read_parquet
from raylab2f.options.detector_settings import configure
from raylab2f.reporting import Display
from raylab2f.runs.data import open_dataset, rendered_dataset
from raylab2f.runs.fold import FoldTask, run_fold
from raylab2f.runs.folder import DataSettings, RunSettings
from raylab2f.runs.splits import plan_splits, settled_merge
from raylab2f.workflows.inputs import prepare_inputs

#: Rendered parts: turned and in every light; nearly upright, evenly lit, with larger defects.
DEMOS = {
    "demo": DemoConfig(),
    "demo-upright": DemoConfig(
        nominal_objects=80,
        anomalous_objects=30,
        views=3,
        angle_range=(0, 30),
        angle_jitter=1.0,
        exposure_spread=0.05,
        defect_size=1.5,
    ),
}
#: Objects of data sets whose names say it.
OBJECTS = {"kolektorsdd": r"(?P<object>kos\d+)/"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--data", action="append", required=True, help="NAME=FOLDER, or a demo: " + ", ".join(DEMOS))
    parser.add_argument("--detector", action="append", required=True, help="NAME[/PRESET][:SETTING=VALUE,...]")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where to train and score: cpu or cuda")
    parser.add_argument("--cache", type=Path, default=Path("build/benchmark-cache"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = {(r["data"], r["detector"], r["seed"], r["fold"]) for r in read_results(options.results)}
    for data in options.data:
        for detector in options.detector:
            name = data.partition("=")[0]
            missing = [k for k in range(options.folds) if (name, detector, options.seed, k) not in done]
            if missing:
                run(options, data, detector, missing)


def read_results(path):
    """Every line of a file of results."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(options, data, detector, folds):
    """Some folds of a detector on a data set, to a line each."""
    display, cache = Display(Console(quiet=True)), options.cache
    name, _, folder = data.partition("=")
    config = config_of(detector)
    place = folder or rendered_dataset(DEMOS[name], cache, display)
    settings = RunSettings(
        DataSettings(str(place), object_id=OBJECTS.get(name)),
        re.split("[/:]", detector)[0],
        "fast",
        config_to_dict(config),
        folds=options.folds,
        seed=options.seed,
    )
    dataset = open_dataset(settings.data, cache, display)
    identity = fingerprint(dataset.manifest)
    with ray_session(cpus=1):
        inputs = prepare_inputs(settings, dataset.manifest, identity, cache, display)
    merge = (settled_merge(settings, dataset.manifest) or {"merged": True})["merged"]
    splits = plan_splits(settings, dataset.manifest, inputs.pictures, identity, merge=merge)
    with tempfile.TemporaryDirectory() as temporary:
        manifest = Path(temporary) / "pictures.parquet"
        write_parquet(manifest, inputs.pictures)
        for fold in folds:
            out = Path(temporary) / str(fold)
            out.mkdir()
            write_parquet(out / "split.parquet", splits[fold])
            task = FoldTask(
                folder=str(out),
                fold=fold,
                manifest=str(manifest),
                detector=settings.detector,
                config=settings.config,
                seed=settings.seed,
                pictures=inputs.pictures_place,
                stores=inputs.stores,
            )
            losses = []
            cpu, wall = time.process_time(), time.perf_counter()
            device = torch.device(options.device)
            run_fold(task, lambda numbers, losses=losses: losses.append(round(numbers["loss"], 4)), device=device)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            scores = read_parquet(out / "scores.parquet").to_pandas()
            judged = scores[scores["partition"] == "inference"]
            objects = judged.groupby("object_id").agg({"label": "max", "score": "max"})
            by_map = scores_of_maps(read_parquet(out / "maps.parquet"), judged)
            record = json.loads((out / "fold.json").read_text())
            line = {
                "data": name,
                "detector": detector,
                "seed": options.seed,
                "fold": fold,
                "auroc": roc_auc_score(judged["label"], judged["score"]),
                "object_auroc": roc_auc_score(objects["label"], objects["score"]),
                "auroc_of_map_scores": by_map,
                "cpu_seconds": cpu,
                "seconds": wall,
                "losses": losses,
                "decisions": record["decisions"],
                "scores": {
                    row["image_id"]: [row["object_id"], row["label"], round(row["score"], 6)]
                    for row in judged.to_dict("records")
                },
            }
            with options.results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(
                f"{name:14} {detector:50} fold {fold} AUROC {line['auroc']:.3f} objects {line['object_auroc']:.3f} "
                f"{cpu:6.1f} s {by_map} {record['decisions']}",
                flush=True,
            )


def scores_of_maps(maps, judged):
    """Picture AUROC if the score were the mean of so many of the map's highest values; `all`: of all."""
    values = maps["map"].combine_chunks().to_numpy_ndarray().reshape(maps.num_rows, -1)
    values = -np.sort(-values, axis=1)
    place = {name: row for row, name in enumerate(maps["image_id"].to_pylist())}
    values = values[[place[name] for name in judged["image_id"]]]
    counts = {str(k): k for k in (1, 3, 10, 30) if k < values.shape[1]} | {"all": values.shape[1]}
    return {name: round(roc_auc_score(judged["label"], values[:, :k].mean(axis=1)), 3) for name, k in counts.items()}


def config_of(detector):
    """The configuration that `NAME[/PRESET][:SETTING=VALUE,...]` stands for."""
    what, _, changes = detector.partition(":")
    name, _, preset = what.partition("/")
    settings = re.split(r",(?=\w+=)", changes) if changes else []
    return replace(config_from_dict(name, configure(name, preset or "fast", {}, settings)), init_seed=0)


if __name__ == "__main__":
    main()
