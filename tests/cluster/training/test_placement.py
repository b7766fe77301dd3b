"""Folds are laid over nodes that differ, so that all that is counted on can really run at the same time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.cluster.training.placement import MOST_CPUS, FoldResources, Node, Placement, place_folds
from raylab2f.errors import UserError

nodes_ = st.lists(st.builds(Node, st.integers(1, 64), st.integers(0, 8)), min_size=1, max_size=8)
GB = 1 << 30


def place_one_by_one(nodes, placement):
    """Workers that find room when put on one node after another, slots, GPUs and memory counted one by one."""
    placed = 0
    for node in nodes:
        cpus, memory, shares = node.cpus, node.memory, [1.0] * node.gpus
        while cpus >= placement.cpus_per_worker and memory >= placement.memory_per_worker:
            need = placement.gpus_per_worker
            if need < 1:
                place = next((i for i, left in enumerate(shares) if left >= need - 1e-9), None) if need else -1
                if place is None:
                    break
                if place >= 0:
                    shares[place] -= need
            else:
                if len(shares) < need:
                    break
                shares = shares[int(need) :]
            cpus -= placement.cpus_per_worker
            memory -= placement.memory_per_worker
            placed += 1
    return placed


@given(nodes_, st.integers(1, 40), st.integers(1, 4), st.sampled_from([None, 0, 0.25, 0.5, 1]))
def test_what_is_promised_fits_and_another_slot_would_not_or_be_of_no_use(nodes, folds, workers, gpus):
    resources = FoldResources(workers=workers, gpus=None if gpus is None else gpus * workers)
    try:
        placement = place_folds(folds, resources, nodes)
    except UserError:
        return
    assert 1 <= placement.parallel <= folds
    assert place_one_by_one(nodes, placement) >= placement.parallel * workers
    more = type(placement)(placement.cpus_per_worker + 1, placement.gpus_per_worker, placement.parallel)
    assert place_one_by_one(nodes, more) < placement.parallel * workers or placement.cpus_per_worker == MOST_CPUS
    assert placement.cpus_per_worker <= MOST_CPUS


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 40)), min_size=2, max_size=6))
def test_users_with_limits_whose_folds_fit_all_train_at_once(users):
    """On one node that has what they can use, whoever comes first leaves room for all others."""
    cpus = sum(limit * workers * MOST_CPUS for limit, workers, _ in users)
    node, taken = Node(cpus), 0
    for limit, workers, folds in users:
        placement = place_folds(folds, FoldResources(workers=workers, max_parallel=limit), [node])
        # Nobody knows of the others, and nobody waits.
        assert placement.parallel == min(limit, folds)
        taken += placement.parallel * workers * placement.cpus_per_worker
    assert taken <= cpus


@given(nodes_, st.integers(1, 40), st.integers(1, 4), st.integers(1, 16), st.integers(1, 8))
def test_what_is_asked_for_is_what_each_fold_gets(nodes, folds, workers, cpus, limit):
    resources = FoldResources(workers=workers, gpus=0, max_parallel=limit, cpus=cpus)
    try:
        placement = place_folds(folds, resources, nodes)
    except UserError:
        per_worker = cpus // workers
        assert not per_worker or sum(node.cpus // per_worker for node in nodes) < workers
        return
    assert placement.cpus_per_worker == cpus // workers
    assert placement.parallel * workers * placement.cpus_per_worker <= resources.most_slots[0]
    assert place_one_by_one(nodes, placement) >= placement.parallel * workers


@given(
    st.lists(st.builds(Node, st.integers(1, 16), st.just(0), st.integers(0, 64 * GB)), min_size=1, max_size=5),
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 200 * GB),
)
def test_memory_keeps_folds_apart_and_makes_none_impossible(nodes, folds, workers, memory):
    resources = FoldResources(workers=workers)
    try:
        without = place_folds(folds, resources, nodes)
    except UserError:
        return
    placement = place_folds(folds, resources, nodes, memory)
    assert 1 <= placement.parallel <= without.parallel
    assert place_one_by_one(nodes, placement) >= placement.parallel * workers
    assert placement.memory_per_worker <= memory
    if placement.memory_per_worker < memory:
        wanted = Placement(1, 0, 1, memory)
        assert place_one_by_one(nodes, wanted) < workers


def test_folds_that_do_not_fit_beside_each_other_run_one_after_another():
    nodes = [Node(16, 0, 10 * GB)]
    assert place_folds(8, FoldResources(), nodes, 3 * GB) == Placement(4, 0, 3, 3 * GB)
    assert place_folds(8, FoldResources(), nodes, 30 * GB) == Placement(4, 0, 1, 10 * GB)
    assert place_folds(8, FoldResources(workers=2), nodes, 30 * GB) == Placement(4, 0, 1, 5 * GB)


def test_what_a_fold_holds_on_a_gpu_is_not_asked_of_the_machine():
    assert place_folds(8, FoldResources(), [Node(16, 2, 10 * GB)], 30 * GB) == Placement(4, 1, 2, 0)


def test_a_large_node_does_not_make_the_small_ones_useless():
    nodes = [Node(4, 1), Node(4, 1), Node(64, 1)]
    placement = place_folds(3, FoldResources(), nodes)
    assert (placement.parallel, placement.cpus_per_worker) == (3, 4)


def test_a_limit_leaves_more_slots_for_each_but_no_more_than_each_can_use():
    assert place_folds(10, FoldResources(), [Node(8)]) == Placement(1, 0, 8)
    assert place_folds(10, FoldResources(max_parallel=2), [Node(6)]) == Placement(3, 0, 2)
    assert place_folds(10, FoldResources(max_parallel=2), [Node(16)]) == Placement(MOST_CPUS, 0, 2)
    assert place_folds(10, FoldResources(max_parallel=2), [Node(64, 8)]) == Placement(MOST_CPUS, 1, 2)


def test_a_limit_holds_for_the_whole_run():
    assert FoldResources().most_slots == (None, None)
    assert FoldResources(max_parallel=2).most_slots == (8, 2)
    assert FoldResources(max_parallel=3, cpus=2, gpus=0.25).most_slots == (6, 1)
    assert FoldResources(max_parallel=2, gpus=0).most_slots == (8, 1)


def test_nodes_without_a_gpu_are_left_out_where_folds_need_one():
    assert place_folds(10, FoldResources(), [Node(64), Node(8, 2)]).parallel == 2


def test_four_folds_share_a_gpu():
    assert place_folds(10, FoldResources(gpus=0.25), [Node(16, 1)]).parallel == 4


def test_on_a_cluster_that_grows_more_folds_wait_than_fit():
    head = [Node(2)]
    assert place_folds(9, FoldResources(gpus=1, grow=True), head) == Placement(1, 1.0, 9)
    assert place_folds(9, FoldResources(gpus=1, grow=True, max_parallel=3), head).parallel == 3
    assert place_folds(9, FoldResources(cpus=6, grow=True), head, 3 * GB) == Placement(6, 0, 9)


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        (FoldResources(workers=3, gpus=3), "--gpus-per-fold 3"),
        (FoldResources(gpus=2), "a process trains on one GPU"),
        (FoldResources(gpus=1.5), "a process trains on one GPU"),
        (FoldResources(workers=2, gpus=1), "as many workers as GPUs"),
        (FoldResources(gpus=2, grow=True), "as many workers as GPUs"),
        (FoldResources(cpus=6), "--cpus-per-fold 6: the largest nodes have no room for that; ask for at most 4"),
        (FoldResources(workers=4, cpus=12, gpus=0), "--cpus-per-fold 12: .*; ask for at most 8"),
        (FoldResources(workers=2, cpus=1), "--cpus-per-fold 1 --workers-per-fold 2: .* at least 2"),
        (FoldResources(workers=9), "--workers-per-fold 9: the cluster has 2 GPUs"),
        (FoldResources(workers=9, gpus=0), "--workers-per-fold 9: the cluster has 8 processor slots"),
    ],
)
def test_what_never_fits_is_a_mistake(resources, sentence):
    with pytest.raises(UserError, match=sentence):
        place_folds(4, resources, [Node(4, 1), Node(4, 1)])
