"""What an exported file can be: which runtime reads it, in which precisions, under which names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from raylab2f.errors import UserError

__all__ = ["FORMATS", "Format", "Precision", "Runner", "RuntimeFormat", "format_of", "require_package"]

Format = Literal["onnx", "openvino", "pt2"]
Precision = Literal["float32", "float16", "int8"]

#: From pictures (B, H, W, 3) uint8 to scores (B,) and maps (B, h, w), float32.
Runner = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]


class Writer(Protocol):
    """Writes a graph; see `RuntimeFormat`."""

    def __call__(
        self, graph: Any, folder: Path, precision: Precision, pictures: Sequence[NDArray[np.uint8]]
    ) -> None: ...


@dataclass(frozen=True)
class RuntimeFormat:
    """One kind of exported file.

    Arguments:
        files: that are written; the first is the one that a runtime is given.
        precisions: that are offered.
        casts: whether the runtime keeps casts to a shorter type and back, see `JudgingGraph`.
        packages: whose versions the certificate names.
        write: a `JudgingGraph` into a folder; the pictures (H, W, 3) tell `int8` which values occur.
        open: the runner of a written file; on so many threads.
        options: of the runtime, as used here, for the certificate.
    """

    files: tuple[str, ...]
    precisions: tuple[Precision, ...]
    casts: bool
    packages: tuple[str, ...]
    write: Writer
    open: Callable[[Path, int], Runner]
    options: Callable[[int], dict[str, Any]]


#: Module of each format.
FORMATS: dict[Format, str] = {name: f"raylab2f.models.export.{name}" for name in ("onnx", "openvino", "pt2")}


def format_of(name: Format, precision: Precision) -> RuntimeFormat:
    """The format of this name.

    Raises:
        UserError: its package is not installed, or it has no such precision.
    """
    found: RuntimeFormat = import_module(FORMATS[name]).FORMAT
    if precision not in found.precisions:
        *most, last = found.precisions
        choices = f"{', '.join(most)} or {last}" if most else last
        raise UserError(f"--precision {precision}: --format {name} offers {choices}; choose that, or another format.")
    require_package(name)
    return found


def require_package(name: Format) -> None:
    """`UserError` where a format's runtime is not installed."""
    wanted = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",), "pt2": ()}[name]
    try:
        for module in wanted:
            import_module(module)
    except ImportError as error:
        raise UserError(f"--format {name} needs a package more; install it: pip install raylab2f[{name}]") from error
