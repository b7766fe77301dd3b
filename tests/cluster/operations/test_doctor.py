"""What the doctor says of nodes that fail or are busy: why, and no more than that."""

import json
import subprocess
import sys

import pytest

from raylab2f.cluster.operations.doctor import NodeFacts, judge

CODE = """
import json, sys
import ray
from raylab2f.cluster.operations import doctor
from raylab2f.cluster.session import ray_session

@ray.remote(num_gpus=1, num_cpus=0)
class Holder:
    def holds(self):
        return True

doctor._GPU_SECONDS = 3
with ray_session(sys.argv[1]):
    holder = Holder.remote()
    assert ray.get(holder.holds.remote())
    findings = doctor.examine_cluster([], [])
    print(json.dumps({finding.check: [finding.ok, finding.detail] for finding in findings}))
"""


@pytest.fixture
def nodes(head, tmp_path):
    """The head with a node that has a GPU, as far as Ray's counting goes, and one whose raylab2f is broken."""
    broken = tmp_path / "broken" / "raylab2f"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('a library is missing')\n", encoding="utf-8")
    paths = [str(broken.parent), *head.environment.get("PYTHONPATH", "").split(":")]
    with head.joined({"gpus": 1}, {"environment": {"PYTHONPATH": ":".join(filter(None, paths))}}):
        yield head


def test_a_gpu_in_use_is_no_fault_and_a_broken_installation_is_quoted(nodes, tmp_path):
    # Elsewhere, for Ray has the nodes look for packages in the folders of the program and of its caller.
    (tmp_path / "examine.py").write_text(CODE, encoding="utf-8")
    process = subprocess.run(
        [sys.executable, tmp_path / "examine.py", nodes.address],
        cwd=tmp_path,
        env=nodes.environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout.splitlines()[-1])
    gpus_are_well, gpus = found["GPUs"]
    assert gpus_are_well
    assert "1 on 1 nodes; in use" in gpus
    all_answer, silent = found["nodes answer"]
    assert not all_answer
    assert "a library is missing" in silent
    assert silent.count(";") == 0
    assert found["versions are equal"][0]
    tokens_are_kept, tokens = found["token files"]
    assert tokens_are_kept
    assert tokens.startswith("here: ")
    assert "auth_token: mode 0600, yours" in tokens


def test_a_node_whose_token_others_may_read_is_named():
    kept = (True, "/home/a/.ray/auth_token: mode 0600, yours")
    exposed = (False, "/home/a/.ray/auth_token: others than its owner may read the token (mode 0644, yours)")
    [found] = [
        finding
        for finding in judge(
            {name: "1" for name in ("raylab2f", "ray", "torch", "python")},
            [NodeFacts("one", 1, 0, token_file=kept), NodeFacts("two", 1, 0, token_file=exposed)],
            driver_storage_errors={},
            storages=[],
        )
        if finding.check == "token files"
    ]
    assert not found.ok
    assert "two: " in found.detail
    assert "one: " not in found.detail
