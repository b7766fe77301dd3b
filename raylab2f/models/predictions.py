"""From pictures to verdicts: of every picture a row, of every part a row.

A part is all pictures of one `object_id`; a picture without one stands for a part of its own. What cannot be read, and
what is unlike anything that the model was evaluated on, is not accepted: a person looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from raylab2f.datasets.pictures import read_mask, read_picture
from raylab2f.datasets.unlabelled import Unlabelled
from raylab2f.errors import UserError
from raylab2f.models.judging import Judge, Opinion, Ready
from raylab2f.models.parts import decide_part
from raylab2f.models.regions import find_regions, overlay_png

__all__ = ["PARTS_SCHEMA", "PICTURES_SCHEMA", "Portion", "judge_portion", "portions"]

#: One row a picture: `score` its own; `verdict`, `part_score` and `margin` those of its part; `day` on which it was
#: judged, where this process is.
PICTURES_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("object_id", pa.string()),
        ("verdict", pa.string()),
        ("score", pa.float64()),
        ("part_score", pa.float64()),
        ("margin", pa.float64()),
        ("strangeness", pa.float64()),
        ("unfamiliar", pa.string()),
        ("error", pa.string()),
        ("condition", pa.string()),
        ("day", pa.string()),
    ]
)
#: One row a part.
PARTS_SCHEMA = pa.schema(
    [
        ("object_id", pa.string()),
        ("verdict", pa.string()),
        ("score", pa.float64()),
        ("margin", pa.float64()),
        ("pictures", pa.int64()),
        ("unfamiliar", pa.int64()),
        ("unreadable", pa.int64()),
    ]
)
# Pictures that are held in memory together, prepared.
_PORTION = 16
_READERS = 4
_NOTHING: Any = np.empty(0)


@dataclass(frozen=True)
class Portion:
    """What came out for some parts.

    Arguments:
        pictures, parts: rows of the two schemas.
        overlays: (image id, PNG) of pictures with their maps, where they were asked for.
        regions: of those pictures: `image_id` and what `Region` says, one a region.
    """

    pictures: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    overlays: list[tuple[str, bytes]] = field(default_factory=list)
    regions: list[dict[str, Any]] = field(default_factory=list)


def portions(pictures: Sequence[Unlabelled]) -> Iterator[list[Unlabelled]]:
    """Whole parts together, in order, about 16 pictures at a time; pictures of a part follow one another."""
    held: list[Unlabelled] = []
    for _, part in groupby(pictures, key=lambda one: one.part):
        own = list(part)
        if held and len(held) + len(own) > _PORTION:
            yield held
            held = []
        held = held + own
    if held:
        yield held


def judge_portion(
    judge: Judge,
    pictures: Sequence[Unlabelled],
    *,
    pixel_limit: int,
    unfamiliar: Literal["review", "ignore"] = "review",
    overlays: bool = False,
) -> Portion:
    """Judge whole parts.

    Arguments:
        pixel_limit: a picture of more pixels is not decoded.
        unfamiliar: `review`: a part with an unfamiliar picture is not accepted.
        overlays: draw maps over pictures.
    """
    found = Portion()
    opinions: dict[str, Opinion | str] = {}
    for start in range(0, len(pictures), _PORTION):
        some = pictures[start : start + _PORTION]
        with ThreadPoolExecutor(min(_READERS, len(some))) as threads:
            ready = list(threads.map(lambda one: _ready(judge, one, pixel_limit), some))
        readable = [(one, seen) for one, seen in zip(some, ready, strict=True) if isinstance(seen, Ready)]
        opinions |= {one.image_id: seen for one, seen in zip(some, ready, strict=True) if isinstance(seen, str)}
        if not readable:
            continue
        for (one, _), opinion in zip(readable, judge.opinions([seen for _, seen in readable]), strict=True):
            # Of a part with very many pictures not all maps are held.
            opinions[one.image_id] = replace(opinion, map=_NOTHING, picture=_NOTHING)
            if overlays:
                level = judge.record.map_level
                found.overlays.append((one.image_id, overlay_png(opinion.picture, opinion.map, level)))
                regions = find_regions(opinion.map, level)
                found.regions.extend({"image_id": one.image_id, **region.to_dict()} for region in regions)
    for _, part in groupby(pictures, key=lambda one: one.part):
        _decide(judge, list(part), opinions, unfamiliar, found)
    return found


def _ready(judge: Judge, one: Unlabelled, pixel_limit: int) -> Ready | str:
    """The picture, prepared; or why there is none."""
    if one.problem is not None:
        return one.problem
    try:
        picture = read_picture(one.path, pixel_limit=pixel_limit)
        mask = None
        wanted = judge.needs_foreground or judge.preparation.tiles is not None
        if wanted and one.foreground_path is not None:
            mask = read_mask(one.foreground_path, pixel_limit)
        return judge.ready(picture, mask)
    except (UserError, MemoryError, OSError) as error:
        return str(error).removeprefix(f"{one.path}: ") or type(error).__name__


def _decide(
    judge: Judge,
    part: Sequence[Unlabelled],
    opinions: dict[str, Opinion | str],
    unfamiliar: Literal["review", "ignore"],
    found: Portion,
) -> None:
    day = datetime.now().astimezone().date().isoformat()
    seen = {one.image_id: opinions[one.image_id] for one in part}
    known = {name: opinion for name, opinion in seen.items() if isinstance(opinion, Opinion)}
    strange = [name for name, opinion in known.items() if opinion.unfamiliar]
    decided = decide_part(judge, [*known.values()], unfamiliar=unfamiliar, unreadable=len(seen) - len(known))
    own = dict(zip(known, decided.scores, strict=True))
    for one in part:
        opinion = seen[one.image_id]
        row: dict[str, Any] = {
            "image_id": one.image_id,
            "object_id": one.object_id,
            "verdict": decided.verdict,
            "score": own.get(one.image_id),
            "part_score": decided.score,
            "margin": decided.margin,
            "strangeness": opinion.strangeness if isinstance(opinion, Opinion) else None,
            "unfamiliar": "; ".join(opinion.unfamiliar) or None if isinstance(opinion, Opinion) else None,
            "error": opinion if isinstance(opinion, str) else None,
            "condition": one.condition,
            "day": day,
        }
        found.pictures.append(row)
    found.parts.append(
        {
            "object_id": part[0].object_id or part[0].image_id,
            "verdict": decided.verdict,
            "score": decided.score,
            "margin": decided.margin,
            "pictures": len(part),
            "unfamiliar": len(strange),
            "unreadable": len(seen) - len(known),
        }
    )
