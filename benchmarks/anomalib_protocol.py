"""anomalib's own evaluation beside this project's, on Magnetic Tile Defects: the same models, backbone and pictures.

    python benchmarks/anomalib_protocol.py ../shared/data/mtd RUNS BY_PICTURE

RUNS: folder of `run-cv --data mtd --folds 3 --threshold f1 --detector anomalib:Padim --detector anomalib:Dfm`;
BY_PICTURE: of the same with `--split-by picture`.
anomalib's part: its engine with its folder data module; the threshold is the one of the largest F1 on its validation
pictures, which are the test pictures themselves (its usual setting for MVTec AD) or half of them (for folders).
Writes anomalib_protocol.md.
"""

import argparse
import json
import logging
import tempfile
import warnings
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from raylab2f.detectors.registry import detector_class, preset_config

PAGE = Path(__file__).with_suffix(".md")
MODELS = {"Padim": (), "Dfm": (), "Patchcore": ("coreset_sampling_ratio=0.002",)}
SEEDS = range(1)
MODES = {"same_as_test": "anomalib, threshold on the test pictures", "from_test": "anomalib, threshold on half of them"}


def anomalib_outcomes(data, model, mode, seed):
    """AUROC, F1, shares of escapes and of overkill that anomalib's evaluation comes to, on pictures."""
    from anomalib.data import Folder
    from anomalib.engine import Engine
    from anomalib.post_processing import PostProcessor
    from lightning import seed_everything
    from sklearn.metrics import f1_score, roc_auc_score

    seed_everything(seed, verbose=False)
    name = f"anomalib:{model}"
    config = replace(preset_config(name, "fast"), options=MODELS[model])
    module = detector_class(name)(config, []).module
    # What the detector turns off: its threshold and normalisation.
    module.post_processor = PostProcessor()
    module.train()
    defective = sorted(path.name for path in data.iterdir() if path.is_dir() and path.name != "MT_Free")
    pictures = Folder(
        name="mtd",
        root=data,
        normal_dir="MT_Free/Imgs",
        abnormal_dir=[f"{kind}/Imgs" for kind in defective],
        extensions=(".jpg",),
        val_split_mode=mode,
        num_workers=0,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(default_root_dir=folder, logger=False, enable_progress_bar=False, accelerator="cpu", devices=1)
        engine.fit(module, datamodule=pictures)
        batches = engine.predict(module, dataloaders=pictures.test_dataloader())
    label, score, verdict = (
        np.concatenate([getattr(batch, field).float().cpu().numpy().reshape(-1) for batch in batches])
        for field in ("gt_label", "pred_score", "pred_label")
    )
    bad = label > 0
    return {
        "auroc": float(roc_auc_score(bad, score)),
        "f1": float(f1_score(bad, verdict > 0)),
        "escape_rate": float(1 - verdict[bad].mean()),
        "overkill_rate": float(verdict[~bad].mean()),
        "pictures": len(label),
    }


def own_row(run, level):
    """The same of a run, with intervals."""
    estimates = json.loads((run / "summary.json").read_text(encoding="utf-8"))["estimates"]
    found = {(e["strategy"], e["level"], e["metric"]): e for e in estimates}
    cells = []
    for metric in ("auroc", "f1", "escape_rate", "overkill_rate"):
        estimate = found.get(("f1", level, metric)) or found[("any", level, metric)]
        interval = estimate["interval"]
        cells.append(f"{estimate['mean']:.3f} ({interval['low']:.3f} to {interval['high']:.3f})")
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("by_picture", type=Path)
    parser.add_argument("--model", action="append", choices=list(MODELS), help="Padim and Dfm, if none is named")
    parser.add_argument("--results", type=Path, default=Path("build/anomalib_protocol.jsonl"))
    options = parser.parse_args()
    models = options.model or ["Padim", "Dfm"]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    done = {}
    if options.results.exists():
        done = {tuple(row["key"]): row for row in map(json.loads, options.results.read_text().splitlines())}
    for model in models:
        for mode in MODES:
            for seed in SEEDS:
                key = (model, mode, seed)
                if key not in done:
                    done[key] = {"key": key, **anomalib_outcomes(options.data.resolve(), model, mode, seed)}
                    with options.results.open("a") as file:
                        file.write(json.dumps(done[key]) + "\n")
                    print(done[key], flush=True)
    lines = ["| model | evaluation | AUROC | F1 | escapes | overkill |", "|---|---|---|---|---|---|"]
    for model in models:
        for mode, words in MODES.items():
            rows = [done[(model, mode, seed)] for seed in SEEDS]
            cells = []
            for metric in ("auroc", "f1", "escape_rate", "overkill_rate"):
                values = [row[metric] for row in rows]
                cells.append(f"{np.mean(values):.3f}")
            lines.append(f"| {model} | {words} | {' | '.join(cells)} |")
        for runs, level, words in (
            (options.by_picture, "image", "this project with `--split-by picture`"),
            (options.runs, "image", "**this project**, pictures"),
            (options.runs, "object", "**this project**, tiles"),
        ):
            [run] = [path.parent for path in runs.glob(f"anomalib-{model}-seed*/summary.json")]
            lines.append(f"| {model} | {words}; 95 % interval | {' | '.join(own_row(run, level))} |")
    versions = f"anomalib {version('anomalib')}, torch {torch.__version__}"
    head, _, tail = PAGE.read_text().partition("<!-- table -->") if PAGE.exists() else ("", "", "")
    rest = tail.partition("<!-- end -->")[2] or "\n"
    table = "\n".join(lines)
    PAGE.write_text(f"{head}<!-- table -->\n{table}\n\n{versions}.\n<!-- end -->{rest}")


if __name__ == "__main__":
    main()
