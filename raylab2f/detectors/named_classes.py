"""Detectors that are asked for as `package.module:Class`."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from raylab2f import plugins
from raylab2f.detectors.base import Detector
from raylab2f.detectors.pictures import array_detector
from raylab2f.errors import UserError

__all__ = ["as_detector", "named_class"]


def named_class(name: str) -> Any:
    """The class `package.module:Class`, from an installed package or the folder in which the command was given.

    Raises:
        UserError: there is none, importing it fails, or nobody but a file has named it.
    """
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise UserError(f"--detector {name}: give package.module:Class, as for an import.")
    if module_name.endswith(".py"):
        raise UserError(f"--detector {name}: a module's name has no ending; give {module_name[:-3]}:{attribute}.")
    plugins.require_trusted(name)
    # Ray's processes look there as well; an installed command does not.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise UserError(
                f"--detector {name}: there is no module {error.name}; give the command in the folder that holds it, or "
                "install its package."
            ) from error
        raise UserError(f"--detector {name}: {module_name} needs {error.name}, which is not installed.") from error
    # A module that ends the program when it is imported is no better than one that fails.
    except (Exception, SystemExit) as error:
        raise UserError(
            f"--detector {name}: {module_name} cannot be imported ({plugins.fault(error)}); mend it."
        ) from error
    found = getattr(module, attribute, None)
    if not isinstance(found, type):
        classes = sorted(key for key, value in vars(module).items() if isinstance(value, type))
        raise UserError(
            f"--detector {name}: {module_name} has no class {attribute}; it has {', '.join(classes) or 'none'}."
        )
    return found


@cache
def as_detector(name: str, found: Any) -> type[Detector]:
    """A class as the protocol has it, by the name under which checkpoints find it; `fit` and `predict` are enough.

    Raises:
        UserError: it is no `Detector`, and lacks one of the two.
    """
    if issubclass(found, Detector):
        return type(found.__name__, (found,), {"name": name})
    return array_detector(name, found)
