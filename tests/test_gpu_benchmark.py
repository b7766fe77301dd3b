"""`benchmarks/gpu.py` runs where only torch and what computes with it are installed, as on a lent GPU machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ABSENT = ("ray", "cv2", "pyarrow", "sklearn")
# As if not installed: not found, rather than an error of their own, which some packages would not expect.
HIDE = f"""
import sys
from importlib.machinery import PathFinder

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        return None if fullname.partition(".")[0] in {ABSENT!r} else super().find_spec(fullname, path, target)

sys.meta_path = [Hiding if finder is PathFinder else finder for finder in sys.meta_path]
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    # Python imports it at the start, in processes that the benchmark starts as well.
    (folder / "sitecustomize.py").write_text(HIDE, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    for name in ABSENT:
        absent = subprocess.run([sys.executable, "-c", f"import {name}"], env=environment, capture_output=True)
        assert absent.returncode, f"{name} is not hidden"
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--device", "cpu", "--small"]
    command += ["--json", str(folder / "gpu.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "gpu.json").read_text(encoding="utf-8"))


def test_all_parts_give_rows(results):
    assert list(results["parts"]) == ["parity", "training", "distributed", "sharing", "inference"]
    assert all(part["rows"] and part["error"] is None for part in results["parts"].values())
    assert results["machine"]["anomalies drawn"] is False
    assert {"torch", "numpy", "FrEIA", "timm"} <= set(results["versions"])


@pytest.mark.parametrize("side", ["ours", "published"])
def test_both_sides_reproduce_the_reference_values(results, side):
    rows = results["parts"]["parity"]["rows"]
    errors = {dtype: [row[side] for row in rows if dtype in row["what"]] for dtype in ("float64", "float32")}
    assert len(errors["float64"]) == len(errors["float32"]) == 5
    assert max(errors["float64"]) < 1e-8
    assert max(errors["float32"]) < 1e-2


def test_one_wrapped_step_is_the_unwrapped_one(results):
    rows = [row for row in results["parts"]["distributed"]["rows"] if "deviation" in row["what"]]
    assert [row["what"].partition(":")[0] for row in rows] == ["csflow", "glass"]
    assert max(row["ours"] for row in rows) < 1e-9
