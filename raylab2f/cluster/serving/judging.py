"""From the bytes of pictures to an answer, in the process that holds the model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.cluster.serving.batching import Batcher
from raylab2f.cluster.serving.kinds import KINDS, is_known_kind
from raylab2f.cluster.serving.refusals import RefusalError
from raylab2f.cluster.serving.rules import ServingRules
from raylab2f.datasets.decoding import TooManyPixelsError
from raylab2f.datasets.pictures import UnreadablePictureError, picture_of
from raylab2f.errors import UserError
from raylab2f.models.judging import Judge, Opinion, Ready
from raylab2f.models.parts import decide_part
from raylab2f.models.regions import find_regions, overlay_png

__all__ = ["Answer", "Judging", "LocalJudge", "ViewFile"]

#: Name and content of one picture.
ViewFile = tuple[str, bytes]

# Pictures that are in memory as they were taken.
_DECODERS = 2


@dataclass(frozen=True)
class Answer:
    """What is answered.

    Arguments:
        content: JSON-able: `verdict`, `score`, `margin`, `strangeness`, `unfamiliar`, and of each of the `views` the
            same without a verdict; `map` of a view describes its picture.
        maps: PNG of each view, where they were asked for.
        batches: sizes of batches, each counted with one of the requests in it.
    """

    content: dict[str, Any]
    maps: tuple[bytes, ...] = ()
    batches: tuple[int, ...] = field(default=())


class Judging(Protocol):
    """Whatever can judge pictures."""

    async def judge(self, views: Sequence[ViewFile], map_: str | None) -> Answer:
        """Judge pictures of one object.

        Arguments:
            map_: `png`: grey anomaly maps; `overlay`: laid over the prepared pictures; `None`: none.

        Raises:
            RefusalError: a picture cannot be judged, or not now.
        """
        ...


class LocalJudge:
    """A model in this process.

    Arguments:
        judge: the model.
        rules: of the server.
    """

    def __init__(self, judge: Judge, rules: ServingRules) -> None:
        self.model, self._rules = judge, rules
        self._decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")
        self._batcher: Batcher[Ready, Opinion] = Batcher(judge.opinions, rules.max_batch, rules.batch_wait)

    async def judge(self, views: Sequence[ViewFile], map_: str | None) -> Answer:
        """See `Judging`."""
        loop = asyncio.get_running_loop()
        decoding = [loop.run_in_executor(self._decoders, self._ready, name, content) for name, content in views]
        try:
            ready = await asyncio.gather(*decoding)
        finally:
            for one in decoding:
                one.cancel()
        opinions, batches = await self._batcher(ready)
        return await asyncio.to_thread(self._answer, [name for name, _ in views], opinions, map_, batches)

    @property
    def busy_seconds(self) -> float:
        """For how long the model has been at one batch."""
        return self._batcher.busy_seconds

    def _ready(self, name: str, content: bytes) -> Ready:
        if not content:
            raise RefusalError(400, f"{name}: the picture is empty; send the bytes of a picture.")
        if not is_known_kind(content):
            raise RefusalError(415, f"{name}: this is no {KINDS}; send a picture of one of these kinds.")
        try:
            return self.model.ready(picture_of(name, content, self._rules.pixel_limit))
        except TooManyPixelsError as error:
            raise RefusalError(413, str(error)) from error
        except UnreadablePictureError as error:
            raise RefusalError(422, str(error)) from error
        except UserError as error:
            # Such as a model that needs foreground masks, which no request has.
            raise RefusalError(422, f"{name}: {error}") from error
        except MemoryError as error:
            raise RefusalError(503, f"{name}: there is no memory for it at the moment; try again.") from error

    def _answer(
        self, names: Sequence[str], opinions: Sequence[Opinion], map_: str | None, batches: Sequence[int]
    ) -> Answer:
        decided = decide_part(self.model, opinions, unfamiliar=self._rules.unfamiliar)
        decision = self.model.record.decision
        level = self.model.record.map_level
        views: list[dict[str, Any]] = []
        maps = []
        for name, opinion, score in zip(names, opinions, decided.scores, strict=True):
            view: dict[str, Any] = {
                "name": name,
                "score": score,
                "strangeness": opinion.strangeness,
                "unfamiliar": list(opinion.unfamiliar),
            }
            if map_ is not None:
                low, high = float(opinion.map.min()), max(float(opinion.map.max()), level)
                maps.append(
                    overlay_png(opinion.picture, opinion.map, level)
                    if map_ == "overlay"
                    else _grey_png(opinion.map, low, high)
                )
                regions = [region.to_dict() for region in find_regions(opinion.map, level)]
                view["map"] = {"low": low, "high": high, "level": level, "regions": regions}
            views.append(view)
        content = {
            "verdict": decided.verdict,
            "score": decided.score,
            "threshold": decision.threshold,
            "low_threshold": decision.low_threshold,
            "margin": decided.margin,
            "strangeness": max(opinion.strangeness for opinion in opinions),
            "unfamiliar": sorted({reason for opinion in opinions for reason in opinion.unfamiliar}),
            "views": views,
        }
        return Answer(content, tuple(maps), tuple(batches))


def _grey_png(map_: NDArray[np.float32], low: float, high: float) -> bytes:
    """A map (H, W) as 8-bit grey, 0 for `low` and 255 for `high`."""
    grey = np.clip((map_ - low) / max(high - low, 1e-12) * 255, 0, 255).round().astype(np.uint8)
    return bytes(cv2.imencode(".png", grey)[1].tobytes())
