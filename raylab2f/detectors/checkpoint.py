"""Detectors and half-finished trainings on disk: safetensors with JSON beside or inside, never a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from raylab2f.detectors.base import Detector
from raylab2f.detectors.per_position import PerPosition, per_position
from raylab2f.detectors.registry import config_from_dict, config_to_dict, detector_class
from raylab2f.errors import UserError
from raylab2f.files.atomic import atomic_path, write_json
from raylab2f.files.strangers import read_json

__all__ = ["MOST_POSITIONS", "described_detector", "load_detector", "load_training", "save_detector", "save_training"]

#: Detectors of one fold, at most.
MOST_POSITIONS = 1000
#: Channels or positions of a model's maps, at most.
_MOST = 1 << 20
# What a description of another kind, or of no detector, raises.
_WRONG = (ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError)


def save_detector(folder: Path, detector: Detector, feature_shapes: Sequence[tuple[int, int, int]]) -> None:
    """Write `model.safetensors` and `model.json` into `folder`."""
    with atomic_path(folder / "model.safetensors") as temporary:
        save_file(_contiguous(detector.state_dict()), temporary)
    description = {
        "detector": detector.name,
        "config": config_to_dict(detector.config),
        "feature_shapes": [list(shape) for shape in feature_shapes],
        "positions": list(detector.positions) if isinstance(detector, PerPosition) else [],
    }
    write_json(folder / "model.json", description)


def load_detector(folder: Path) -> Detector:
    """The detector saved in `folder`, ready to predict on the CPU."""
    try:
        description = read_json(folder / "model.json")
        # Which this machine may lack.
        cls = detector_class(description["detector"])
    except _WRONG as error:
        raise UserError(f"{folder / 'model.json'} describes no detector ({error}); train the fold again.") from error
    try:
        detector = described_detector(
            cls.name, description["config"], description["feature_shapes"], description.get("positions", [])
        )
    except (UserError, *_WRONG) as error:
        raise UserError(f"{folder / 'model.json'} describes no detector ({error}); train the fold again.") from error
    try:
        detector.load_state_dict(load_file(folder / "model.safetensors"))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{folder / 'model.safetensors'} is damaged ({error}); train the fold again.") from error
    return detector.eval()


def described_detector(
    name: str, config: dict[str, Any], feature_shapes: Sequence[Sequence[int]], positions: Sequence[int] = ()
) -> Detector:
    """A detector of a recorded configuration, before its tensors are put in; one for each position, if there are any.

    Raises:
        UserError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError: the values describe
            none.
    """
    shapes = [(int(c), int(h), int(w)) for c, h, w in feature_shapes]
    _require_buildable(shapes)
    cls, own = detector_class(name), config_from_dict(name, config)
    if not positions:
        return cls(own, shapes)
    if len(positions) > MOST_POSITIONS:
        raise ValueError(f"it asks for {len(positions)} detectors")
    return per_position(cls)(own, shapes, positions=[int(position) for position in positions])


def _require_buildable(shapes: Sequence[tuple[int, int, int]]) -> None:
    """`ValueError` for a number that no model of anybody's has; to build one so large would take all memory first."""
    for number in (number for shape in shapes for number in shape):
        if abs(number) > _MOST:
            raise ValueError(f"it asks for {number:g} of something")


def save_training(
    path: Path,
    detector: Detector,
    optimizers: Sequence[torch.optim.Optimizer],
    history: Sequence[dict[str, float]],
) -> None:
    """Write all that a training needs to go on; `history` has one entry per finished epoch."""
    tensors = {f"model/{name}": tensor for name, tensor in detector.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    with atomic_path(path) as temporary:
        tensors = _contiguous(tensors)
        told = json.dumps(list(history))
        save_file(tensors, temporary, metadata={"history": told, "sha256": _digest(tensors, told)})


def load_training(
    path: Path, detector: Detector, optimizers: Sequence[torch.optim.Optimizer]
) -> list[dict[str, float]]:
    """Restore what `save_training` wrote.

    Returns:
        The history: one entry per finished epoch.

    Raises:
        ValueError: the file is damaged or belongs to another configuration; detector and optimisers are then in an
            undefined state and must be made anew.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if _digest(tensors, metadata["history"]) != metadata["sha256"]:
            raise ValueError("its checksum differs")
        history = [{name: float(value) for name, value in epoch.items()} for epoch in json.loads(metadata["history"])]
        prefix = "model/"
        detector.load_state_dict({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
        for number, optimizer in enumerate(optimizers):
            state: dict[int, dict[str, Any]] = {}
            for name, tensor in tensors.items():
                if name.startswith(f"optimizer/{number}/"):
                    _, _, index, key = name.split("/")
                    state.setdefault(int(index), {})[key] = tensor
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
            _lay_out_like_parameters(optimizer)
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is not a usable checkpoint: {error}") from error
    return history


def _lay_out_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Fused optimisers go through a parameter and its moments by their places in memory."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _digest(tensors: dict[str, Tensor], history: str) -> str:
    """sha256 of names, types, shapes and values, 64 hex digits: a flipped bit in a tensor is still a tensor."""
    digest = hashlib.sha256(history.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
