"""Which slots of the cluster are free, and who holds the others; for a run that waits for some.

Ray counts slots by actors, placement groups and tasks, not by users. The first two are known to the head node itself;
who runs the tasks only its dashboard knows, so on a cluster without one the slots of tasks are nobody's by name.
"""

from __future__ import annotations

import logging
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import ray
from ray._private.state import state
from ray.core.generated.gcs_pb2 import (  # type: ignore[attr-defined]  # missing in Ray's stubs
    ActorTableData,
    JobTableData,
    PlacementGroupTableData,
)
from ray.exceptions import RayError
from ray.util.state import list_tasks
from ray.util.state.exception import RayStateApiException

__all__ = ["FreeNode", "Holder", "Slots", "slots_awaited", "slots_in_use", "waiting_sentence"]

_log = logging.getLogger(__name__)

# A question beside a run's work must not stop it for long.
_ANSWER_SECONDS = 5
_TASKS_ASKED = 1000
_NAMED = 3
_NAME_LENGTH = 40
_SUBMISSION = "job_submission_id"
# Else every driver would be asked, and one that is stopped would be waited for.
_PLAIN = {"skip_submission_job_info_field": True, "skip_is_running_tasks_field": True}
# Ray keeps fractions of a slot to four digits.
_LITTLE = 1e-4


@dataclass(frozen=True)
class Holder:
    """A job that holds slots.

    Arguments:
        job: Ray's id of it; empty for slots whose job is not known.
        name: its submission id, else the program that it runs; `""` if not known.
        host: address of the machine on which its driver runs.
        cpus, gpus: that it holds.
        own: whether it is the asking process's.
    """

    job: str
    name: str
    host: str
    cpus: float
    gpus: float
    own: bool = False


@dataclass(frozen=True)
class FreeNode:
    """What a living node has left."""

    cpus: float
    gpus: float


@dataclass(frozen=True)
class Slots:
    """The cluster's slots at a moment, as far as its head node has heard.

    Arguments:
        cpus, gpus: of all living nodes.
        free: what each node has left.
        holders: of what is in use, who holds most first; jobs that hold nothing are left out.
    """

    cpus: float
    gpus: float
    free: tuple[FreeNode, ...]
    holders: tuple[Holder, ...]

    @property
    def free_cpus(self) -> float:
        """On all nodes together."""
        return sum(node.cpus for node in self.free)

    @property
    def free_gpus(self) -> float:
        """On all nodes together."""
        return sum(node.gpus for node in self.free)

    def has_room(self, cpus: float, gpus: float = 0) -> bool:
        """Whether one node has so many free."""
        return any(node.cpus >= cpus - _LITTLE and node.gpus >= gpus - _LITTLE for node in self.free)


def slots_in_use() -> Slots:
    """Ask the head node of the cluster that this process is connected to.

    Where the dashboard must be asked for tasks, this may take some seconds.
    """
    # Placement groups first: what appears in between is then counted among the tasks, not twice.
    accessor = state._connect_and_get_accessor()
    groups = [PlacementGroupTableData.FromString(row) for row in accessor.get_placement_group_table()]
    actors = [ActorTableData.FromString(row) for row in accessor.get_actor_table(None, "ALIVE")]
    drivers = [JobTableData.FromString(row) for row in accessor.get_job_table(**_PLAIN)]
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    totals, left = state.total_resources_per_node(), state.available_resources_per_node()
    offered = {kind: sum(totals.get(node, {}).get(kind, 0.0) for node in alive) for kind in ("CPU", "GPU")}
    free = tuple(FreeNode(*(left.get(node, {}).get(kind, 0.0) for kind in ("CPU", "GPU"))) for node in sorted(alive))

    cpus: dict[str, float] = defaultdict(float)
    gpus: dict[str, float] = defaultdict(float)
    for group in groups:
        if group.state == PlacementGroupTableData.CREATED:
            for bundle in group.bundles:
                _add(cpus, gpus, group.creator_job_id.hex(), bundle.unit_resources)
    for actor in actors:
        # Those in a group use its slots.
        if not actor.placement_group_id:
            _add(cpus, gpus, actor.job_id.hex(), actor.required_resources)
    rest = [
        offered[kind] - sum(getattr(node, name) for node in free) - sum(held.values())
        for kind, name, held in (("CPU", "cpus", cpus), ("GPU", "gpus", gpus))
    ]
    if max(rest) > _LITTLE:
        for job, resources in _running_tasks():
            _add(cpus, gpus, job, resources)
            rest = [rest[0] - resources.get("CPU", 0), rest[1] - resources.get("GPU", 0)]
        _add(cpus, gpus, "", {"CPU": max(0.0, rest[0]), "GPU": max(0.0, rest[1])})

    jobs = {driver.job_id.hex(): driver for driver in drivers}
    own = ray.get_runtime_context().get_job_id()
    held = [
        Holder(job, *_name_and_host(jobs.get(job)), round(cpus[job], 4), round(gpus[job], 4), job == own)
        for job in cpus.keys() | gpus.keys()
        if cpus[job] > _LITTLE or gpus[job] > _LITTLE
    ]
    most_first = sorted(held, key=lambda holder: (-holder.gpus, -holder.cpus, holder.job))
    return Slots(offered["CPU"], offered["GPU"], free, tuple(most_first))


