"""How far raylab2f's detectors, and the published steps that they are timed beside, are from the reference values.

The references are `.npz` files as in `tests/reference`; each is a small training of one detector.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import light_imports  # noqa: F401
import numpy as np
import torch
from numpy.typing import NDArray
from published_steps import PublishedCSFlow, PublishedGlass
from torch import Tensor, nn

from raylab2f.detectors.base import Batch, Samples
from raylab2f.detectors.csflow import CSFlow
from raylab2f.detectors.glass import Glass
from raylab2f.detectors.glass.training_pass import Patches

# Beside the tests that hold the detectors to the same references.
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from reference_detectors import csflow_of, glass_of, glass_state

__all__ = ["parity_errors"]

Values = dict[str, NDArray[Any]]
#: Name, what was found, what the reference says.
Found = Iterator[tuple[str, Any, Any]]
_UNDETERMINED = ("after/discriminator.hidden.bias", "after/body.0.bias")


def parity_errors(folder: Path, device: torch.device, dtype: torch.dtype) -> dict[str, dict[str, tuple[float, str]]]:
    """By reference file and side (`ours`, `published`): the largest relative error, and of which value it is.

    An error is the largest deviation within a value, relative to the value's largest entry. Below float64 the bias in
    front of the batch norm is left out: its gradient is nothing but rounding, which Adam brings to the size of a step,
    and no output depends on it.
    """
    errors: dict[str, dict[str, tuple[float, str]]] = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            values = {key: arrays[key] for key in arrays.files}
        if "x0" in values:
            sides: dict[str, Callable[..., Found]] = {"ours": _csflow_ours, "published": _csflow_published}
        elif "patch_features_step0" in values:
            sides = {"ours": _glass_ours, "published": _glass_published}
        else:
            # The verdicts on mean pictures are no matter of the device.
            continue
        errors[path.stem] = {
            side: max(
                (_error(found, expected), name)
                for name, found, expected in compute(values, device, dtype)
                if dtype == torch.float64 or name not in _UNDETERMINED
            )
            for side, compute in sides.items()
        }
    if not errors:
        raise FileNotFoundError(f"{folder} holds no reference values")
    return errors


def _error(found: Any, expected: Any) -> float:
    own = found.detach().double().cpu().numpy() if isinstance(found, Tensor) else np.asarray(found, np.float64)
    wanted = np.asarray(expected, np.float64)
    deviation = float(np.abs(own - wanted).max() / max(np.abs(wanted).max(), 1e-300))
    # A NaN would get lost among the others.
    return deviation if np.isfinite(deviation) else float("inf")


def _csflow(values: Values, device: torch.device, dtype: torch.dtype) -> tuple[CSFlow, list[Tensor]]:
    detector, maps = csflow_of(values)
    return detector.to(device, dtype), [x.to(device, dtype) for x in maps]


def _csflow_ours(values: Values, device: torch.device, dtype: torch.dtype) -> Found:
    detector, maps = _csflow(values, device, dtype)
    batch = Batch(torch.arange(len(maps[0])), maps)
    with torch.no_grad():
        z, determinant = detector.latent(maps)
    yield from ((f"z{scale}", latent, values[f"z{scale}"]) for scale, latent in enumerate(z))
    yield "logdet", determinant, values["logdet0"] + values["logdet1"] + values["logdet2"]
    yield "image_score", detector.predict(batch).scores, values["image_score"]
    (optimizer,) = detector.optimizers()
    losses, norms = [], []
    for _ in values["train_losses"]:
        optimizer.zero_grad()
        loss = detector(batch)
        loss.backward()
        limit = detector.config.schedule.max_grad_norm
        norms.append(float(nn.utils.clip_grad_norm_(detector.parameters(), limit)))
        optimizer.step()
        losses.append(loss.item())
    yield "train_losses", losses, values["train_losses"]
    yield "train_grad_norms", norms, values["train_grad_norms"]


def _csflow_published(values: Values, device: torch.device, dtype: torch.dtype) -> Found:
    detector, maps = _csflow(values, device, dtype)
    flow = PublishedCSFlow(detector.config, maps[0].shape[1], detector.state_dict())
    with torch.no_grad():
        z, determinants = flow(maps)
    yield from ((f"z{scale}", latent, values[f"z{scale}"]) for scale, latent in enumerate(z))
    yield from ((f"logdet{scale}", own, values[f"logdet{scale}"]) for scale, own in enumerate(determinants))
    scores, shown = flow.scores(maps)
    yield "image_score", scores, values["image_score"]
    yield from ((f"map{scale}", own, values[f"map{scale}"]) for scale, own in enumerate(shown))
    steps = [flow.step(maps, device) for _ in values["train_losses"]]
    yield "train_losses", [loss for loss, _ in steps], values["train_losses"]
    yield "train_grad_norms", [norm for _, norm in steps], values["train_grad_norms"]


def _glass(values: Values, device: torch.device, dtype: torch.dtype) -> tuple[Glass, nn.Module]:
    detector, backbone = glass_of(values)
    return detector.to(device, dtype), backbone.to(device, dtype)


def _tensor(values: Values, name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(values[name]).to(device, dtype)


def _glass_ours(values: Values, device: torch.device, dtype: torch.dtype) -> Found:
    detector, backbone = _glass(values, device, dtype)
    steps = sorted({key.partition("/")[0] for key in values if key.startswith("step")})
    samples = Samples(
        backbone(torch.cat([_tensor(values, f"{step}/image", device, dtype) for step in steps])), dtype=dtype
    )
    detector.begin(samples, seed=0)
    detector.begin_epoch(samples, 0)
    yield "center", detector.center, values["center"]
    optimizers = detector.optimizers()
    detector.train()
    for step in steps:
        pictures, changed, noise = (
            _tensor(values, f"{step}/{name}", device, dtype) for name in ("image", "augmented", "noise")
        )
        is_local = torch.from_numpy(values[f"{step}/patch_mask"]).to(device).flatten() > 0
        true, local = detector.embed(backbone(pictures)), detector.embed(backbone(changed))
        done = detector.training_pass(Patches(true.flatten(0, 1), local.flatten(0, 1), is_local, noise))
        assert detector.center is not None
        adapted = detector.adaptor(true).flatten(0, 1)
        origin = detector.center.repeat(len(pictures), 1) if detector.hypersphere else adapted
        yield f"{step}/global_anomalies", origin + done.offset, values[f"{step}/global_anomalies"]
        for name in ("bce_loss", "focal_loss"):
            yield f"{step}/{name}", getattr(done, name), values[f"{step}/{name}"]
        for name in ("scores_true", "scores_global", "scores_local"):
            yield f"{step}/{name}", getattr(done, name), values[f"{step}/{name}"][:, 0]
        for optimizer in optimizers:
            optimizer.zero_grad()
        done.loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    state = detector.state_dict()
    yield from ((f"after/{name}", state[name], wanted) for name, wanted in glass_state(values, "after").items())
    detector.eval()
    features = backbone(_tensor(values, "test/image", device, dtype))
    prediction = detector.predict(Batch(torch.arange(len(features[0])), features))
    yield "test/image_score", prediction.scores, values["test/image_score"]
    height, width = values["test/anomaly_map"].shape[1:]
    yield "test/anomaly_map", detector.upsample(prediction.maps, (height, width)), values["test/anomaly_map"]


def _glass_published(values: Values, device: torch.device, dtype: torch.dtype) -> Found:
    detector, backbone = _glass(values, device, dtype)
    center = _tensor(values, "center", device, dtype)
    model = PublishedGlass(detector.config, backbone, detector.state_dict(), center, torch.Generator())
    yield (
        "patch_features_step0",
        model.embed(_tensor(values, "step0/image", device, dtype)),
        values["patch_features_step0"],
    )
    model.train()
    for step in sorted({key.partition("/")[0] for key in values if key.startswith("step")}):
        pictures, changed, mask, noise = (
            torch.from_numpy(values[f"{step}/{name}"]) for name in ("image", "augmented", "patch_mask", "noise")
        )
        done = model.step(pictures, changed, mask, noise.to(dtype))
        for name in ("true_features", "global_anomalies", "fake_features"):
            yield f"{step}/{name}", getattr(done, name), values[f"{step}/{name}"]
        for name in ("bce_loss", "focal_loss", "scores_true", "scores_global", "scores_local"):
            yield f"{step}/{name}", getattr(done, name), values[f"{step}/{name}"]
    state = model.state_dict()
    after = {f"adaptor.{kind}": values[f"adaptor_after/layers.0fc.{kind}"] for kind in ("weight", "bias")}
    prefix = "discriminator_after/"
    for key in (key for key in values if key.startswith(prefix)):
        after[key.removeprefix(prefix).replace("body.block1", "body")] = values[key]
    yield from ((f"after/{name}", state[name], wanted) for name, wanted in after.items())
    model.eval()
    scores, maps = model.scores(torch.from_numpy(values["test/image"]))
    yield "test/image_score", scores, values["test/image_score"]
    height, width = values["test/anomaly_map"].shape[1:]
    yield "test/anomaly_map", model.smoothed(maps, detector.grid, (height, width)), values["test/anomaly_map"]
