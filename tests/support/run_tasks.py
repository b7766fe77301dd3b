"""Run the folds of a JSON file one after another on a private cluster: `python run_tasks.py TASKS.json STORAGE`.

Prints a line for every event, and the failures as JSON at the end.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from raylab2f.cluster.session import ray_session
from raylab2f.cluster.training.folds import run_folds
from raylab2f.cluster.training.placement import FoldResources
from raylab2f.runs.fold import FoldTask

if __name__ == "__main__":
    tasks = [FoldTask.from_dict(values) for values in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))]
    with ray_session(cpus=1):
        failures = run_folds(tasks, FoldResources(max_parallel=1), Path(sys.argv[2]))
    print(json.dumps([asdict(failure) for failure in failures]))
