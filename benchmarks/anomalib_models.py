"""Which of anomalib's models train and judge here, at the preset `fast`: each in a process of its own.

    python benchmarks/anomalib_models.py                 # all; or the names of some
    python benchmarks/anomalib_models.py --one Patchcore # in this process, as JSON

Twenty rendered surfaces train for one epoch, eight are judged together, four of them alone. Writes anomalib_models.md.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from raylab2f.detectors.anomalib.models import KNOWN
from raylab2f.detectors.base import Samples, Schedule
from raylab2f.detectors.registry import detector_class, preset_config
from raylab2f.detectors.training import predict_batches
from raylab2f.errors import UserError
from raylab2f.runs.measured import batch_dependence

PAGE = Path(__file__).with_suffix(".md")
TRAINING, JUDGED, SEED = 20, 8, 0
LIMIT_SECONDS = 900
#: Others that anomalib 2.7 has.
MORE = ("AnomalyVFM", "CFM", "FoundAD", "GeneralAD", "Patchflow", "VlmAd")
#: Arguments without which a model has no meaning on pictures of this size, or no files.
SETTINGS = {"Fre": ("input_dim=2800",), "Patchcore": ("coreset_sampling_ratio=0.1",)}


def surfaces(count, size):
    """Pictures (count, *size, 3) of one texture in changing light, those of the last half with a scratch each."""
    generator = np.random.default_rng(SEED)
    texture = generator.normal(0, 25, (*size, 3))
    pictures = 120 + texture + generator.normal(0, 8, (count, *size, 3)) + generator.normal(0, 10, (count, 1, 1, 1))
    for number in range(count // 2, count):
        row, column = generator.integers(10, min(size) - 40, 2)
        pictures[number, row : row + 4, column : column + 30] = 240
    return torch.from_numpy(pictures.clip(0, 255).astype(np.uint8))


def examine(model):
    """One row of the table."""
    name = f"anomalib:{model}"
    torch.set_num_threads(1)
    try:
        config = preset_config(name, "fast")
        cls = detector_class(name)
        config = replace(config, options=SETTINGS.get(model, ()))
        planned = config.schedule.epochs
        epochs = planned if planned <= 3 else 1
        config = replace(config, schedule=Schedule(epochs, min(config.schedule.batch_size, TRAINING)))
        cls.check_config(config)
        detector = cls(config, [])
        pictures = surfaces(2 * max(TRAINING, JUDGED), config.size)
        started = time.process_time()
        detector.begin(Samples([], pictures[:TRAINING]), SEED)
        trained = time.process_time() - started
        judged = Samples([], pictures[len(pictures) // 2 - JUDGED // 2 :][:JUDGED])
        started = time.process_time()
        ((scores, _),) = predict_batches(detector, judged, JUDGED)
        judging = time.process_time() - started

        def alone(place):
            ((score, _),) = predict_batches(detector, Samples([], judged.pictures[place : place + 1]), 1)
            return float(score[0])

        apart = batch_dependence(scores.numpy(), alone)
        again = cls(config, [])
        again.load_state_dict(detector.state_dict())
        ((loaded, _),) = predict_batches(again.eval(), judged, JUDGED)
    except UserError as error:
        return {"model": model, "fault": str(error)}
    return {
        "model": model,
        "size": list(config.size),
        "epochs": planned,
        "seconds": trained / TRAINING / epochs,
        "judging": judging / JUDGED,
        "maps": detector.gives_maps,
        "apart": apart,
        "loads": bool(torch.equal(loaded, scores)),
        "chosen": "backbone" in {n.split("=")[0] for n in config.options} or _is_on_chosen(detector),
    }


def _is_on_chosen(detector):
    from raylab2f.detectors.anomalib.models import backbone_arguments

    return bool(backbone_arguments(type(detector).made_from, "any", ("any",)))


def separate(model):
    """The row of a model, from a process that may die."""
    command = [sys.executable, __file__, "--one", model]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        return json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
        return {"model": model, "fault": f"did not end within {LIMIT_SECONDS} s ({type(error).__name__})"}


def _reason(fault):
    """Why a model does not train here, in few words."""
    said = fault.partition(": ")[2].replace("|", "/")
    if "fetches files from the network" in said:
        return "needs files of the network, in the caches of torch or of the Hugging Face hub"
    if "open_clip" in said:
        return "needs `pip install 'anomalib[clip]'` and files of the network"
    within = said.partition("(")[2].rpartition(")")[0] or said.rstrip(".")
    # The error's class and the line in anomalib say nothing to a reader of a table.
    return "not on this backbone: " + within.partition(": ")[2].rpartition(", ")[0] if "(" in said else within


def table(rows):
    """Markdown."""
    lines = [
        "| model | here | backbone | pictures | epochs of `fast` | s per picture and epoch | s to judge | maps "
        "| alone - in a batch | loads again |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: ("fault" in row, row["model"])):
        if "fault" in row:
            lines.append(f"| `{row['model']}` | {_reason(row['fault'])} | | | | | | | | |")
            continue
        height, width = row["size"]
        apart = "same" if row["apart"] < 1e-3 else f"**{row['apart']:.0%} of the range**"
        lines.append(
            f"| `{row['model']}` | works | {'chosen' if row['chosen'] else 'its own'} | {height} x {width} "
            f"| {row['epochs']} | {row['seconds']:.2f} | {row['judging']:.2f} "
            f"| {'yes' if row['maps'] else 'no'} | {apart} | {'exactly' if row['loads'] else 'differs'} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=sorted((*KNOWN, *MORE)))
    parser.add_argument("--one")
    parser.add_argument("--results", type=Path, default=Path("build/anomalib_models.jsonl"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(examine(options.one)))
        return
    options.results.parent.mkdir(parents=True, exist_ok=True)
    known = {}
    if options.results.exists():
        known = {row["model"]: row for row in map(json.loads, options.results.read_text().splitlines())}
    for model in options.models:
        if model not in known:
            known[model] = separate(model)
            print(known[model], flush=True)
            with options.results.open("a") as file:
                file.write(json.dumps(known[model]) + "\n")
    said = __doc__.partition("\n\n")[0]
    head, _, tail = (
        PAGE.read_text().partition("<!-- table -->") if PAGE.exists() else ("# anomalib's models\n\n", "", "")
    )
    machine = platform.processor() or platform.machine()
    note = (
        f"{said} One thread of {machine}, CPU seconds; anomalib {version('anomalib')}, "
        f"torch {torch.__version__}, lightning {version('lightning')}."
    )
    rest = tail.partition("<!-- end -->")[2] or "\n"
    PAGE.write_text(f"{head}<!-- table -->\n{note}\n\n{table(known.values())}\n<!-- end -->{rest}")


if __name__ == "__main__":
    main()
