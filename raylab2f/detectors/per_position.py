"""One detector of a kind for each position of tiles, where the same place shows the same of every part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from raylab2f.detectors.base import Batch, Detector, FeatureRequest, Prediction, Samples, Schedule, Step
from raylab2f.errors import UserError
from raylab2f.seeding import torch_seed

__all__ = ["PerPosition", "per_position"]


class PerPosition(Detector):
    """As many detectors as there are positions; each is trained on the tiles of its own, and judges them.

    Their scores and maps are compared as they are. Samples bring `Samples.positions`; those that it is trained on are
    in the order of their positions, so that those of one are a view of all.

    Arguments:
        config, feature_shapes, backbone: of every one of them; the seed of its first parameters descends from the
            configuration's and its position.
        positions: ascending numbers.
    """

    of: ClassVar[type[Detector]]

    def __init__(
        self,
        config: Any,
        feature_shapes: Sequence[tuple[int, int, int]],
        backbone: nn.Module | None = None,
        positions: Sequence[int] = (),
    ) -> None:
        super().__init__(config, feature_shapes, backbone)
        self.positions = tuple(positions)
        seeds = [torch_seed(config.init_seed, "position", position) for position in self.positions]
        made = [self.of(replace(config, init_seed=seed), feature_shapes, backbone) for seed in seeds]
        self.parts = nn.ModuleList(made)
        self.gives_maps = made[0].gives_maps
        self._trained_on = torch.zeros(0, dtype=torch.int64)
        self._answered: tuple[int, tuple[int, ...] | None] | None = None

    @property
    def detectors(self) -> dict[int, Detector]:
        """Each position's."""
        return dict(zip(self.positions, self.parts, strict=True))  # type: ignore[arg-type]

    @classmethod
    def feature_requests(cls, config: Any) -> tuple[FeatureRequest, ...]:
        """Those of each."""
        return cls.of.feature_requests(config)

    @classmethod
    def gives_likelihoods(cls, config: Any) -> bool:
        """As each."""
        return cls.of.gives_likelihoods(config)

    @property
    def _first(self) -> Detector:
        return self.detectors[self.positions[0]]

    @property
    def steps(self) -> Schedule:
        """Each one's schedule; an epoch has as many pictures as if each had an epoch of its own."""
        schedule = self._first.steps
        if schedule.samples_per_epoch is None:
            return schedule
        return replace(schedule, samples_per_epoch=schedule.samples_per_epoch * len(self.positions))

    @property
    def keeps_model(self) -> bool:
        """As each."""
        return self._first.keeps_model

    def begin(self, samples: Samples, seed: int) -> dict[str, Any]:
        """What each decides, by the number of its position.

        Raises:
            ValueError: samples without positions, or not in their order.
        """
        positions = samples.positions
        if positions is None or bool((positions.diff() < 0).any()):
            raise ValueError("tiles that one detector per position trains on come in the order of their positions")
        self._trained_on = positions
        return {
            "positions": {
                str(position): detector.begin(self._own(samples, position), torch_seed(seed, "position", position))
                for position, detector in self.detectors.items()
            }
        }

    def begin_epoch(self, samples: Samples, epoch: int) -> None:
        """As each."""
        for position, detector in self.detectors.items():
            detector.begin_epoch(self._own(samples, position), epoch)

    def prepare(self, rows: Tensor, step: Step) -> Any:
        """As the detector of the rows' position."""
        position = int(self._trained_on[rows[0]])
        return self.detectors[position].prepare(rows - self._span(position)[0], step)

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """Of all."""
        return [optimizer for detector in self.detectors.values() for optimizer in detector.optimizers()]

    def forward(self, batch: Batch, step: Step) -> Tensor:
        """The loss of the detector to whose position all pictures of the batch belong."""
        position = int(self._trained_on[batch.rows[0]])
        own = replace(batch, rows=batch.rows - self._span(position)[0])
        return self.detectors[position].forward(own, step)

    def predict(self, batch: Batch) -> Prediction:
        """Scores and maps, each by the detector of its position.

        Raises:
            UserError: a tile lies where none trained, or the maps of two positions have not one size.
            ValueError: a batch without positions.
        """
        if batch.positions is None:
            raise ValueError("a detector per position is asked with the positions of tiles")
        order, answers = [], []
        for position in batch.positions.unique().tolist():
            if position not in self.positions:
                raise UserError(
                    f"It shows something at position {position} of its tiles, where no good part that was trained on "
                    "shows any; take another picture, or a model without --per-position."
                )
            own = (batch.positions == position).nonzero()[:, 0]
            answers.append(self.detectors[position].predict(_taken(batch, own)))
            self._require_alike(position, answers[-1].maps)
            order.append(own)
        self.gives_maps = all(detector.gives_maps for detector in self.detectors.values())
        back = torch.cat(order).argsort()
        scores, maps = (torch.cat([getattr(one, name) for one in answers]) for name in ("scores", "maps"))
        return Prediction(scores[back.to(scores.device)], maps[back.to(maps.device)])

    def upsample(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """As each: (B, *size)."""
        return self._first.upsample(maps, size)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Of all, by the number of the position and the name of the tensor."""
        return {
            f"{position}/{name}": tensor
            for position, detector in self.detectors.items()
            for name, tensor in detector.state_dict().items()
        }

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """The inverse of `state_dict`."""
        for position, detector in self.detectors.items():
            prefix = f"{position}/"
            own = {name[len(prefix) :]: value for name, value in state_dict.items() if name.startswith(prefix)}
            detector.load_state_dict(own, strict)
        return nn.modules.module._IncompatibleKeys([], [])

    def _require_alike(self, position: int, maps: Tensor) -> None:
        """What a class of somebody's answers may depend on what it was fitted to; maps must be put together."""
        own = position, tuple(maps.shape[1:]) if self.detectors[position].gives_maps else None
        self._answered = before = self._answered or own
        if before[1] != own[1]:
            (one, first), (other, second) = (
                (place, "no maps" if grid is None else "maps of {} x {}".format(*grid)) for place, grid in (before, own)
            )
            raise UserError(
                f"--detector {self.name}: its predict gives {first} at position {one} of tiles and {second} at "
                f"position {other}; with --per-position all must be of one size, or none."
            )

    def _span(self, position: int) -> tuple[int, int]:
        """First row and end of the tiles that the detector of this position trains on."""
        wanted = torch.tensor([position, position + 1])
        start, stop = torch.searchsorted(self._trained_on, wanted).tolist()
        return start, stop

    def _own(self, samples: Samples, position: int) -> Samples:
        return samples.span(*self._span(position))


@cache
def per_position(cls: type[Detector]) -> type[PerPosition]:
    """`PerPosition` of a kind of detector, in everything else like that kind."""
    same = ("name", "config_class", "presets", "trains_on_pictures", "reads_pictures", "takes_options")
    own = {name: getattr(cls, name) for name in (*same, "patch_is_known", "scores_are_likelihoods")}
    return type(f"PerPosition{cls.__name__}", (PerPosition,), {**own, "of": cls})


def _taken(batch: Batch, rows: Tensor) -> Batch:
    """Some pictures (n,) of a batch."""

    def own(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[rows.to(values.device)]

    features = [feature[rows.to(feature.device)] for feature in batch.features]
    return Batch(batch.rows[rows], features, own(batch.pictures), own(batch.foregrounds))
