"""Do all nodes share the places of a run? Told before hours of work end in files that nobody else finds.

The driver writes a file into a folder of its own at each place, every node looks for it and writes another beside it,
and the driver looks for those.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raylab2f.errors import UserError
from raylab2f.files.mirror import erase
from raylab2f.files.places import absolute, file_exists, is_uri, join, name_of, read_file, write_file

__all__ = ["Probes", "fault_seen_here", "probing", "require_shared_folders"]


@dataclass(frozen=True)
class Probes:
    """What the driver laid out.

    Arguments:
        folders: by place, the probe's folder, for `fault_seen_here`.
        errors: by place, what went wrong where nothing could be laid out.
    """

    folders: Mapping[str, str]
    errors: Mapping[str, str]

    def unseen(self, name: str) -> list[str]:
        """Places at which the driver does not find what the node `name` wrote."""
        return [place for place, probe in self.folders.items() if not file_exists(join(probe, name))]


@contextmanager
def probing(places: Sequence[str]) -> Iterator[Probes]:
    """Lay a probe out at each place; nothing is left of it after the block."""
    folders: dict[str, str] = {}
    errors: dict[str, str] = {}
    for place in places:
        probe = absolute(join(place, f".raylab2f-probe-{uuid.uuid4().hex[:12]}"))
        try:
            write_file(join(probe, "driver"), name_of(probe).encode())
            folders[place] = probe
        except (OSError, UserError) as error:
            errors[place] = str(error)
    try:
        yield Probes(folders, errors)
    finally:
        for probe in folders.values():
            erase(probe)


def fault_seen_here(probe: str, name: str) -> str | None:
    """On a node: what is wrong with a place, `None` if it is shared and can be written.

    Arguments:
        probe: the folder that the driver laid out there.
        name: of this node; it leaves a file of this name.
    """
    try:
        if read_file(join(probe, "driver")).decode() != name_of(probe):
            return "holds something else than the driver wrote"
        write_file(join(probe, name), name.encode())
    except FileNotFoundError:
        return "does not hold what the driver wrote; mount the same storage there"
    except (OSError, UserError) as error:
        return str(error)
    return None


def require_shared_folders(folders: Mapping[str, str]) -> None:
    """See to it that the nodes that work share, at the same path, what this process reads and writes.

    Arguments:
        folders: places by the option that names them; those on a store are reached by everybody.

    Raises:
        UserError: names an option, its folder and the nodes that do not share it.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    local = {option: absolute(place) for option, place in folders.items() if not is_uri(place)}
    here = ray.get_runtime_context().get_node_id()
    others = {node["NodeID"]: node["NodeManagerAddress"] for node in nodes if node["NodeID"] != here}
    if not local or not others:
        return
    with probing(list(local.values())) as probes:
        asked = {
            node: ray.remote(_faults)
            .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
            .remote(dict(probes.folders), node)
            for node in others
        }
        faults = {node: ray.get(answer) for node, answer in asked.items()}
        for node, found in faults.items():
            for place in probes.unseen(node):
                found.setdefault(place, "what it wrote is not seen here")
    for option, folder in local.items():
        said = [f"this machine: {probes.errors[folder]}"] if folder in probes.errors else []
        said += sorted({f"{others[node]}: {found[folder]}" for node, found in faults.items() if folder in found})
        if said:
            raise UserError(
                f"{option} {folder}: the nodes do not share it ({'; '.join(said)}); name a folder on storage that all "
                "nodes mount at the same path, or a URI on an object store."
            )


def _faults(probes: Mapping[str, str], name: str) -> dict[str, str]:
    found = {place: fault_seen_here(probe, name) for place, probe in probes.items()}
    return {place: fault for place, fault in found.items() if fault}
