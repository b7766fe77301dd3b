"""OpenVINO's files. `float16` keeps weights in half precision and computes in single."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab2f.models.export.formats import Precision, Runner, RuntimeFormat
from raylab2f.models.export.graph import INPUT, OUTPUTS, JudgingGraph, traced

__all__ = ["FORMAT"]

_NAME, _WEIGHTS = "model.xml", "model.bin"
_DEVICE = "CPU"


def _write(graph: JudgingGraph, folder: Path, precision: Precision, pictures: Sequence[NDArray[np.uint8]]) -> None:
    import openvino

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Not by way of ONNX: of that file it makes products and sums that are fused, and other grey values.
        model = openvino.convert_model(traced(graph))
    model.inputs[0].get_tensor().set_names({INPUT})
    for output, name in zip(model.outputs, OUTPUTS, strict=True):
        output.get_tensor().set_names({name})
    openvino.save_model(model, folder / _NAME, compress_to_fp16=precision == "float16")


def _open(path: Path, threads: int) -> Runner:
    import openvino

    compiled = openvino.Core().compile_model(str(path), _DEVICE, _options(threads))

    def run(pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        found = compiled(pictures)
        scores, maps = (np.array(found[name], np.float32) for name in OUTPUTS)
        return scores, maps

    return run


def _options(threads: int) -> dict[str, Any]:
    # Else processors with units for it compute in bfloat16.
    return {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}


FORMAT = RuntimeFormat(
    files=(_NAME, _WEIGHTS),
    precisions=("float32", "float16"),
    casts=False,
    packages=("openvino",),
    write=_write,
    open=_open,
    options=_options,
)