def waiting_sentence(slots: Slots, cpus: float, gpus: float = 0) -> str:
    """One line on what is waited for: `needs 2 CPUs; 14 of 16 in use: nightly (8), run-cv on 10.0.0.5 (6)`."""
    needs = " and ".join([_amount(cpus, "CPU"), *([_amount(gpus, "GPU")] if gpus else [])])
    kind, total, free = ("GPU", slots.gpus, slots.free_gpus) if gpus else ("CPU", slots.cpus, slots.free_cpus)
    if gpus and slots.free_gpus >= gpus:
        kind, total, free = "CPU", slots.cpus, slots.free_cpus
    in_use = f"{max(0.0, total - free):g} of {_amount(total, kind)} in use"
    amounts = [(holder, holder.gpus if kind == "GPU" else holder.cpus) for holder in slots.holders]
    amounts = sorted(((holder, held) for holder, held in amounts if held), key=lambda pair: -pair[1])
    named = [f"{_said(holder)} ({held:g})" for holder, held in amounts[:_NAMED]]
    if others := amounts[_NAMED:]:
        named.append(f"{len(others)} more ({sum(held for _, held in others):g})")
    scattered = "; what is free is not on one node" if free >= cpus and not slots.has_room(cpus, gpus) else ""
    return f"needs {needs}; {in_use}" + (f": {', '.join(named)}" if named else "") + scattered


def slots_awaited(cpus: float, gpus: float = 0) -> str | None:
    """What a run waits for of whose folds none runs; `None` where its own processes only start, or nobody knows.

    Arguments:
        cpus, gpus: that a fold needs.
    """
    try:
        slots = slots_in_use()
    except (RayError, RuntimeError, OSError, ValueError) as error:
        _log.debug("the slots in use are not known: %s", error)
        return None
    own = [holder for holder in slots.holders if holder.own]
    if slots.has_room(cpus, gpus) or any(holder.cpus >= cpus - 1 and holder.gpus >= gpus - _LITTLE for holder in own):
        return None
    return f"waiting for slots: {waiting_sentence(slots, cpus, gpus)}"


def _add(cpus: dict[str, float], gpus: dict[str, float], job: str, resources: Mapping[str, float]) -> None:
    cpus[job] += resources.get("CPU", 0)
    gpus[job] += resources.get("GPU", 0)


def _running_tasks() -> Sequence[tuple[str, Mapping[str, float]]]:
    """Job and resources of the tasks that run outside of actors and placement groups, as far as the dashboard knows."""
    wanted: list[tuple[str, str, str | bool | int | float]] = [("state", "=", "RUNNING"), ("type", "=", "NORMAL_TASK")]
    try:
        tasks = list_tasks(
            filters=wanted,
            limit=_TASKS_ASKED,
            timeout=_ANSWER_SECONDS,
            detail=True,
            raise_on_missing_output=False,
        )
    except (RayStateApiException, RuntimeError, ValueError, OSError) as error:
        _log.debug("no dashboard says whose tasks run: %s", error)
        return []
    return [(task.job_id, task.required_resources or {}) for task in tasks if not task.placement_group_id]


def _name_and_host(driver: JobTableData | None) -> tuple[str, str]:
    if driver is None:
        return "", ""
    name = dict(driver.config.metadata).get(_SUBMISSION) or _program(driver.entrypoint)
    return name, driver.driver_address.ip_address or driver.driver_ip_address


def _program(command: str) -> str:
    """A command line without the interpreter, folders, and whatever may be nobody else's business."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    while len(words) > 1 and (words[0].startswith("-") or PurePath(words[0]).name.startswith("python")):
        words = words[1:]
    if not words:
        return ""
    command_word = [word for word in words[1:2] if word.replace("-", "").isalpha() and not word.startswith("-")]
    return " ".join([PurePath(words[0]).name, *command_word])[:_NAME_LENGTH]


def _said(holder: Holder) -> str:
    if holder.own:
        return "this run"
    if not holder.name:
        return "others" if holder.job else "tasks"
    return f"{holder.name[:_NAME_LENGTH]} on {holder.host}" if holder.host else holder.name[:_NAME_LENGTH]


def _amount(count: float, kind: str) -> str:
    return f"{count:g} {kind}{'' if count == 1 else 's'}"
