"""Who holds the cluster's slots, as one who waits for some is told."""

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from raylab2f.cluster.session import cluster_slots, slots_limited
from raylab2f.cluster.slots import FreeNode, Holder, Slots, _program, slots_in_use, waiting_sentence

HOLD_SLOTS = Path(__file__).parents[1] / "support" / "hold_slots.py"
SAY_SLOTS = """
import sys
from raylab2f.cluster.session import ray_session
from raylab2f.cluster.slots import slots_in_use, waiting_sentence
with ray_session(sys.argv[1]):
    print(waiting_sentence(slots_in_use(), 1))
"""
NIGHTLY = Holder("02", "nightly", "10.0.0.5", 8, 2)
NAMELESS = Holder("03", "", "", 4, 0)
OWN = Holder("04", "raylab2f run-cv", "10.0.0.6", 2, 0, own=True)


def test_the_sentence_names_who_holds_what_and_who_holds_most_first():
    slots = Slots(16, 2, (FreeNode(1, 0), FreeNode(1, 0)), (NAMELESS, OWN, NIGHTLY))
    sentence = waiting_sentence(slots, 3)
    assert sentence == "needs 3 CPUs; 14 of 16 CPUs in use: nightly on 10.0.0.5 (8), others (4), this run (2)"


def test_the_sentence_is_about_gpus_where_those_are_missing():
    slots = Slots(16, 2, (FreeNode(2, 0),), (NIGHTLY, NAMELESS))
    assert waiting_sentence(slots, 1, 1) == "needs 1 CPU and 1 GPU; 2 of 2 GPUs in use: nightly on 10.0.0.5 (2)"


def test_slots_on_several_nodes_are_no_room_for_one_process():
    slots = Slots(4, 0, (FreeNode(1, 0), FreeNode(1, 0)), (OWN,))
    assert not slots.has_room(2)
    assert waiting_sentence(slots, 2).endswith("what is free is not on one node")
    assert Slots(4, 0, (FreeNode(2, 0),), ()).has_room(2)


def test_many_holders_take_one_line():
    holders = [Holder(f"{n:02}", f"job{n}", "", n, 0) for n in range(1, 8)]
    sentence = waiting_sentence(Slots(28, 0, (), holders), 1)
    assert sentence.endswith(": job7 (7), job6 (6), job5 (5), 4 more (10)")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/opt/venv/bin/python -m raylab2f.cli run-cv --data /private/place", "raylab2f.cli run-cv"),
        ("/opt/venv/bin/raylab2f run-cv --data s3://bucket", "raylab2f run-cv"),
        ("python3.12 train.py token=abc", "train.py"),
        ("", ""),
        ("unclosed 'quote", "unclosed"),
    ],
)
def test_a_driver_is_named_by_its_program_without_its_arguments(command, name):
    assert _program(command) == name


def test_what_actors_groups_and_tasks_hold_is_counted_once(shared_ray):
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    @ray.remote
    class Holding:
        def ready(self):
            return True

    total = slots_in_use().cpus
    group = placement_group([{"CPU": 1}])
    ray.get(group.ready())
    within = Holding.options(num_cpus=1, scheduling_strategy=PlacementGroupSchedulingStrategy(group)).remote()
    beside = Holding.options(num_cpus=0.5).remote()
    ray.get([within.ready.remote(), beside.ready.remote()])
    try:
        deadline = time.monotonic() + 30
        # The head hears of the nodes a moment later.
        while (slots := slots_in_use()).free_cpus != total - 1.5 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert slots.free_cpus == total - 1.5
        assert [(holder.own, holder.cpus) for holder in slots.holders] == [(True, 1.5)]
        assert "this run (1.5)" in waiting_sentence(slots, 1)
    finally:
        ray.kill(within)
        ray.kill(beside)
        remove_placement_group(group)


def test_a_limit_holds_for_pictures_and_replicates_too(shared_ray):
    assert cluster_slots()[0] == 2
    with slots_limited(1, None):
        assert cluster_slots() == (1, 0)
    with slots_limited(9, 3):
        assert cluster_slots() == (2, 0)
    assert cluster_slots()[0] == 2


@pytest.mark.slow
def test_two_users_with_limits_train_at_once_and_a_third_is_told_who_they_are(head):
    with ExitStack() as stack:
        users = []
        for _ in range(2):
            command = [sys.executable, HOLD_SLOTS, head.address, "1", "1"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            user = stack.enter_context(subprocess.Popen(command, env=head.environment, **pipes))
            stack.callback(user.kill)
            users.append(user)
        # The second one's fold begins while the first one's goes on.
        assert [user.stdout.readline() for user in users] == ["1\n", "1\n"]
        said = subprocess.run(
            [sys.executable, "-c", SAY_SLOTS, head.address], env=head.environment, capture_output=True, text=True
        )
        assert "needs 1 CPU; 2 of 2 CPUs in use: " in said.stdout, said.stderr
        assert re.findall(r"hold_slots.py on [\d.]+ \((\d)\)", said.stdout) == ["1", "1"]
