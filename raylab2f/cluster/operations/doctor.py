"""Is this cluster fit for a long run? What every node says of itself, held against the driver's view."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raylab2f.cluster.operations.shared_storage import fault_seen_here, probing
from raylab2f.cluster.token import token_state
from raylab2f.errors import first_line
from raylab2f.features import BackboneSpec, create_backbone
from raylab2f.plugins import plugin_packages
from raylab2f.versions import MISSING, version_of

__all__ = ["Finding", "NodeFacts", "examine_cluster", "judge"]

_PACKAGES = ("raylab2f", "ray", "torch", "torchvision", "timm", "FrEIA", "numpy", "pyarrow", "safetensors")
_ANSWER_SECONDS = 120.0
# After everything else was answered: a GPU that is lent out for longer belongs to somebody.
_GPU_SECONDS = 30.0
_CLOCK_TOLERANCE = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Arguments:
        check: what was examined.
        ok: whether it is as it should be.
        detail: figures if it is, the nodes at fault and the mend if not.
    """

    check: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class NodeFacts:
    """What one node says of itself.

    Arguments:
        name: its address.
        cpus, gpus: the slots that Ray counts there.
        silence: why it did not answer; the rest then means nothing. `None`: it did.
        versions: by package, those that add detectors, layouts or diagnoses included, and `python`.
        storage_errors: by folder, what went wrong there; empty when all was well.
        weights_errors: by backbone, likewise.
        usable_gpus: GPUs, of those that Ray lent us there, on which torch can compute; `None` on a node without any, or
            if all are in use.
        clock: (earliest, latest) seconds by which its clock may be ahead of the driver's.
        token: whether the node asks for the token.
        token_file: whether the node keeps its token from others, and who may read it.
    """

    name: str
    cpus: float
    gpus: float
    silence: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    storage_errors: Mapping[str, str] = field(default_factory=dict)
    weights_errors: Mapping[str, str] = field(default_factory=dict)
    usable_gpus: int | None = None
    clock: tuple[float, float] = (0.0, 0.0)
    token: bool = True
    token_file: tuple[bool, str] = (True, "")


def examine_cluster(storages: Sequence[str], backbones: Sequence[BackboneSpec]) -> list[Finding]:
    """Ask every living node of the cluster we are connected to, and judge.

    Arguments:
        storages: places that the driver and all nodes must share; probe files are written there and removed.
        backbones: whose weights must be on every node already.
    """
    with probing(storages) as probes:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        names = _names(nodes)
        asked = [_ask(node, names[node["NodeID"]], probes.folders, backbones) for node in nodes]
        gpus = [_ask_for_gpus(node) for node in nodes]
        facts = [_facts(node, names[node["NodeID"]], reference) for node, reference in zip(nodes, asked, strict=True)]
        facts = [replace(fact, usable_gpus=found) for fact, found in zip(facts, _usable(gpus), strict=True)]
        unseen = {
            place: f"the driver does not see the file that {fact.name} wrote"
            for fact in facts
            if fact.silence is None
            for place in probes.unseen(fact.name)
            if place not in fact.storage_errors
        }
    errors = {**unseen, **probes.errors}
    here = token_state()
    return judge(_versions(), facts, driver_storage_errors=errors, storages=storages, driver_token_file=here)


def judge(
    driver_versions: Mapping[str, str],
    nodes: Sequence[NodeFacts],
    *,
    driver_storage_errors: Mapping[str, str],
    storages: Sequence[str],
    driver_token_file: tuple[bool, str] = (True, ""),
) -> list[Finding]:
    """The findings; a node that did not answer fails the first check and takes no part in the others."""
    silent = [f"{node.name}: {node.silence}" for node in nodes if node.silence is not None]
    nodes_line = f"{len(nodes)}: " + ", ".join(f"{n.name} ({n.cpus:g} CPU, {n.gpus:g} GPU)" for n in nodes)
    findings = [
        Finding("nodes answer", not silent, "; ".join(silent) or nodes_line),
    ]
    nodes = [node for node in nodes if node.silence is None]

    other = [
        f"{name} {node.versions.get(name, MISSING)} on {node.name}, {driver_versions.get(name, MISSING)} here"
        for node in nodes
        for name in dict.fromkeys((*driver_versions, *node.versions))
        if node.versions.get(name, MISSING) != driver_versions.get(name, MISSING)
    ]
    equal = ", ".join(f"{name} {driver_versions[name]}" for name in ("raylab2f", "ray", "torch", "python"))
    findings.append(Finding("versions are equal", not other, "; ".join(other) or equal))

    for folder in storages:
        errors = [f"driver: {driver_storage_errors[folder]}"] if folder in driver_storage_errors else []
        errors += [f"{n.name}: {n.storage_errors[folder]}" for n in nodes if folder in n.storage_errors]
        findings.append(Finding(f"storage {folder}", not errors, "; ".join(errors) or "all nodes read and write it"))

    missing = [f"{n.name}: {error}" for n in nodes for error in n.weights_errors.values()]
    findings.append(Finding("weights", not missing, "; ".join(missing) or "on every node"))

    with_gpus = [node for node in nodes if node.gpus > 0]
    blind = [f"{n.name}: Ray counts {n.gpus:g}, torch can use none" for n in with_gpus if n.usable_gpus == 0]
    seen = f"{sum(n.gpus for n in with_gpus):g} on {len(with_gpus)} nodes" if with_gpus else "the cluster has none"
    busy = [node.name for node in with_gpus if node.usable_gpus is None]
    in_use = [f"in use, and so not tried: those of {', '.join(busy)}"] if busy else []
    findings.append(Finding("GPUs", not blind, "; ".join([*(blind or [seen]), *in_use])))

    wrong = [
        f"{n.name} is {n.clock[0]:+.1f} to {n.clock[1]:+.1f} s off; run a time service there"
        for n in nodes
        if n.clock[0] > _CLOCK_TOLERANCE or n.clock[1] < -_CLOCK_TOLERANCE
    ]
    findings.append(Finding("clocks", not wrong, "; ".join(wrong) or f"within {_CLOCK_TOLERANCE:g} s"))

    open_nodes = [node.name for node in nodes if not node.token]
    mend = "; anybody who reaches them runs code there: set RAY_AUTH_MODE=token before `ray start`"
    findings.append(
        Finding(
            "token authentication", not open_nodes, f"off on {', '.join(open_nodes)}{mend}" if open_nodes else "is on"
        )
    )

    states = [("here", driver_token_file), *((node.name, node.token_file) for node in nodes)]
    exposed = [f"{name}: {said}" for name, (kept, said) in states if not kept]
    findings.append(
        Finding(
            "token files", not exposed, "; ".join(exposed or [f"{name}: {said}" for name, (_, said) in states if said])
        )
    )
    return findings


