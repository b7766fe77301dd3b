"""Do all nodes see the folders of a run? Told before hours of work end in files that nobody else finds."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raylab2f.errors import UserError
from raylab2f.files.places import absolute, is_uri

__all__ = ["require_shared_folders"]


def require_shared_folders(folders: Mapping[str, str]) -> None:
    """See to it that the nodes that work find, at the same path, what this process writes.

    Arguments:
        folders: places by the option that names them; those on a store are reached by everybody.

    Raises:
        UserError: names an option, its folder and the nodes that do not see it.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    local = {option: absolute(place) for option, place in folders.items() if not is_uri(place)}
    here = ray.get_runtime_context().get_node_id()
    others = {node["NodeID"]: node["NodeManagerAddress"] for node in nodes if node["NodeID"] != here}
    if not local or not others:
        return
    with contextlib.ExitStack() as stack:
        files = {option: str(stack.enter_context(_probe(Path(folder)))) for option, folder in local.items()}
        asked = {
            node: ray.remote(_unseen)
            .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
            .remote(files)
            for node in others
        }
        unseen = {node: ray.get(answer) for node, answer in asked.items()}
    for option, folder in local.items():
        blind = sorted({others[node] for node, options in unseen.items() if option in options})
        if blind:
            raise UserError(
                f"{option} {folder}: {', '.join(blind)} cannot see it; name a folder on storage that all nodes mount "
                "at the same path, or a URI on an object store."
            )


@contextlib.contextmanager
def _probe(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f".probe-{uuid.uuid4().hex}"
    file.touch()
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _unseen(files: Mapping[str, str]) -> list[str]:
    return [option for option, file in files.items() if not Path(file).exists()]
