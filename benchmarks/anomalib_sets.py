"""Own detectors beside anomalib's on several data sets: the same folds, backbone and size of pictures.

    python benchmarks/anomalib_sets.py mtd=RUNS kolektorsdd=RUNS casting=RUNS

Each RUNS is the folder of a `run-cv` command with several detectors (see anomalib_sets.md for the commands). Writes the
table of anomalib_sets.md: AUROC with interval (of objects, or of pictures where there are no good objects), seconds and
memory of a fold, and the paired difference between the best of either side.
"""

import argparse
from importlib.metadata import version
from pathlib import Path

import torch

from raylab2f.evaluation.comparison.run_scores import agreed_settings, read_run
from raylab2f.evaluation.comparison.runs import compare_scores
from raylab2f.plugins import ANOMALIB
from raylab2f.workflows.ranking import METRIC, rank_runs

PAGE = Path(__file__).with_suffix(".md")


def is_others(detector):
    return detector.startswith(f"{ANOMALIB}:")


def table_of(ranking):
    lines = ["| rank | detector | AUROC (95 % interval) | a fold takes | memory |", "|---|---|---|---|---|"]
    for row in ranking["ranking"]:
        interval = f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        cost = f"{row['fold_seconds']:.0f} s | {row['fold_memory'] / 1e9:.1f} GB"
        lines.append(f"| {row['rank']} | `{row['detector']}` | {interval} | {cost} |")
    return lines


def sentence_of(ranking):
    """The best of ours less the best of anomalib's."""
    rows = ranking["ranking"]
    ours = next(row for row in rows if not is_others(row["detector"]))
    theirs = next(row for row in rows if is_others(row["detector"]))
    runs = [read_run(Path(row["run"]), row["detector"]) for row in (ours, theirs)]
    tables = {run.name: run.scores for run in runs}
    compared = compare_scores(
        tables, metrics=(METRIC,), levels=(ranking["level"],), **agreed_settings(runs, {})
    ).differences[0]
    test = compared.bootstrap
    assert test is not None
    return (
        f"Best of ours less best of anomalib's (`{ours['detector']}`, `{theirs['detector']}`): "
        f"{compared.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f})."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="NAME=RUNS")
    lines = []
    for argument in parser.parse_args().sets:
        name, _, folder = argument.partition("=")
        runs = sorted(str(path.parent) for path in Path(folder).glob("*/summary.json"))
        ranking = rank_runs(runs)
        level = {"object": "parts", "image": "pictures"}[ranking["level"]]
        lines += [f"**{name}**, by {level}:", "", *table_of(ranking), "", sentence_of(ranking), ""]
    lines.append(f"anomalib {version('anomalib')}, torch {torch.__version__}.")
    head, _, tail = PAGE.read_text(encoding="utf-8").partition("<!-- table -->")
    rest = tail.partition("<!-- end -->")[2] or "\n"
    table = "\n".join(lines)
    PAGE.write_text(f"{head}<!-- table -->\n{table}\n<!-- end -->{rest}", encoding="utf-8")


if __name__ == "__main__":
    main()
