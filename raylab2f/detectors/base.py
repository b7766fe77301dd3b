"""The one protocol all detectors follow.

A detector is a torch module whose `forward` is its training loss. Whatever drives it (the loop in
`training.py`, on one process or under DistributedDataParallel) knows only what stands here:

1. `feature_requests` says which frozen features it reads; they are extracted once for all folds.
2. `begin` computes what depends on the whole training partition and on nothing that is learned.
3. `begin_epoch` does the same for what depends on learned parameters.
4. `prepare(rows, step)` computes what a batch needs of the host, in a thread, while those before it train.
5. `forward(batch, step)` is the loss of one batch; `optimizers` are stepped after its backward pass.
6. `predict(batch)` gives image scores and anomaly maps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from raylab2f.detectors.ranges import require_range
from raylab2f.detectors.samples import Batch, Masks, Samples, to_device

__all__ = ["Batch", "Detector", "FeatureRequest", "Masks", "Prediction", "Samples", "Schedule", "Step", "to_device"]


@dataclass(frozen=True)
class FeatureRequest:
    """One set of frozen features.

    Arguments:
        backbone: timm model name.
        weights: `bundled`, `hub`, or the path of a weights file.
        layers: names of the backbone's modules whose outputs are wanted, shallow to deep.
        size: height and width in pixels of the picture as the backbone sees it.
    """

    backbone: str
    weights: str
    layers: tuple[str, ...]
    size: tuple[int, int]


@dataclass(frozen=True)
class Schedule:
    """How long and in which portions a detector trains.

    Arguments:
        epochs: number of epochs; the last one is the model (no choice by looking at test data). 0: `begin` is all.
        batch_size: pictures per optimiser step, over all workers together.
        samples_per_epoch: at most so many pictures, drawn anew, make an epoch; `None`: all.
        max_grad_norm: clip the gradient's norm over all parameters; `None`: do not.
        final_rate: learning rates fall from step to step along half a cosine to this share of their first value; 1:
            they stay, as both publications have it. The shorter a training, the more its last step depends on chance,
            and the more a falling rate helps.
    """

    epochs: int
    batch_size: int
    samples_per_epoch: int | None = None
    max_grad_norm: float | None = None
    final_rate: float = 1.0

    def __post_init__(self) -> None:
        require_range(self, "epochs", least=0)
        require_range(self, "batch_size", "samples_per_epoch", least=1)
        require_range(self, "max_grad_norm", above=0)
        require_range(self, "final_rate", least=0, most=1)


@dataclass(frozen=True)
class Step:
    """Where in the training a loss is computed; everything random in it descends from this.

    A worker computes the rows `offset : offset + len(batch)` of a global batch of `global_size`. Random numbers
    are drawn for the global batch and sliced, so that the number of workers does not change them.

    Arguments:
        seed: the fold's training seed.
        epoch: from 0.
        index: step within the epoch, from 0.
        offset: the worker's first row within the global batch.
        global_size: pictures in the global batch.
    """

    seed: int
    epoch: int
    index: int
    offset: int = 0
    global_size: int = 0


@dataclass(frozen=True)
class Prediction:
    """What a detector says of some pictures; higher means more anomalous.

    Arguments:
        scores: (B,) image scores.
        maps: (B, h, w) anomaly maps at the detector's own resolution; `Detector.upsample` brings them to pixels.
    """

    scores: Tensor
    maps: Tensor


class Detector(nn.Module, ABC):
    """Base of all detectors; see the module's text for the order in which it is called.

    `state_dict` holds everything `predict` needs, so a detector made by `create_detector` from the same
    configuration and loaded with it predicts the same. A frozen backbone is not part of it.

    Arguments:
        config: an instance of `config_class`: a frozen dataclass of plain values and tuples of them with at least the
            fields `backbone`, `weights`, `layers`, `size` (what to read), `schedule` (how to train) and `init_seed`
            (from which the first parameters are drawn; every fold gets its own).
        feature_shapes: (C, H, W) of every map in `Batch.features`.
        backbone: the frozen backbone of `trains_on_pictures` detectors; not needed for prediction.
    """

    #: Name on the command line and in result files.
    name: ClassVar[str]
    config_class: ClassVar[type]
    #: Complete configurations by preset name: `demo`, `fast`, `paper`.
    presets: ClassVar[Mapping[str, Any]]
    #: True when scores are negative log-likelihoods, up to scale: the diagnosis `likelihood` is made for such.
    scores_are_likelihoods: ClassVar[bool] = False
    #: True when `Batch.pictures` is needed for training (not for prediction).
    trains_on_pictures: ClassVar[bool] = False
    #: True when a batch holds pictures and no features, in training as in prediction; see `detectors.pictures`.
    reads_pictures: ClassVar[bool] = False
    #: True when settings that its configuration does not know are options of what it is made with.
    takes_options: ClassVar[bool] = False
    #: False where nobody knows how many pixels make one cell of what it sees: it is made of somebody's class.
    patch_is_known: ClassVar[bool] = True
    #: False where no part of a picture is pointed at: the map is the score everywhere, and is not kept. Of a detector
    #: that `reads_pictures` it is known once it has predicted.
    gives_maps: bool = True

    @abstractmethod
    def __init__(
        self, config: Any, feature_shapes: Sequence[tuple[int, int, int]], backbone: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.config = config

    @classmethod
    @abstractmethod
    def feature_requests(cls, config: Any) -> tuple[FeatureRequest, ...]:
        """The frozen features that a detector of this configuration reads."""

    @property
    def steps(self) -> Schedule:
        """The schedule of the training that follows `begin`; what `begin` does by itself is not part of it."""
        schedule: Schedule = self.config.schedule
        return schedule

    @property
    def keeps_model(self) -> bool:
        """Whether `state_dict` holds what `predict` needs; else nothing can be scored once the fold is finished."""
        return True

    @classmethod
    def check_config(cls, config: Any) -> None:
        """`UserError` if no detector of this configuration can be made, whatever the size of pictures.

        Asked once, before any picture is prepared.
        """
        return

    @classmethod
    def check_shapes(cls, config: Any, shapes: Sequence[tuple[int, int, int]]) -> None:
        """`UserError` if no detector of this configuration can be made for maps (C, H, W) of these shapes.

        Asked before any picture is prepared; what is not refused here fails the folds.
        """
        return

    @classmethod
    def gives_likelihoods(cls, config: Any) -> bool:
        """Whether scores are likelihoods with this configuration; `scores_are_likelihoods`, unless it depends on it."""
        return cls.scores_are_likelihoods

    @classmethod
    def least_room(cls, config: Any, shapes: Sequence[tuple[int, int, int]], pictures: int) -> int:
        """Bytes that what `begin` computes of so many pictures takes at least, the model's own parameters included.

        Asked where features are read as they are needed (`Samples.room`). What a training step takes is not counted.

        Arguments:
            shapes: (C, H, W) of every map in `Batch.features`.
        """
        return 0

    @abstractmethod
    def begin(self, samples: Samples, seed: int) -> dict[str, Any]:
        """Look at the whole training partition once, before the first step or after a restart.

        Returns:
            What was decided, as JSON-able values for the run's record (may be empty).
        """

    def begin_epoch(self, samples: Samples, epoch: int) -> None:
        """Recompute what depends on learned parameters and on the whole training partition."""
        return

    def prepare(self, rows: Tensor, step: Step) -> Any:
        """What the batch of these rows, (B,) int64, needs of the host; `forward` finds it in `Batch.prepared`.

        Called in threads of its own, for several batches at a time, while those before train: it leaves the device, the
        parameters and everything that a step changes alone. It depends on its arguments and on what `begin` saw.
        """
        return None

    @abstractmethod
    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """Optimisers over disjoint parameters, made anew at each call; all step after each backward pass."""

    @abstractmethod
    def forward(self, batch: Batch, step: Step) -> Tensor:
        """The training loss of a batch, a scalar: a mean over its pictures."""

    @abstractmethod
    def predict(self, batch: Batch) -> Prediction:
        """Scores and maps of a batch, without gradients, in evaluation mode."""

    @abstractmethod
    def upsample(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Anomaly maps (B, h, w) as published for display and pixel metrics: (B, *size)."""
