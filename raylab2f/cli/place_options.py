"""What options and arguments that name places have in common: how they are read, and how they are known as such.

A command that is sent to a cluster is checked for all of its places; it finds them by their metavar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from raylab2f.errors import UserError
from raylab2f.files.places import is_uri, local_path, place_of

__all__ = ["MLFLOW_STORE", "PATH", "PLACE", "require_absolute", "require_shared"]


def _path(text: str) -> Path:
    return Path(local_path(text))


def mlflow_store(text: str) -> str:
    """Where MLflow keeps its records; what it may be is MLflow's matter, but no place for a password."""
    from raylab2f.workflows.tracking.mlflow import refuse_password

    refuse_password(text)
    return text


#: Keyword arguments of `typer.Option` and `typer.Argument` for a local path or the URI of a place on a store.
PLACE: Mapping[str, Any] = {"parser": place_of, "metavar": "PLACE"}
#: The same for a local path and nothing else.
PATH: Mapping[str, Any] = {"parser": _path, "metavar": "PATH"}
#: The same for an MLflow store.
MLFLOW_STORE: Mapping[str, Any] = {"parser": mlflow_store, "metavar": "FILE|URL"}


def require_shared(parameters: Iterable[Any], values: Mapping[str, Any]) -> None:
    """Check that a command's places are the same on all nodes of a cluster: on a store, or absolute paths.

    Arguments:
        parameters: of the command, as click has them.
        values: by the parameter's name.

    Raises:
        UserError: a relative path.
    """
    for parameter in parameters:
        value = values[parameter.name]
        name = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name.upper()
        for place in value if isinstance(value, (list, tuple)) else [value]:
            if place is None:
                continue
            if parameter.metavar == MLFLOW_STORE["metavar"]:
                require_absolute(name, _database(place))
            elif parameter.metavar in (PLACE["metavar"], PATH["metavar"]) and not is_uri(place):
                require_absolute(name, place)


def require_absolute(name: str, path: str | Path | None) -> None:
    """`UserError` if a path, named by an option, leads elsewhere on every node."""
    if path is not None and not PurePosixPath(path).is_absolute():
        raise UserError(f"submit: {name} {path} must be an absolute path, the same on all nodes, or a URI on a store.")


def _database(store: str) -> str | None:
    """The path of an MLflow store that is a file: of a database as SQLAlchemy writes it, `sqlite:////absolute/path`."""
    if not is_uri(store):
        return store
    parts = urlsplit(store)
    return parts.path.removeprefix("/") if parts.scheme.partition("+")[0] == "sqlite" else None
