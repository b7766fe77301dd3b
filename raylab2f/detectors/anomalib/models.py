"""Which models anomalib has, how each is built on a chosen backbone, and how long it trains."""

from __future__ import annotations

import difflib
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any

from raylab2f.errors import UserError

__all__ = ["KNOWN", "TURNED_OFF", "KnownModel", "arguments_of", "backbone_arguments", "model_class"]

#: Of its components, those that turn scores into something else or measure them; what they do is done here.
TURNED_OFF = ("post_processor", "evaluator", "visualizer")
_COMPONENTS = ("self", "pre_processor", *TURNED_OFF)


@dataclass(frozen=True)
class KnownModel:
    """What has to be known of a model beside its arguments.

    Arguments:
        epochs: of anomalib's own examples or the model's publication; 1: one pass is all there is.
        batch_size: pictures per step, likewise.
        size: height and width in pixels, likewise.
        fast_size: for the preset of that name; some models cut a larger middle out of every picture.
        validates: it sets the scale of its maps on the pictures of a validation loader, and is given those that it was
            trained on.
        folders: arguments that name folders of pictures without which it would train otherwise than published.
        one_layer: of several layers it takes the deepest alone.
        on_chosen: arguments without which it cannot be built on another backbone than anomalib's choice.
    """

    epochs: int = 100
    batch_size: int = 32
    size: tuple[int, int] = (256, 256)
    fast_size: tuple[int, int] = (160, 160)
    validates: bool = False
    folders: tuple[str, ...] = ()
    one_layer: bool = False
    on_chosen: Mapping[str, Any] = field(default_factory=dict)


#: By class; one that is not here trains as `KnownModel` has it.
KNOWN: Mapping[str, KnownModel] = {
    "AnomalyDINO": KnownModel(1, size=(252, 252), fast_size=(252, 252)),
    "Cfa": KnownModel(30, 4),
    "Cflow": KnownModel(50, 8),
    "Csflow": KnownModel(240, 8),
    "Dfkde": KnownModel(1, one_layer=True),
    "Dfm": KnownModel(1),
    "Dinomaly": KnownModel(100, 8, (448, 448), (448, 448)),
    "Draem": KnownModel(700, 8, folders=("dtd_dir",)),
    "Dsr": KnownModel(700, 8),
    "EfficientAd": KnownModel(300, 1, validates=True, folders=("imagenet_dir",)),
    "Fastflow": KnownModel(500),
    "Fre": KnownModel(220),
    "Ganomaly": KnownModel(100),
    "Glass": KnownModel(640, 8, (288, 288)),
    "InpFormer": KnownModel(200, 8, (448, 448), (448, 448)),
    "L2BT": KnownModel(50, 4, (224, 224), (224, 224)),
    "MHPatchcore": KnownModel(3, size=(256, 256), fast_size=(256, 256)),
    "Padim": KnownModel(1, on_chosen={"n_features": 100}),
    "Patchcore": KnownModel(1),
    "Rad": KnownModel(1),
    "ReverseDistillation": KnownModel(200, 16),
    "Stfpm": KnownModel(100),
    "SuperADD": KnownModel(1, 4, (448, 448), (448, 448)),
    "Supersimplenet": KnownModel(300, 32),
    "Uflow": KnownModel(200, 8, (448, 448), (448, 448)),
    "UniNet": KnownModel(100, 8),
    "WinClip": KnownModel(1, 8, (240, 240), (240, 240)),
}


def model_class(name: str) -> type[Any]:
    """anomalib's class of an image model.

    Raises:
        UserError: anomalib is not installed or cannot be imported, or it has no such model.
    """
    # It warns of what it lacks for models that nobody asked for.
    logging.getLogger("anomalib").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from anomalib.models import image
            from anomalib.models.components import AnomalibModule
    except ImportError as error:
        raise UserError(
            f"--detector anomalib:{name}: anomalib cannot be imported ({error}); install it on every node with "
            "`pip install 'raylab2f[anomalib]'`."
        ) from error
    known = [
        key
        for key, value in vars(image).items()
        if isinstance(value, type) and issubclass(value, AnomalibModule) and value is not AnomalibModule
    ]
    if name not in known:
        near = {key.lower(): key for key in known}
        likely = near.get(name.lower()) or next(iter(difflib.get_close_matches(name, known, n=1)), None)
        told = f"do you mean anomalib:{likely}?" if likely else f"choose one of {', '.join(sorted(known))}."
        raise UserError(f"--detector anomalib:{name}: anomalib has no such model; {told}")
    found: type[Any] = getattr(image, name)
    return found


def arguments_of(model: type[Any]) -> dict[str, Any]:
    """A model's own arguments by name, with their defaults; what pre- and postprocesses is not among them."""
    parameters = signature(model.__init__).parameters.values()
    return {
        p.name: None if p.default is Parameter.empty else p.default for p in parameters if p.name not in _COMPONENTS
    }


def backbone_arguments(model: type[Any], backbone: str, layers: tuple[str, ...]) -> dict[str, Any]:
    """The arguments with which a model is built on this timm backbone; none, if it has one of its own."""
    known = arguments_of(model)
    if not isinstance(known.get("backbone"), str):
        return {}
    given: dict[str, Any] = {"backbone": backbone}
    if "layers" in known:
        given["layers"] = list(layers)
    elif "layer" in known:
        given["layer"] = layers[-1]
    return given
