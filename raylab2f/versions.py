"""Which versions run here.

The metadata that the interpreter finds first need not be that of the code it imports: building a wheel leaves an
`egg-info` in the working folder, which is searched before the installed packages.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path

from raylab2f import __version__

__all__ = ["MISSING", "version_of"]

#: In place of the version of what is not installed.
MISSING = "missing"

# Modules whose names are not those of their packages.
_MODULES = {"scikit-learn": "sklearn"}


def version_of(package: str) -> str:
    """An installed package's version, by the metadata beside the code that is imported; `MISSING` if there is none.

    Our own is the one that the code says itself.
    """
    if package == "raylab2f":
        return __version__
    module = find_spec(_MODULES.get(package, package))
    if module is not None and module.origin:
        beside = [str(Path(module.origin).parent.parent)]
        for found in distributions(name=package, path=beside):
            return found.version
    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING
