"""A finalised model in memory: from a picture to score, map and verdict, as the evaluated one would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from raylab2f.detectors.backbone_features import stored_features
from raylab2f.detectors.base import Detector, Samples
from raylab2f.detectors.training import predict_batches
from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.object_scores import aggregate_scores, parse_object_score
from raylab2f.features import Backbone
from raylab2f.models.familiarity import Components, Familiarity, statistics_of
from raylab2f.models.record import ModelRecord
from raylab2f.models.tiles import Cut, cut_picture
from raylab2f.preparation import Preparation, prepare
from raylab2f.preparation.tiling import join_scores, parse_tile_score, shrink_map

__all__ = ["Judge", "Judged", "Opinion", "Ready", "threads_limited"]

# As many pictures pass the backbone together as when features were stored.
_BATCH = 16


@dataclass(frozen=True)
class Judged:
    """What a model says of prepared pictures.

    Arguments:
        scores: (n,) float64; higher is more anomalous.
        maps: (n, h, w) float32 at the detector's resolution; see `Judge.upsample`.
        distances: (n,) of their features, see `raylab2f.models.familiarity`.
    """

    scores: NDArray[np.float64]
    maps: NDArray[np.float32]
    distances: NDArray[np.float64]


@dataclass(frozen=True)
class Ready:
    """A picture as detectors see it.

    Arguments:
        turns: (a, H, W, 3) uint8: as it stands, and turned to each of the model's other angles.
        shape: height and width of the file, in pixels.
        cuts: the tiles of each of the turns, where the model judges tiles; else empty.
    """

    turns: NDArray[np.uint8]
    shape: tuple[int, int]
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True)
class Opinion:
    """What a model says of one picture as it was taken.

    Arguments:
        scores: (a,) at each of the model's angles.
        map: (H, W) float32 of the picture as it stands, at the prepared size.
        picture: (H, W, 3) uint8, prepared.
        strangeness: distance of its features, 1 being the farthest of the evaluation's.
        unfamiliar: in what it is unlike all evaluated pictures, in words.
    """

    scores: NDArray[np.float64]
    map: NDArray[np.float32]
    picture: NDArray[np.uint8]
    strangeness: float
    unfamiliar: tuple[str, ...]


class Judge:
    """A finalised model, ready.

    Arguments:
        record: what it is.
        detectors: its members, in evaluation mode.
        backbones: of each feature request.
        familiarity, components: what evaluated pictures are like.
        device: where it computes; detectors and backbones are there. `None`: the CPU.
    """

    def __init__(
        self,
        record: ModelRecord,
        detectors: Sequence[Detector],
        backbones: Sequence[Backbone],
        familiarity: Familiarity,
        components: Components,
        device: torch.device | None = None,
    ) -> None:
        self.record = record
        self.preparation = Preparation.from_dict(record.preparation)
        self.familiarity = familiarity
        self.components = components
        self.device = device or torch.device("cpu")
        self.detectors = tuple(detectors)
        self.backbones = tuple(backbones)
        self.requests = type(self.detectors[0]).feature_requests(self.detectors[0].config)
        self._dtype = getattr(torch, record.feature_dtype)
        self._rule = parse_object_score(record.decision.object_score)

    @property
    def needs_foreground(self) -> bool:
        """Whether every picture must come with a foreground mask."""
        return self.preparation.needs_foreground or self.record.foreground_tiles

    @property
    def smallest(self) -> tuple[int, int]:
        """Height and width of a picture that it judges as they are, and none of tiles smaller than that."""
        tiling = self.preparation.tiling
        if self.record.frame is not None:
            return self.record.frame[0], self.record.frame[1]
        return self.preparation.size if tiling is None else (tiling.height, tiling.width)

    @torch.inference_mode()
    def features(self, prepared: NDArray[np.uint8]) -> list[torch.Tensor]:
        """The features (n, C, h, w) float32 of prepared pictures (n, H, W, 3), as the detectors read them."""
        pictures = torch.from_numpy(prepared).to(self.device)
        batches = [
            stored_features(self.backbones, self.requests, batch, self._dtype) for batch in pictures.split(_BATCH)
        ]
        return [torch.cat(maps) for maps in zip(*batches, strict=True)]

    @torch.inference_mode()
    def score(self, prepared: NDArray[np.uint8], positions: Sequence[int] | None = None) -> Judged:
        """Judge prepared pictures (n, H, W, 3), n above 0; of tiles, with where in their pictures they lie."""
        features = self.features(prepared)
        scores: NDArray[np.float64] = np.zeros(len(prepared))
        maps = np.zeros((), np.float32)
        for own, shown in self._said(prepared, features, positions):
            scores += own / len(self.detectors)
            maps = np.asarray(maps + shown / len(self.detectors), np.float32)
        return Judged(scores, maps, self._distances(features))

    @torch.inference_mode()
    def _score_cuts(self, pictures: Sequence[Ready]) -> Judged:
        """Judge pictures by their tiles; maps are of the size of prepared pictures, and whole pictures are familiar."""
        found = [self.score_cut(cut) for one in pictures for cut in one.cuts]
        maps = np.stack([shrink_map(map_, self.preparation.size) for _, map_ in found])
        features = self.features(np.concatenate([one.turns for one in pictures]))
        return Judged(np.array([score for score, _ in found]), maps, self._distances(features))

    @torch.inference_mode()
    def score_cut(self, cut: Cut) -> tuple[float, NDArray[np.float32]]:
        """Score of a picture, and its map (h, w) as fine as its tiles are when they are prepared."""
        scores, maps = zip(*self._said(cut.tiles, self.features(cut.tiles), cut.positions), strict=True)
        highest = parse_tile_score(self.record.tile_score)
        score = np.mean([join_scores(own, [len(own)], highest)[0] for own in scores])
        large = self.upsample(np.mean(maps, axis=0, dtype=np.float32))
        return float(score), cut.joined(large)

    def _said(
        self, prepared: NDArray[np.uint8], features: list[torch.Tensor], positions: Sequence[int] | None
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Of each detector, scores (n,) and maps (n, h, w) of prepared pictures and their features, on one scale."""
        samples = Samples(features)
        if self.detectors[0].reads_pictures:
            samples = Samples([], torch.from_numpy(prepared).to(self.device))
        samples.positions = None if positions is None else torch.tensor(positions)
        for detector, (_, centre, scale) in zip(self.detectors, self.record.members, strict=True):
            parts = list(predict_batches(detector, samples, _BATCH))
            own = torch.cat([part for part, _ in parts]).double().numpy()
            shown = (torch.cat([part for _, part in parts]).numpy() - np.float32(centre)) / np.float32(scale)
            yield (own - centre) / scale, shown

    def _distances(self, features: list[torch.Tensor]) -> NDArray[np.float64]:
        """(n,) how far `features` are from those of evaluated pictures: the first request's deepest, pooled."""
        deepest = features[len(self.requests[0].layers) - 1]
        return self.components.distance(deepest.mean(dim=(2, 3)).double().cpu().numpy())

    def upsample(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Anomaly maps (n, h, w) at the size of prepared pictures (n, H, W)."""
        with torch.inference_mode():
            large = self.detectors[0].upsample(torch.from_numpy(maps).to(self.device), self.preparation.size)
        return np.asarray(large.float().cpu().numpy(), np.float32)

    def ready(self, picture: NDArray[np.uint8], foreground: NDArray[np.bool_] | None = None) -> Ready:
        """Prepare a picture (h, w, 3) as it was taken, of any size; needs no network, so threads may do it.

        Arguments:
            foreground: (h, w), where the preparation needs it.

        Raises:
            UserError: it cannot be prepared, such as for want of a foreground mask.
        """
        if foreground is None and self.record.foreground_tiles:
            raise UserError(
                "It has no foreground mask, without which this model would look at tiles of a kind that it has never "
                "seen; give one (raylab2f segment)."
            )
        # The picture as it stands comes first, for its map; it counts only where that is one of the model's angles.
        angles = (0.0, *(angle for angle in self.record.angles if angle % 360))
        turns = [prepare(picture, self.preparation, foreground=foreground, angle=angle).picture for angle in angles]
        cuts: tuple[Cut, ...] = ()
        if self.preparation.tiles is not None:
            known, frame = self.record.positions, self.record.frame
            cuts = tuple(cut_picture(picture, self.preparation, foreground, a, known, frame) for a in angles)
        return Ready(np.stack(turns), (picture.shape[0], picture.shape[1]), cuts)

    def look(
        self, pictures: Sequence[NDArray[np.uint8]], foregrounds: Sequence[NDArray[np.bool_] | None] | None = None
    ) -> list[Opinion]:
        """Judge pictures (h, w, 3) as they were taken, each of any size; arguments and errors as for `ready`."""
        masks = foregrounds or [None] * len(pictures)
        return self.opinions([self.ready(picture, mask) for picture, mask in zip(pictures, masks, strict=True)])

    def opinions(self, pictures: Sequence[Ready]) -> list[Opinion]:
        """Judge pictures that were made ready, at least one."""
        turns = len(pictures[0].turns)
        counting = slice(0 if any(angle % 360 == 0 for angle in self.record.angles) else 1, None)
        if self.preparation.tiles is None:
            judged = self.score(np.concatenate([one.turns for one in pictures]))
            enlarged = self.upsample(np.ascontiguousarray(judged.maps[::turns]))
        else:
            judged = self._score_cuts(pictures)
            enlarged = judged.maps[::turns]
        opinions = []
        for number, picture in enumerate(pictures):
            first = number * turns
            distance = float(judged.distances[first])
            unusual = self.familiarity.outside(statistics_of(picture.turns[0], picture.shape), distance)
            opinions.append(
                Opinion(
                    scores=judged.scores[first : first + turns][counting],
                    map=enlarged[number],
                    picture=picture.turns[0],
                    strangeness=distance / self.familiarity.farthest,
                    unfamiliar=tuple(unusual),
                )
            )
        return opinions

    def joint_score(self, scores: NDArray[np.float64]) -> float:
        """The score of a part from those of all its pictures (n,), turned copies included."""
        return float(aggregate_scores(scores, np.zeros(len(scores), np.int64), self._rule)[1][0])


@contextmanager
def threads_limited(count: int) -> Iterator[None]:
    """Inside the block a model on the CPU computes in so many threads.

    More are faster. With one, as when features were stored, sums are formed in the same order and scores are those of
    the run to the last digits; with others the fifth digit may differ, for features are rounded to half precision.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
