"""Many simulated data sets in portions, spread over processes; finished portions are kept, and a stopped run goes on.

Every data set has its own branch of the seed, so the results do not depend on the number of processes. Portions count
only for the code that made them.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from simulated_factory import Plan, Setting, plan_folds, true_values

import raylab2f.evaluation
from raylab2f.files.atomic import atomic_path
from raylab2f.seeding import seed_sequence

__all__ = ["Simulate", "bootstrap_seed", "options_of", "plan_of", "simulate_all"]

#: Of a setting, the data set's number, replicates and seed: what was found, by name.
Simulate = Callable[[Any, int, int, int], dict[str, np.ndarray]]

# Data sets in one portion of work.
_PORTION = 25
#: Different fold plans of a setting; data sets share them in turn, for planning takes longer than drawing.
PLANS = 20


def options_of(script: str, description: str) -> argparse.Namespace:
    """What the command line of a simulation says; `script` is its file."""
    name = Path(script).stem
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--datasets", type=int, default=1000, help="simulated data sets per setting")
    parser.add_argument("--replicates", type=int, default=500, help="of the bootstrap")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="settings whose name contains this text")
    parser.add_argument("--work", type=Path, default=Path("build") / name, help="folder for finished portions")
    parser.add_argument("--out", type=Path, default=Path(script).with_suffix(".md"))
    return parser.parse_args()


def simulate_all(
    simulate: Simulate,
    settings: Sequence[Any],
    options: argparse.Namespace,
    script: str,
    truth: Callable[[Any, int], Any] = true_values,
) -> dict[Any, tuple[Any, dict[str, np.ndarray]]]:
    """True values, and what was found in each data set, of those settings that `options.only` leaves.

    Arguments:
        simulate: one data set.
        settings: populations, each with a `name` of its own.
        options: of the command line, see `options_of`.
        script: file of the simulation.
        truth: of a setting and a seed, the true values.
    """
    settings = [setting for setting in settings if options.only in setting.name]
    folder = options.work / _code_digest(script)
    # Round by round, so that a stopped run has something of every setting.
    jobs = [
        _Job(simulate, setting, portion, options.replicates, options.seed, folder)
        for portion in range(-(-options.datasets // _PORTION))
        for setting in settings
    ]
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        truths = dict(zip(settings, pool.starmap(truth, [(s, options.seed) for s in settings], 1), strict=True))
        for done, _ in enumerate(pool.imap_unordered(_run, jobs), start=1):
            if done % max(1, len(jobs) // 20) == 0:
                sys.stderr.write(f"{done} of {len(jobs)} portions, {time.perf_counter() - started:.0f} s\n")
    results = {}
    for setting in settings:
        parts = [_load(job.path) for job in jobs if job.setting == setting]
        found = {name: np.concatenate([part[name] for part in parts])[: options.datasets] for name in parts[0]}
        results[setting] = truths[setting], found
    return results


@cache
def plan_of(setting: Setting, number: int, split_by: str, seed: int) -> Plan:
    """The folds of a setting's data set of this number."""
    branch = seed_sequence(seed, "plan", setting.name, number % PLANS).generate_state(1)
    return plan_folds(setting, int(branch[0]), split_by)


def bootstrap_seed(setting: Setting, number: int, seed: int) -> int:
    """Of the replicates of a data set."""
    return int(seed_sequence(seed, "replicates", setting.name, number).generate_state(1)[0])


@dataclass(frozen=True)
class _Job:
    simulate: Simulate
    setting: Any
    portion: int
    replicates: int
    seed: int
    folder: Path

    @property
    def path(self) -> Path:
        content = repr((self.setting, self.replicates, self.seed)).encode()
        return self.folder / hashlib.blake2b(content, digest_size=8).hexdigest() / f"{self.portion:04d}.npz"


def _run(job: _Job) -> None:
    if job.path.exists():
        return
    numbers = range(job.portion * _PORTION, (job.portion + 1) * _PORTION)
    found = [job.simulate(job.setting, number, job.replicates, job.seed) for number in numbers]
    with atomic_path(job.path) as temporary, temporary.open("wb") as file:
        np.savez(file, **{name: np.array([one[name] for one in found]) for name in found[0]})


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _code_digest(script: str) -> str:
    package = Path(raylab2f.evaluation.__file__).parent
    digest = hashlib.blake2b(digest_size=8)
    own = (Path(script), *(Path(__file__).with_name(f"simulated_{part}.py") for part in ("factory", "portions")))
    for path in (*sorted(package.rglob("*.py")), *own):
        digest.update(path.read_bytes())
    return digest.hexdigest()
