"""The folder of a finalised model.

```
model.json           what it is, see `record.ModelRecord`; names the digests of all other files that are read
model.safetensors    the tensors of its detectors (`detector/{k}/...`) and of what is familiar (`familiarity/...`)
backbone-{i}.safetensors   the weights of each feature request's backbone, where they were asked for
reference.parquet    pictures as prepared (PNG) with the scores that they had: `image_id`, `object_id`, `label`,
                     `picture`, `score`
evaluation.parquet   what the evaluation said of parts that the model is to be compared with, see `EVALUATION_SCHEMA`
MODEL_CARD.md        the same for people
```

`model.json` is written last. Nothing in it is code, and nothing that is loaded is a pickle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from raylab2f.detectors.backbone_features import backbone_spec
from raylab2f.detectors.base import Detector, FeatureRequest
from raylab2f.detectors.checkpoint import described_detector
from raylab2f.errors import UserError, first_line
from raylab2f.features import Backbone, Normalisation, Weights, create_backbone
from raylab2f.files.atomic import atomic_path, write_json, write_parquet
from raylab2f.files.digests import sha256_of
from raylab2f.files.mirror import fetch
from raylab2f.files.parquet import read_parquet
from raylab2f.files.strangers import read_json
from raylab2f.models.familiarity import Components, Familiarity
from raylab2f.models.judging import Judge
from raylab2f.models.record import ModelRecord

__all__ = [
    "EVALUATION_SCHEMA",
    "MODEL_FILES",
    "REFERENCE_SCHEMA",
    "is_whole",
    "load_model",
    "model_digest",
    "read_evaluation",
    "read_record",
    "read_reference",
    "write_model",
]

_TENSORS, _REFERENCE, _CARD, _RECORD = "model.safetensors", "reference.parquet", "MODEL_CARD.md", "model.json"
_EVALUATION = "evaluation.parquet"
#: All that a model's folder may hold of ours, as patterns.
MODEL_FILES = (_TENSORS, "backbone-*.safetensors", _REFERENCE, _EVALUATION, _CARD, _RECORD)
REFERENCE_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("object_id", pa.string()),
        ("label", pa.int8()),
        ("picture", pa.binary()),
        ("score", pa.float64()),
    ]
)
#: One row a picture that did not train: its score on the model's scale, the verdict on its part, its strangeness.
EVALUATION_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("object_id", pa.string()),
        ("label", pa.int8()),
        ("condition", pa.string()),
        ("score", pa.float64()),
        ("strangeness", pa.float64()),
        ("verdict", pa.string()),
    ]
)
_WRONG = (ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError, SafetensorError)


def write_model(
    folder: Path,
    record: ModelRecord,
    states: Sequence[Mapping[str, Tensor]],
    components: Components,
    reference: pa.Table,
    evaluation: pa.Table,
    card: str,
    backbones: Sequence[Weights] = (),
) -> ModelRecord:
    """Write a model's folder.

    Arguments:
        record: without `files`.
        states: the state of each of its detectors.
        components: of familiar features.
        reference: of `REFERENCE_SCHEMA`.
        evaluation: of `EVALUATION_SCHEMA`.
        card: text of `MODEL_CARD.md`.
        backbones: weights to keep inside, of each feature request.

    Returns:
        The record as written, with the digests of the files.
    """
    tensors = {f"detector/{k}/{name}": tensor for k, state in enumerate(states) for name, tensor in state.items()}
    tensors |= {f"familiarity/{name}": torch.as_tensor(value) for name, value in vars(components).items()}
    _save(folder / _TENSORS, tensors)
    for number, weights in enumerate(backbones):
        _save(folder / _backbone_name(number), weights.state)
    write_parquet(folder / _REFERENCE, reference.cast(REFERENCE_SCHEMA))
    write_parquet(folder / _EVALUATION, evaluation.cast(EVALUATION_SCHEMA))
    with atomic_path(folder / _CARD) as temporary:
        temporary.write_text(card, encoding="utf-8", errors="backslashreplace")
    names = [_TENSORS, _REFERENCE, _EVALUATION, *map(_backbone_name, range(len(backbones)))]
    record = replace(record, files={name: sha256_of(folder / name) for name in names})
    write_json(folder / _RECORD, record.to_dict())
    return record


def read_record(place: str | Path) -> ModelRecord:
    """What a model is, from its folder or the URI of it.

    Raises:
        UserError: there is no model, or its record cannot be read.
    """
    folder = fetch(str(place), [*MODEL_FILES])
    try:
        return ModelRecord.from_dict(read_json(folder / _RECORD))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{place} holds no model (no {_RECORD}); make one with raylab2f finalise.") from error
    except _WRONG as error:
        raise UserError(
            f"{place}: {_RECORD} describes no model ({first_line(error)}); finalise the run again."
        ) from error


def load_model(place: str | Path, device: torch.device | str | None = None) -> Judge:
    """The model in a folder, ready to judge.

    Arguments:
        place: its folder, or the URI of it.
        device: where it shall compute; `None`: a GPU where there is one, else the CPU.

    Raises:
        UserError: there is no model, a file is not as it was written, or the backbone's weights cannot be had or are
            others than those that the model was evaluated with.
    """
    record = read_record(place)
    folder = fetch(str(place), [*MODEL_FILES])
    for name in record.files:
        _require_as_written(folder, record, name)
    if _TENSORS not in record.files:
        raise UserError(f"{place}: {_RECORD} names no {_TENSORS}; finalise the run again.")
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        tensors = load_file(folder / _TENSORS)
        detectors = [_detector(record, tensors, k).to(device) for k in range(len(record.members))]
        components = _components(tensors)
        familiarity = Familiarity.from_dict(record.familiarity)
        if list(record.preparation.get("size", ())) != list(detectors[0].config.size):
            raise ValueError("its pictures have not the size that its detector asks for")
        requests = type(detectors[0]).feature_requests(detectors[0].config)
        backbones = _backbones(folder, record, requests, device)
        return Judge(record, detectors, backbones, familiarity, components, device)
    except _WRONG as error:
        raise UserError(f"{place} holds no usable model ({first_line(error)}); finalise the run again.") from error


def read_reference(place: str | Path) -> tuple[pa.Table, NDArray[np.uint8]]:
    """The stored pictures of a model: their rows, and (n, H, W, 3) as prepared."""
    folder = fetch(str(place), [*MODEL_FILES])
    table = read_parquet(folder / _REFERENCE)
    pictures = []
    for png in table["picture"].to_pylist():
        decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise UserError(f"{folder / _REFERENCE} is damaged; copy the model's folder again.")
        pictures.append(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))
    return table, np.stack(pictures).astype(np.uint8)


def read_evaluation(place: str | Path) -> pa.Table:
    """What the evaluation said, see `EVALUATION_SCHEMA`.

    Raises:
        UserError: there is no model, or the table is not as it was written.
    """
    record = read_record(place)
    return read_parquet(_require_as_written(fetch(str(place), [*MODEL_FILES]), record, _EVALUATION))


def model_digest(place: str | Path) -> str:
    """sha256 of a model's `model.json`, which names the digests of all else.

    Raises:
        OSError: there is none.
    """
    return sha256_of(fetch(str(place), [_RECORD]) / _RECORD)


def is_whole(place: str | Path) -> bool:
    """Whether all files of a model are as its record says; not so while it is being copied."""
    try:
        record = read_record(place)
        folder = fetch(str(place), [*MODEL_FILES])
        for name in record.files:
            _require_as_written(folder, record, name)
    except (OSError, UserError):
        return False
    return True


def _require_as_written(folder: Path, record: ModelRecord, name: str) -> Path:
    """The file of this name; `UserError` unless it is as the record says."""
    path = folder / Path(name).name
    if not path.is_file() or record.files.get(name) != sha256_of(path):
        raise UserError(f"{path} is absent or not as it was written; copy the model's folder again.")
    return path


def _detector(record: ModelRecord, tensors: Mapping[str, Tensor], number: int) -> Detector:
    config = {**record.config, "init_seed": record.members[number][0]}
    detector = described_detector(record.detector, config, record.feature_shapes, record.positions)
    prefix = f"detector/{number}/"
    detector.load_state_dict({name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)})
    return detector.eval()


def _components(tensors: Mapping[str, Tensor]) -> Components:
    mean, axes, variances = (tensors[f"familiarity/{name}"].numpy() for name in ("mean", "axes", "variances"))
    return Components(mean, axes, variances, float(tensors["familiarity/rest"]))


def _backbones(
    folder: Path, record: ModelRecord, requests: Sequence[FeatureRequest], device: torch.device
) -> list[Backbone]:
    if len(record.backbone_digests) != len(requests):
        raise ValueError("it names other backbones than its detector reads")
    found = []
    for number, (request, digest) in enumerate(zip(requests, record.backbone_digests, strict=True)):
        weights = None
        if record.normalisations:
            path = folder / _backbone_name(number)
            if path.name not in record.files:
                raise ValueError(f"it names no {path.name}")
            weights = Weights(load_file(path), Normalisation(*record.normalisations[number]), str(path))
        backbone = create_backbone(backbone_spec(request), weights)
        if backbone.weights_digest != digest:
            raise UserError(
                f"The weights of {request.backbone} on this machine are others than those that the model was evaluated "
                "with; install those, or finalise with --with-backbone."
            )
        found.append(backbone.to(device))
    return found


def _backbone_name(number: int) -> str:
    return f"backbone-{number}.safetensors"


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    with atomic_path(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, temporary)
