"""One of anomalib's models as a detector: raw scores and maps, before its normalisation and threshold."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from raylab2f import plugins
from raylab2f.detectors.anomalib.models import (
    KNOWN,
    TURNED_OFF,
    KnownModel,
    arguments_of,
    backbone_arguments,
    model_class,
)
from raylab2f.detectors.base import Schedule
from raylab2f.detectors.pictures.config import PictureConfig, option_values
from raylab2f.detectors.pictures.detector import PictureDetector
from raylab2f.detectors.pictures.seeds import global_seeds
from raylab2f.errors import UserError
from raylab2f.features.substitution import weights_from
from raylab2f.features.weights import Normalisation

__all__ = ["AnomalibConfig", "anomalib_detector"]

# Of the epochs of anomalib's examples, for a CPU.
_FAST_SHARE, _PASSES = 10, 3


@dataclass(frozen=True)
class AnomalibConfig(PictureConfig):
    """Settings of anomalib's models.

    Arguments:
        build_on: `chosen`: a model that takes a timm backbone is built on `backbone` with `weights` and `layers`;
            `default`: on anomalib's own choice, whose weights come from the hub.
        options: arguments of the model's class.
    """

    build_on: str = "chosen"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.build_on not in ("chosen", "default"):
            raise UserError(f"--set build_on={self.build_on}: choose chosen or default.")


@cache
def anomalib_detector(model: str) -> type[PictureDetector]:
    """The detector `anomalib:MODEL`.

    Raises:
        UserError: anomalib cannot be imported, or it has no such model.
    """
    made_from = model_class(model)
    known = KNOWN.get(model, KnownModel())
    paper = AnomalibConfig(
        size=known.size,
        schedule=Schedule(known.epochs, known.batch_size),
        build_on="default",
        layers=("blocks.2", "blocks.4"),
    )
    # Passes over the pictures are no training that could be shorter.
    epochs = known.epochs if known.epochs <= _PASSES else max(1, known.epochs // _FAST_SHARE)
    fast = replace(
        paper,
        build_on="chosen",
        size=known.fast_size,
        schedule=Schedule(epochs, known.batch_size),
    )
    presets = {"fast": fast, "demo": fast, "paper": paper}
    return type(
        model,
        (_AnomalibDetector,),
        {"name": f"anomalib:{model}", "made_from": made_from, "presets": presets, "known": known},
    )


class _AnomalibDetector(PictureDetector):
    """See `anomalib_detector`."""

    config_class: ClassVar[type] = AnomalibConfig
    made_from: ClassVar[type[Any]]
    known: ClassVar[KnownModel]

    def __init__(
        self, config: Any, feature_shapes: Sequence[tuple[int, int, int]], backbone: nn.Module | None = None
    ) -> None:
        super().__init__(config, feature_shapes, backbone)
        # Weights, and which channels count, are drawn when a model is made.
        with global_seeds(config.init_seed):
            self.module = self._build(config)

    @classmethod
    def check_config(cls, config: Any) -> None:
        """`UserError` if the model cannot be built with these options, such as for want of its weights."""
        if config.schedule.epochs < 1:
            raise UserError(f"--epochs {config.schedule.epochs}: give at least 1.")
        cls._build(config)

    def fit_pictures(self, pictures: Tensor, foregrounds: Tensor | None, seed: int) -> None:
        """Train by anomalib's own rules; it is not told where the object is.

        Raises:
            UserError: the training fails.
        """
        from raylab2f.detectors.anomalib.training import fit_module

        schedule: Schedule = self.config.schedule
        try:
            fit_module(
                self.module,
                pictures,
                epochs=schedule.epochs,
                batch_size=schedule.batch_size,
                seed=seed,
                validates=self.known.validates,
                heard=self.heard,
            )
        except Exception as error:
            raise UserError(
                f"--detector {self.name}: its training failed ({plugins.fault(error)}); {_mend(error)}."
            ) from error
        # Its trainer holds the training pictures.
        self.module._trainer = None
        self.module.to(pictures.device)

    def judge_pictures(self, pictures: Tensor) -> tuple[Any, Any]:
        """What the model gives of pictures, scaled as it has them."""
        from raylab2f.detectors.anomalib.training import to_input

        self.module.eval()
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                # As in training; anomalib's own `forward` scales by a copy of its transform that is made for export.
                answer = self.module.model(self._transform(to_input(pictures)))
            except Exception as error:
                raise UserError(f"--detector {self.name}: it cannot judge ({plugins.fault(error)}).") from error
        scores, maps = answer.pred_score, answer.anomaly_map
        if maps is not None:
            maps = _uncropped(maps.reshape(len(pictures), *maps.shape[-2:]), self._transform, self.config.size)
        if scores is None and maps is not None:
            scores = maps.amax(dim=(1, 2))
        return scores.reshape(len(pictures)), maps

    @property
    def _transform(self) -> Any:
        """From a picture in 0..1 to what the model takes."""
        return getattr(self.module.pre_processor, "transform", None) or nn.Identity()

    @classmethod
    def _build(cls, config: AnomalibConfig) -> Any:
        options = option_values(config.options)
        known = arguments_of(cls.made_from)
        if unknown := sorted(set(options) - set(known)):
            raise UserError(
                f"--set {unknown[0]}: anomalib's {cls.made_from.__name__} has no such argument; it has "
                f"{', '.join(sorted(known))}."
            )
        for folder in cls.known.folders:
            given = options.get(folder)
            if not isinstance(given, str) or not any(Path(given).expanduser().rglob("*.*")):
                raise UserError(
                    f"--detector {cls.name}: it trains on other pictures, too; give their folder, with its whole path, "
                    f"as --set {folder}=FOLDER."
                )
        if config.build_on == "chosen":
            layers = config.layers[-1:] if cls.known.one_layer else config.layers
            chosen = backbone_arguments(cls.made_from, config.backbone, layers)
            options = {**chosen, **(cls.known.on_chosen if chosen else {}), **options}
        # anomalib's Glass is built for one size of pictures.
        if "input_shape" in known:
            options.setdefault("input_shape", config.size)
        try:
            with warnings.catch_warnings(), weights_from(config.backbone, config.weights) as trained_for:
                warnings.simplefilter("ignore")
                components = dict.fromkeys(TURNED_OFF, False)
                processor = cls.made_from.configure_pre_processor(image_size=config.size)
                module = cls.made_from(**options, pre_processor=processor, **components)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"--detector {cls.name}: it cannot be built ({plugins.fault(error)}); {_mend(error)}."
            ) from error
        if (normalisation := trained_for()) is not None:
            _normalise(processor, normalisation)
        return module.eval()


def _mend(error: Exception) -> str:
    """What to do about a model that cannot be had; it may have been the network, wherever in there."""
    reached: BaseException | None = error
    while reached is not None:
        if isinstance(reached, OSError):
            return (
                "it fetches files from the network: let it do so once where there is one, and bring them here in the "
                "caches of torch and of the Hugging Face hub"
            )
        reached = reached.__cause__ or reached.__context__
    return "give --backbone, --layers, --size or --set NAME=VALUE that suit it, or --set build_on=default"


def _uncropped(maps: Tensor, transform: Any, size: tuple[int, int]) -> Tensor:
    """Maps (n, h, w) of the whole picture, where a model looks at its middle alone: nothing is odd outside of it.

    Arguments:
        transform: what it does to a picture first.
        size: height and width of the whole picture.
    """
    crops = [step.size for step in getattr(transform, "transforms", ()) if type(step).__name__ == "CenterCrop"]
    if not crops or tuple(crops[0]) == tuple(size):
        return maps
    (height, width), (rows, columns) = size, crops[0]
    middle = functional.interpolate(maps[:, None], (rows, columns), mode="bilinear", align_corners=False)[:, 0]
    whole = maps.amin(dim=(1, 2))[:, None, None].repeat(1, height, width)
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    whole[:, top : top + rows, left : left + columns] = middle
    return whole


def _normalise(processor: Any, normalisation: Normalisation) -> None:
    """Let pictures be scaled as the weights' own training scaled them."""
    for step in getattr(getattr(processor, "transform", None), "transforms", ()):
        if type(step).__name__ == "Normalize":
            step.mean = [value / 255 for value in normalisation.mean]
            step.std = [value / 255 for value in normalisation.std]
