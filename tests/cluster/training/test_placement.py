"""Folds are laid over nodes that differ, so that all that is counted on can really run at the same time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.cluster.training.placement import FoldResources, Node, Placement, place_folds
from raylab2f.errors import UserError

nodes_ = st.lists(st.builds(Node, st.integers(1, 64), st.integers(0, 8)), min_size=1, max_size=8)


def place_one_by_one(nodes, placement):
    """Workers that find room when put on one node after another, processor slots and GPUs counted one by one."""
    placed = 0
    for node in nodes:
        cpus, shares = node.cpus, [1.0] * node.gpus
        while cpus >= placement.cpus_per_worker:
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
            placed += 1
    return placed


@given(nodes_, st.integers(1, 40), st.integers(1, 4), st.sampled_from([None, 0, 0.25, 0.5, 1]))
def test_what_is_promised_fits_and_another_slot_would_not(nodes, folds, workers, gpus):
    resources = FoldResources(workers=workers, gpus=None if gpus is None else gpus * workers)
    try:
        placement = place_folds(folds, resources, nodes)
    except UserError:
        return
    assert 1 <= placement.parallel <= folds
    assert place_one_by_one(nodes, placement) >= placement.parallel * workers
    more = type(placement)(placement.cpus_per_worker + 1, placement.gpus_per_worker, placement.parallel)
    assert place_one_by_one(nodes, more) < placement.parallel * workers


def test_a_large_node_does_not_make_the_small_ones_useless():
    nodes = [Node(4, 1), Node(4, 1), Node(64, 1)]
    placement = place_folds(3, FoldResources(), nodes)
    assert (placement.parallel, placement.cpus_per_worker) == (3, 4)


def test_a_limit_leaves_more_slots_for_each():
    assert place_folds(10, FoldResources(max_parallel=2), [Node(8)]).cpus_per_worker == 4


def test_nodes_without_a_gpu_are_left_out_where_folds_need_one():
    assert place_folds(10, FoldResources(), [Node(64), Node(8, 2)]).parallel == 2


def test_four_folds_share_a_gpu():
    assert place_folds(10, FoldResources(gpus=0.25), [Node(16, 1)]).parallel == 4


def test_on_a_cluster_that_grows_more_folds_wait_than_fit():
    head = [Node(2)]
    assert place_folds(9, FoldResources(gpus=1, grow=True), head) == Placement(1, 1.0, 9)
    assert place_folds(9, FoldResources(gpus=1, grow=True, max_parallel=3), head).parallel == 3


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        (FoldResources(workers=3, gpus=3), "--gpus-per-fold 3"),
        (FoldResources(gpus=2), "a process trains on one GPU"),
        (FoldResources(gpus=1.5), "a process trains on one GPU"),
        (FoldResources(workers=2, gpus=1), "as many workers as GPUs"),
        (FoldResources(gpus=2, grow=True), "as many workers as GPUs"),
        (FoldResources(workers=9), "--workers-per-fold 9: the cluster has 2 GPUs"),
        (FoldResources(workers=9, gpus=0), "--workers-per-fold 9: the cluster has 8 processor slots"),
    ],
)
def test_what_never_fits_is_a_mistake(resources, sentence):
    with pytest.raises(UserError, match=sentence):
        place_folds(4, resources, [Node(4, 1), Node(4, 1)])
