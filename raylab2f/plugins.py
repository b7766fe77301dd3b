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

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from raylab2f.errors import UserError, first_line

__all__ = ["GROUPS", "load_plugin", "plugin_names"]

GROUPS = ("raylab2f.detectors", "raylab2f.layouts", "raylab2f.diagnoses")


def plugin_names(group: str, taken: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names that installed packages give in a group of `GROUPS`, sorted; nothing is loaded.

    Arguments:
        taken: names that raylab2f itself has.

    Raises:
        UserError: two packages give one name, or one gives a name of raylab2f's own.
    """
    owners: dict[str, set[str]] = {name: {"raylab2f"} for name in taken}
    for point in entry_points(group=group):
        owners.setdefault(point.name, set()).add(_package(point))
    for name, packages in owners.items():
        if len(packages) > 1:
            raise UserError(f"{' and '.join(sorted(packages))} both add {name} to {group}; uninstall one of them.")
    return tuple(sorted(owners.keys() - set(taken)))


def load_plugin(group: str, name: str) -> Any:
    """What the entry point `name` of a group stands for.

    Raises:
        UserError: it cannot be loaded; names the package and its reason.
    """
    (point, *_) = entry_points(group=group, name=name)
    try:
        return point.load()
    except Exception as error:
        raise UserError(
            f"{name}: the package {_package(point)} that adds it cannot be loaded "
            f"({type(error).__name__}: {first_line(error)}); mend or uninstall it."
        ) from error


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
