"""Which way of carrying thresholds from folds to a refit keeps what the run promises.

Again and again a part of the parts is kept from everything. On the others a run of folds is made, which gives outcomes
with intervals; one more detector trains on all of their good parts, gets its threshold in every way, and judges the
parts that were kept. Whether its escapes and overkill lie within the run's intervals is counted.

    python benchmarks/carried_thresholds.py results.jsonl --data demo --data mtd=../shared/data/mtd --detector padim
    python benchmarks/carried_thresholds.py results.jsonl --table

One line of JSON per repetition; what is there already is not run again.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from detectors import DEMOS, OBJECTS, config_of
from rich.console import Console

from raylab2f.cluster.session import ray_session
from raylab2f.datasets.manifest import fingerprint
from raylab2f.detectors.registry import config_to_dict
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.decisions.carried import WAYS, FoldScores, carry_threshold
from raylab2f.files.atomic import write_parquet
from raylab2f.files.parquet import read_parquet
from raylab2f.reporting import Display
from raylab2f.runs.data import open_dataset, rendered_dataset
from raylab2f.runs.fold import FoldTask, run_fold
from raylab2f.runs.folder import DataSettings, RunSettings
from raylab2f.runs.splits import plan_splits
from raylab2f.seeding import numpy_generator
from raylab2f.workflows.inputs import prepare_inputs
from raylab2f.workflows.model_thresholds import units_of

STRATEGIES = ("youden", "target-fpr:0.05")
RATES = ("escape_rate", "overkill_rate")
KEPT = 0.4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--data", action="append", default=[], help="NAME=FOLDER, or a demo: " + ", ".join(DEMOS))
    parser.add_argument("--detector", action="append", default=[])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--cache", type=Path, default=Path("build/benchmark-cache"))
    parser.add_argument("--table", action="store_true", help="print the table of what is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    rows = [json.loads(line) for line in lines]
    if options.table:
        print(table(rows))
        return
    done = {(row["data"], row["detector"], row["repetition"]) for row in rows}
    for data in options.data:
        for detector in options.detector:
            name = data.partition("=")[0]
            missing = [r for r in range(options.repetitions) if (name, detector, r) not in done]
            if missing:
                run(options, data, detector, missing)


def run(options, data, detector, repetitions):
    """Some repetitions, to a line each."""
    display, cache = Display(Console(quiet=True)), options.cache
    name, _, folder = data.partition("=")
    place = folder or rendered_dataset(DEMOS[name], cache, display)
    config = config_to_dict(config_of(detector))
    source = DataSettings(str(place), object_id=OBJECTS.get(name))
    settings = RunSettings(source, detector.partition("/")[0], "fast", config, folds=options.folds)
    dataset = open_dataset(settings.data, cache, display)
    identity = fingerprint(dataset.manifest)
    with ray_session(cpus=1):
        inputs = prepare_inputs(settings, dataset.manifest, identity, cache, display)
    for repetition in repetitions:
        kept = kept_apart(dataset.manifest, repetition)
        line = {"data": name, "detector": detector, "repetition": repetition}
        with options.results.open("a") as file:
            file.write(json.dumps(line | repeat(settings, dataset.manifest, inputs, identity, repetition, kept)) + "\n")


def kept_apart(manifest, repetition):
    """Objects of either class that neither the run nor the refit sees."""
    owners = np.array(manifest["object_id"].to_pylist())
    defective = set(owners[np.asarray(manifest["label"]) == 1])
    kept = set()
    for label in (0, 1):
        own = sorted(owner for owner in set(owners) if (owner in defective) == bool(label))
        order = numpy_generator(repetition, "kept apart", label).permutation(len(own))
        kept |= {own[place] for place in order[: round(KEPT * len(own))]}
    return kept


def repeat(settings, manifest, inputs, identity, repetition, kept):
    is_kept = pa.array([owner in kept for owner in manifest["object_id"].to_pylist()])
    rest, apart = manifest.filter(pc.invert(is_kept)), manifest.filter(is_kept)
    pictures = inputs.pictures.filter(pc.is_in(inputs.pictures["object_id"], rest["object_id"].combine_chunks()))
    own = RunSettings(**{**vars(settings), "seed": repetition})
    splits = plan_splits(own, rest, pictures, f"{identity}-{repetition}", merge=True)
    owners = np.array(rest["object_id"].to_pylist())
    defective = np.isin(owners, owners[np.asarray(rest["label"]) == 1])
    refit = pa.concat_tables(
        [
            pa.table({"image_id": rest["image_id"], "object_id": rest["object_id"], "partition": parts})
            for rest, parts in (
                (rest, pa.array(np.where(defective, "threshold", "train"))),
                (apart, pa.array(["inference"] * apart.num_rows)),
            )
        ]
    )
    tables = []
    with tempfile.TemporaryDirectory() as temporary:
        write_parquet(Path(temporary) / "pictures.parquet", inputs.pictures)
        for number, split in enumerate([*splits, refit]):
            out = Path(temporary) / str(number)
            out.mkdir()
            write_parquet(out / "split.parquet", split)
            task = FoldTask(
                str(out), number, f"{temporary}/pictures.parquet", settings.detector, settings.config, repetition,
                inputs.pictures_place, inputs.stores,
            )  # fmt: skip
            run_fold(task, lambda numbers: None)
            tables.append(read_parquet(out / "scores.parquet"))
    *folds, last = tables
    summary = evaluate(pa.concat_tables(folds), strategies=list(STRATEGIES), replicates=1000, seed=repetition)
    return {"ways": judge(summary, folds, last)}


def judge(summary, folds, refit):
    """By strategy, way and rate: the refit's rate on kept parts, the run's, and its interval."""
    units = [units_of(table, "object", "max") for table in folds]
    _, labels, scores = units_of(refit.filter(pc.equal(refit["partition"], "inference")), "object", "max")
    anchor_names, _, anchor_scores = units_of(refit.filter(pc.equal(refit["partition"], "threshold")), "object", "max")
    anchors = dict(zip(anchor_names.tolist(), anchor_scores.tolist(), strict=True))
    metrics = summary.metrics.to_pylist()
    found = {}
    for strategy in STRATEGIES:
        thresholds = {
            row["fold"]: row["threshold"]
            for row in metrics
            if row["strategy"] == strategy and row["level"] == "object" and row["threshold"] is not None
        }
        by_fold = {k: FoldScores(*units[k], threshold) for k, threshold in thresholds.items()}
        for way in WAYS:
            threshold = carry_threshold(way, by_fold, anchors)
            flagged = scores >= threshold
            rates = {"escape_rate": 1 - flagged[labels == 1].mean(), "overkill_rate": flagged[labels == 0].mean()}
            for rate in RATES:
                row = summary.find(rate, level="object", strategy=strategy)
                ends = [row.interval.low, row.interval.high] if row.interval else [0.0, 1.0]
                found[f"{strategy} {way} {rate}"] = [float(rates[rate]), row.mean, *ends]
    return found


def table(rows):
    """Markdown: by data set, detector and way, how often both rates lay in the run's intervals, and how far off."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["data"], row["detector"]].append(row["ways"])
    lines = [
        "| data | detector | strategy | way | escapes inside | overkill inside | both | mean distance of escapes | "
        "of overkill | bias of escapes | of overkill |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (data, detector), found in groups.items():
        for strategy in STRATEGIES:
            for way in WAYS:
                values = np.array([[one[f"{strategy} {way} {rate}"] for rate in RATES] for one in found])
                rate, mean, low, high = np.moveaxis(values, 2, 0)
                inside = (rate >= low - 1e-9) & (rate <= high + 1e-9)
                off, bias = np.abs(rate - mean).mean(axis=0), (rate - mean).mean(axis=0)
                lines.append(
                    f"| {data} | {detector} | `{strategy}` | `{way}` | {inside[:, 0].mean():.2f} | "
                    f"{inside[:, 1].mean():.2f} | {inside.all(axis=1).mean():.2f} | {off[0]:.3f} | {off[1]:.3f} | "
                    f"{bias[0]:+.3f} | {bias[1]:+.3f} |"
                )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