def _names(nodes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Nodes' addresses by id, told apart where several share one."""
    addresses = [node["NodeManagerAddress"] for node in nodes]
    return {
        node["NodeID"]: address if addresses.count(address) == 1 else f"{address}-{node['NodeID'][:6]}"
        for node, address in zip(nodes, addresses, strict=True)
    }


def _ask(node: Mapping[str, Any], name: str, probes: Mapping[str, str], backbones: Sequence[BackboneSpec]) -> Any:
    return _on(node, _look).remote(name, dict(probes), list(backbones))


def _ask_for_gpus(node: Mapping[str, Any]) -> Any:
    """Apart from the rest, for even a sliver of a GPU, enough to be shown it, waits while others hold them all."""
    return _on(node, _usable_gpus, num_gpus=0.01).remote() if node["Resources"].get("GPU", 0) else None


def _on(node: Mapping[str, Any], function: Any, *, num_gpus: float = 0) -> Any:
    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(function).options(num_cpus=0, num_gpus=num_gpus, max_retries=0, scheduling_strategy=there)


def _usable(answers: Sequence[Any]) -> list[int | None]:
    """Usable GPUs by node; `None` where there are none, or none is free in time."""
    asked = [answer for answer in answers if answer is not None]
    ready = set(ray.wait(asked, num_returns=len(asked), timeout=_GPU_SECONDS)[0]) if asked else set()
    found: list[int | None] = []
    for answer in answers:
        if answer not in ready:
            if answer is not None:
                ray.cancel(answer, force=True)
            found.append(None)
            continue
        try:
            found.append(ray.get(answer))
        except RayError:
            found.append(0)
    return found


def _facts(node: Mapping[str, Any], name: str, answer: Any) -> NodeFacts:
    cpus, gpus = (float(node["Resources"].get(kind, 0)) for kind in ("CPU", "GPU"))
    try:
        found = ray.get(answer, timeout=_ANSWER_SECONDS)
        return NodeFacts(name, cpus, gpus, clock=_clock_offset(node), **found)
    except GetTimeoutError:
        ray.cancel(answer, force=True)
        return NodeFacts(name, cpus, gpus, silence=f"no answer within {_ANSWER_SECONDS:g} s")
    except RayError as error:
        # An error of the node's own arrives as a traceback, which ends with what happened.
        said = str(error).strip().splitlines()[-1] if isinstance(error, RayTaskError) else first_line(error)
        return NodeFacts(name, cpus, gpus, silence=said)


def _clock_offset(node: Mapping[str, Any]) -> tuple[float, float]:
    """Bounds on how far a node's clock is ahead of ours, from the quickest of some questions."""
    remote = _on(node, _now)
    bounds = []
    for _ in range(3):
        before = time.time()
        now = ray.get(remote.remote(), timeout=_ANSWER_SECONDS)
        bounds.append((now - time.time(), now - before))
    return min(bounds, key=lambda bound: bound[1] - bound[0])


def _look(name: str, probes: Mapping[str, str], backbones: Sequence[BackboneSpec]) -> dict[str, Any]:
    """On a node: the fields of `NodeFacts`."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    storage = {folder: fault_seen_here(probe, name) for folder, probe in probes.items()}
    weights = {spec.name: _weights_error(spec) for spec in backbones}
    return {
        "versions": _versions(),
        "storage_errors": {folder: error for folder, error in storage.items() if error},
        "weights_errors": {backbone: error for backbone, error in weights.items() if error},
        "token": os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
        "token_file": token_state(),
    }


def _weights_error(spec: BackboneSpec) -> str | None:
    try:
        create_backbone(spec)
    except Exception as error:
        return f"{spec.name}: {first_line(error)}"
    return None


def _usable_gpus() -> int:
    import torch

    try:
        devices = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
        return sum(int(torch.ones(2, device=device).sum() == 2) for device in devices)
    except RuntimeError:
        return 0


def _now() -> float:
    return time.time()


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version_of(name) for name in _PACKAGES} | plugin_packages()
