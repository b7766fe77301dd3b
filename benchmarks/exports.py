"""How exported files differ from the model, and how long a picture takes, one thread each.

Run: OMP_NUM_THREADS=1 python benchmarks/exports.py MODEL [MODEL ...] [--run RUN ...] [--pictures 60]
with models of `raylab2f finalise`, each with the run it comes from, whose pictures are judged from their files.
The results go to exports.md beside this file.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from raylab2f.models.export.certificate import compare, findings
from raylab2f.models.export.formats import format_of
from raylab2f.models.export.graph import JudgingGraph
from raylab2f.models.folder import load_model
from raylab2f.models.judging import threads_limited
from raylab2f.workflows.exporting import _run_examples

KINDS = [("onnx", "float32"), ("openvino", "float32"), ("pt2", "float32"), ("onnx", "float16"), ("onnx", "int8")]
_MARGIN = 1e-4
_TIMED = 15


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+")
    parser.add_argument("--run", nargs="+", required=True)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    rows = []
    for model, run in zip(given.models, given.run, strict=True):
        judge = load_model(model, "cpu")
        every = list(_run_examples(run, judge.record))
        # Spread over the run, for they are sorted by name, the defective ones first.
        examples = list(islice(every, 0, None, max(1, len(every) // given.pictures)))
        one = examples[0].picture
        with threads_limited(1):
            base = _milliseconds(lambda pictures, judge=judge: judge.look(list(pictures)), one)
            for kind, precision in KINDS:
                if given.only in f"{kind}-{precision}":
                    rows.append([judge.record.detector, *_measured(judge, kind, precision, examples), base])
                    print(rows[-1], flush=True)
                    _write(rows, len(examples))


def _write(rows, pictures):
    head = ["detector", "file", "largest difference", "of the threshold", "verdicts changed", "beyond the margin", "ms"]
    lines = ["| " + " | ".join([*head, "ms, model"]) + " |", "|" + "---|" * (len(head) + 1)]
    lines += ["| " + " | ".join(f"{v:.2g}" if isinstance(v, float) else str(v) for v in row) + " |" for row in rows]
    intro = (
        "# Exported files beside the model\n\n`python benchmarks/exports.py`: pictures of the inference partitions of "
        f"runs on the demo, as taken, {pictures} of each; milliseconds a picture, one by one, median of {_TIMED}, "
        "one thread.\n\n"
    )
    (Path(__file__).parent / "exports.md").write_text(intro + "\n".join(lines) + "\n", encoding="utf-8")


def _measured(judge, kind, precision, examples):
    found = format_of(kind, precision)
    with TemporaryDirectory() as folder:
        graph = JudgingGraph(judge, casts=found.casts)
        found.write(graph, Path(folder), precision, [one.picture for one in examples[::4]])
        runner = found.open(Path(folder) / found.files[0], 1)
        result = findings(judge, compare(judge, runner, examples), _MARGIN)
        took = _milliseconds(runner, examples[0].picture)
    scores, flips = result["score_difference"], result["flips"]
    changed = f"{flips['count']} of {result['decided']}"
    return [
        f"{kind} {precision}",
        scores["largest"],
        scores["largest_of_scale"],
        changed,
        flips["outside_margin"],
        took,
    ]


def _milliseconds(judging, picture):
    times = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        judging(picture[None])
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


if __name__ == "__main__":
    main()
