"""torch's own files, which `torch.export.load` opens without this package."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raylab2f.models.export.formats import Precision, Runner, RuntimeFormat
from raylab2f.models.export.graph import JudgingGraph, traced
from raylab2f.models.judging import threads_limited

__all__ = ["FORMAT"]

_NAME = "model.pt2"


def _write(graph: JudgingGraph, folder: Path, precision: Precision, pictures: Sequence[NDArray[np.uint8]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(traced(graph), folder / _NAME)


def _open(path: Path, threads: int) -> Runner:
    module = torch.export.load(path).module()

    def run(pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        with torch.inference_mode(), threads_limited(threads):
            scores, maps = module(torch.from_numpy(pictures))
        return np.asarray(scores.numpy(), np.float32), np.asarray(maps.numpy(), np.float32)

    return run


def _options(threads: int) -> dict[str, Any]:
    return {"device": "cpu", "threads": threads}


FORMAT = RuntimeFormat(
    files=(_NAME,),
    precisions=("float32",),
    casts=True,
    packages=("torch",),
    write=_write,
    open=_open,
    options=_options,
)
