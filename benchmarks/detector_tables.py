"""Tables of `benchmarks/detectors.py`'s results: AUROC with intervals, and differences to a detector, paired.

    python benchmarks/detector_tables.py results.jsonl [--against patchcore] [--metric auroc]

Intervals are those of `raylab2f.evaluation` (bootstrap over objects, all folds together), 95 %.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from detectors import read_results

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.comparison.runs import compare_scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--against", help="print each detector's AUROC minus this one's")
    parser.add_argument("--level", choices=("image", "object"), default="image")
    options = parser.parse_args()
    found = defaultdict(dict)
    for path in options.results:
        for line in read_results(path):
            found[line["data"]].setdefault(line["detector"], {})[line["fold"]] = line
    detectors = list(dict.fromkeys(name for some in found.values() for name in some))
    print("| data | " + " | ".join(detectors) + " |")
    print("|---|" + "---|" * len(detectors))
    for data, some in found.items():
        print(f"| {data} | " + " | ".join(cell(some, name, options) for name in detectors) + " |")


def cell(some, name, options):
    """A detector's figure on a data set, with its interval and CPU seconds a fold."""
    if name not in some:
        return ""
    own = table(some[name])
    rules = {"strategies": ("youden",), "replicates": 2000}
    if options.against and options.against != name:
        tables = {name: own, options.against: table(some[options.against])}
        compared = compare_scores(tables, metrics=("auroc",), levels=(options.level,), **rules)
        row = compared.differences[0]
        return f"{row.difference:+.3f} ({row.bootstrap.low:+.3f} to {row.bootstrap.high:+.3f})"
    row = evaluate(own, **rules, methods=("object-bootstrap",)).find("auroc", level=options.level)
    seconds = np.median([line["cpu_seconds"] for line in some[name].values()])
    return f"{row.mean:.3f} ({row.interval.low:.3f} to {row.interval.high:.3f}), {seconds:.0f} s"


def table(folds):
    """The score table of a detector's folds; judged pictures alone, for AUROC needs no threshold."""
    rows = [
        {"fold": fold, "partition": partition, "image_id": prefix + image_id, "object_id": prefix + object_id}
        | {"label": label, "score": score}
        for fold, line in folds.items()
        for image_id, (object_id, label, score) in line["scores"].items()
        # Thresholds, which nothing here depends on, are chosen on a copy.
        for partition, prefix in (("inference", ""), ("threshold", "copy of "))
    ]
    return pa.Table.from_pylist(rows)


if __name__ == "__main__":
    main()
