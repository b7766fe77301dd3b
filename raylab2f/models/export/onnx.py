"""ONNX files, judged by onnxruntime.

`float16` keeps the weights of convolutions and products in half precision and computes in single; `int8` quantises
convolutions statically, with the ranges that the given pictures have.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raylab2f.models.export.formats import Precision, Runner, RuntimeFormat
from raylab2f.models.export.graph import INPUT, OUTPUTS, JudgingGraph, traced

__all__ = ["FORMAT"]

_NAME = "model.onnx"
_OPSET = 18
_PROVIDER = "CPUExecutionProvider"
_WEIGHED = ("Conv", "Gemm", "MatMul")
# Fewer weights are not worth a cast.
_LEAST_WEIGHTS = 1024


def _write(graph: JudgingGraph, folder: Path, precision: Precision, pictures: Sequence[NDArray[np.uint8]]) -> None:
    import onnx

    path = folder / _NAME
    with _silence():
        program = torch.onnx.export(
            traced(graph),
            dynamo=True,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
        assert program is not None
        program.save(path, external_data=False)
        model = onnx.load(path)
        _name_sides(model)
        if precision == "float16":
            _halve_weights(model)
        onnx.save(model, path)
        if precision == "int8":
            _quantise(path, pictures)


def _name_sides(model: Any) -> None:
    """Names that say what the free lengths are."""
    sides = model.graph.input[0].type.tensor_type.shape.dim
    names = {side.dim_param: name for side, name in zip(sides, ("batch", "height", "width"), strict=False)}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param in names:
                side.dim_param = names[side.dim_param]


def _halve_weights(model: Any) -> None:
    from onnx import TensorProto, helper, numpy_helper

    weights = {name for node in model.graph.node if node.op_type in _WEIGHED for name in node.input[:2]}
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name not in weights or values.dtype != np.float32 or values.size < _LEAST_WEIGHTS:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/half"))
        casts.append(helper.make_node("Cast", [f"{name}/half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _quantise(path: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(pictures)

        def get_next(self) -> Any:
            picture = next(self._left, None)
            return None if picture is None else {INPUT: picture[None]}

    with TemporaryDirectory(dir=path.parent) as folder:
        quantised = Path(folder) / _NAME
        quantize_static(
            path,
            quantised,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantised.replace(path)


def _open(path: Path, threads: int) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=[_PROVIDER])

    def run(pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scores, maps = session.run(list(OUTPUTS), {INPUT: pictures})
        return np.asarray(scores, np.float32), np.asarray(maps, np.float32)

    return run


def _options(threads: int) -> dict[str, Any]:
    return {"provider": _PROVIDER, "intra_op_num_threads": threads, "opset": _OPSET}


@contextmanager
def _silence() -> Iterator[None]:
    """The exporter tells of every step, and quantising of every tensor."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


FORMAT = RuntimeFormat(
    files=(_NAME,),
    precisions=("float32", "float16", "int8"),
    casts=True,
    packages=("onnx", "onnxscript", "onnxruntime"),
    write=_write,
    open=_open,
    options=_options,
)
