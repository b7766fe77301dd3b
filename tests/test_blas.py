"""No process of ours can meet the hang of a parallel LU factorisation after a fork."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

import raylab2f.blas
from raylab2f.blas import copies_in_doubt
from raylab2f.diagnostics import __all__ as diagnostics
from raylab2f.evaluation import INTERVALS

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "MKL_NUM_THREADS")
UNLIMITED = {name: value for name, value in os.environ.items() if name not in THREADS}
HOUSES = ("cluster", "detectors", "diagnostics", "evaluation", "features", "preparation", "runs")


def run(*arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], env=UNLIMITED, capture_output=True, text=True, timeout=180, check=False
    )


def test_every_diagnosis_and_every_interval_ends_after_a_fork():
    process = run(Path(__file__).parent / "support" / "after_a_fork.py")
    assert process.returncode == 0, process.stdout + process.stderr
    said = process.stdout.splitlines()
    assert said[-1] == "done"
    assert {line.split()[1] for line in said if line.endswith(("pass", "warn", "fail"))} == {
        {"fragility": "threshold", "conditions": "condition"}.get(short := name.removeprefix("diagnose_"), short)
        for name in diagnostics
        if name.startswith("diagnose_")
    }
    assert {word for line in said if " intervals " in line for word in line.split()[2:]} == set(INTERVALS)


def test_copies_that_are_loaded_later_keep_to_one_thread_too():
    code = (
        "import raylab2f.evaluation, os; from threadpoolctl import threadpool_info, ThreadpoolController\n"
        "import cv2; ThreadpoolController().limit(limits=2, user_api='blas')\n"
        "os.fork() or os._exit(0); os.wait()\n"
        "from raylab2f.blas import copies_in_doubt\n"
        "print(sum(copy['num_threads'] > 1 for copy in copies_in_doubt(threadpool_info())))"
    )
    process = run("-c", code)
    assert process.stdout.strip() == "0", process.stderr


@pytest.mark.parametrize("house", HOUSES)
def test_every_house_that_computes_begins_with_it(house):
    source = Path(raylab2f.blas.__file__).with_name(house) / "__init__.py"
    assert "import raylab2f.blas" in source.read_text(encoding="utf-8")


def test_no_copy_in_this_process_is_left_in_doubt():
    assert all(copy["num_threads"] == 1 for copy in copies_in_doubt(threadpool_info()))


@given(st.lists(st.integers(0, 400), min_size=3, max_size=5))
def test_copies_without_the_fault_keep_their_threads(numbers):
    copy = {"internal_api": "openblas", "threading_layer": "pthreads", "version": ".".join(map(str, numbers))}
    assert bool(copies_in_doubt([copy])) == (numbers[:3] < [0, 3, 31])
    assert not copies_in_doubt([{**copy, "threading_layer": "openmp"}])
    assert copies_in_doubt([{**copy, "version": None}])
