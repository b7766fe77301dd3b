"""What other packages add: detectors, layouts and diagnoses, found by entry points.

A package declares them in its `pyproject.toml`:

```toml
[project.entry-points."raylab2f.detectors"]
my_detector = "my_package:MyDetector"     # a class of `detectors.base.Detector`

[project.entry-points."raylab2f.layouts"]
my_layout = "my_package:LAYOUT"           # a `datasets.layouts.Layout`

[project.entry-points."raylab2f.diagnoses"]
my_diagnosis = "my_package:diagnose"      # `diagnose(run, *, seed)` -> `diagnostics.Finding`
```

They are loaded when they are first asked for, and must be installed on every node of a cluster.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from raylab2f.errors import UserError, first_line

__all__ = [
    "ANOMALIB",
    "DETECTORS",
    "DIAGNOSES",
    "LAYOUTS",
    "TRUST",
    "Plugin",
    "added",
    "added_names",
    "fault",
    "plugin_packages",
    "require_trusted",
    "trust",
    "trusted",
]

#: What stands before the names of anomalib's models.
ANOMALIB = "anomalib"
#: Variable of the environment: classes that may be imported, with commas.
TRUST = "RAYLAB2F_DETECTORS"
_trusted: set[str] = set()

DETECTORS, LAYOUTS, DIAGNOSES = GROUPS = ("raylab2f.detectors", "raylab2f.layouts", "raylab2f.diagnoses")

# Names become options, folders and files.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Plugin:
    """One thing that a package adds.

    Attributes:
        name: by which it is asked for.
        package: the package's name.
    """

    name: str
    package: str
    point: EntryPoint

    def load(self) -> Any:
        """The object itself.

        Raises:
            UserError: the package cannot be imported, or has no such object; names it and the reason.
        """
        try:
            return self.point.load()
        # A module that ends the program when it is imported is no better than one that fails.
        except (Exception, SystemExit) as error:
            raise UserError(
                f"{self.name}: the package {self.package} that adds it cannot be loaded ({fault(error)}); mend or "
                "uninstall it."
            ) from error


def added_names(group: str) -> tuple[str, ...]:
    """Names that installed packages give in a group, sorted; nothing is loaded or checked."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def added(group: str, name: str, own: Collection[str]) -> Plugin | None:
    """What packages add under a name; `None`: nothing.

    Arguments:
        group: `DETECTORS`, `LAYOUTS` or `DIAGNOSES`.
        own: names that raylab2f itself has, or keeps for itself.

    Raises:
        UserError: two packages give the name, or one gives a name of raylab2f's own or one that cannot be a file's.
    """
    found = {_package(point): point for point in entry_points(group=group, name=name)}
    if not found:
        return None
    packages = " and ".join(sorted(found))
    if name in own:
        raise UserError(f"{packages} adds {name} to {group}, a name that raylab2f itself has; uninstall {packages}.")
    if len(found) > 1:
        raise UserError(f"{packages} both add {name} to {group}; uninstall one of them.")
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{packages} adds {name!r} to {group}, but names are made of letters, digits and ._-; uninstall {packages}."
        )
    [(package, point)] = found.items()
    return Plugin(name, package, point)


def trust(*names: str) -> None:
    """Let classes that are named `package.module:Class` be imported in this process, for the user names them."""
    _trusted.update(names)


def trusted() -> tuple[str, ...]:
    """Those that may be imported, the environment's included."""
    return tuple(sorted({*_trusted, *filter(None, os.environ.get(TRUST, "").split(","))}))


def require_trusted(name: str) -> None:
    """Importing runs code, which no file shall bring about: a class must be named by the user.

    Arguments:
        name: of a detector; without a colon it is one of raylab2f's, or of an installed package that declares it.

    Raises:
        UserError: it is a class that nobody but a file has named.
    """
    if ":" in name and not name.startswith(f"{ANOMALIB}:") and name not in trusted():
        raise UserError(
            f"{name} is a class of somebody's, and only a file names it; if you know what its module does, say so with "
            f"--detector {name}, or with {TRUST}={name} in the environment."
        )


def plugin_packages() -> dict[str, str]:
    """Version, by name, of every installed package that adds something."""
    points = [point for group in GROUPS for point in entry_points(group=group)]
    return {point.dist.name: point.dist.version for point in points if point.dist is not None}


def fault(error: BaseException) -> str:
    """What went wrong in code of others, and where, for a sentence that quotes it."""
    calls = traceback.extract_tb(error.__traceback__)
    where = f", {Path(calls[-1].filename).name} line {calls[-1].lineno}" if calls else ""
    return f"{type(error).__name__}: {first_line(error)}{where}"


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
