"""Judge pictures with a finalised model: those that are there, or those that arrive in a folder."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa

from raylab2f.cluster.operations.shared_storage import require_shared_folders
from raylab2f.cluster.pictures.predict import predict_on_cluster
from raylab2f.cluster.session import ray_session
from raylab2f.datasets.entries import first_few
from raylab2f.datasets.unlabelled import Unlabelled
from raylab2f.errors import UserError
from raylab2f.files.places import names_in
from raylab2f.models.folder import load_model
from raylab2f.models.judging import threads_limited
from raylab2f.models.prediction_files import (
    Format,
    RowWriter,
    appending,
    stream_writer,
    write_overlay,
    written_whole,
)
from raylab2f.models.predictions import PARTS_SCHEMA, PICTURES_SCHEMA, Portion, judge_portion, portions
from raylab2f.workflows.arrivals import arrivals

__all__ = ["WATCHED_SCHEMA", "PredictionRules", "predict_pictures", "watch_folder"]

#: Rows of pictures that arrived: how long each waited, in milliseconds.
WATCHED_SCHEMA = PICTURES_SCHEMA.append(pa.field("milliseconds", pa.float64()))
# What an earlier command left in a folder.
_OURS = re.compile(r"(pictures|parts|regions)\.(csv|jsonl|parquet)|overlays")
_REGIONS_SCHEMA = pa.schema(
    [("image_id", pa.string())]
    + [(name, pa.int64()) for name in ("left", "top", "width", "height", "area")]
    + [("peak", pa.float64()), ("peak_x", pa.int64()), ("peak_y", pa.int64())]
)


@dataclass(frozen=True)
class PredictionRules:
    """How pictures are judged and what is kept of it.

    Arguments:
        pixel_limit: a picture of more pixels is not decoded.
        unfamiliar: `review`: nothing that is unlike the evaluation's pictures is accepted; `ignore`: it is only told.
        overlays: keep pictures with their maps, and regions; needs a folder.
        threads: of a process; with one, scores are those of the run to the last digits.
        kind: of the files.
    """

    pixel_limit: int
    unfamiliar: Literal["review", "ignore"] = "review"
    overlays: bool = False
    threads: int = 1
    kind: Format = "csv"

    def of_judging(self) -> dict[str, Any]:
        """As keyword arguments of `judge_portion`."""
        return {"pixel_limit": self.pixel_limit, "unfamiliar": self.unfamiliar, "overlays": self.overlays}


def predict_pictures(
    model: str,
    pictures: Sequence[Unlabelled],
    rules: PredictionRules,
    *,
    out: Path | None,
    stream: IO[str] | None = None,
    hear: Callable[[Portion], None] | None = None,
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Counter[str]:
    """Judge pictures and write a row of each, `pictures.*`, and of each part, `parts.*`, into a folder.

    Arguments:
        model: folder or URI.
        pictures: those of a part follow one another.
        out: the folder; `None`: rows of pictures go to `stream`, where there is one.
        hear: called with what comes out, some parts at a time.
        address: of a Ray cluster; `None`: this process judges.
        progress: called with pictures done and pictures in all.

    Returns:
        How many parts had each verdict, and how many pictures were `unreadable` and `unfamiliar`.

    Raises:
        UserError: there is no model, or nobody may write into the folder.
    """
    if out is not None and (there := [name for name in names_in(str(out)) if _OURS.fullmatch(name)]):
        raise UserError(f"--out {out} holds {first_few(there)} of another time; choose another folder.")
    tally: Counter[str] = Counter()
    done = 0
    with ExitStack() as stack:
        judged = stack.enter_context(_judged(model, pictures, rules, address))
        keep = _Keeper(stack, out, stream, rules)
        for portion in judged:
            keep.keep(portion)
            if hear:
                hear(portion)
            _count(tally, portion)
            done += len(portion.pictures)
            if progress:
                progress(done, len(pictures))
    return tally


@contextmanager
def _judged(
    model: str, pictures: Sequence[Unlabelled], rules: PredictionRules, address: str | None
) -> Iterator[Iterator[Portion]]:
    """Portions as they are judged, here or on a cluster, as long as the block lasts."""
    options = rules.of_judging()
    if address is not None:
        with ray_session(address):
            require_shared_folders({"MODEL": model})
            yield predict_on_cluster(model, list(portions(pictures)), **options)
        return
    with threads_limited(rules.threads):
        judge = load_model(model)
        yield (judge_portion(judge, portion, **options) for portion in portions(pictures))


class _Keeper:
    """Where rows and overlays go."""

    def __init__(self, stack: ExitStack, out: Path | None, stream: IO[str] | None, rules: PredictionRules) -> None:
        self._out = out
        self._pictures: RowWriter | None = None
        self._parts: RowWriter | None = None
        self._regions: RowWriter | None = None
        if out is None:
            if stream is not None and rules.kind == "parquet":
                raise UserError("--format parquet: the terminal takes no Parquet; give --out, or csv or jsonl.")
            if rules.overlays:
                raise UserError("--overlays: name a folder for them with --out.")
            if stream is not None and rules.kind != "parquet":
                self._pictures = stream_writer(stream, PICTURES_SCHEMA, rules.kind)
            return

        def file(name: str, schema: pa.Schema) -> RowWriter:
            return stack.enter_context(written_whole(out / f"{name}.{rules.kind}", schema, rules.kind))

        self._pictures = file("pictures", PICTURES_SCHEMA)
        self._parts = file("parts", PARTS_SCHEMA)
        self._regions = file("regions", _REGIONS_SCHEMA) if rules.overlays else None

    def keep(self, portion: Portion) -> None:
        if self._pictures is not None:
            self._pictures.write(portion.pictures)
        if self._parts is not None:
            self._parts.write(portion.parts)
        if self._regions is not None and self._out is not None:
            self._regions.write(portion.regions)
            for image_id, png in portion.overlays:
                write_overlay(self._out / "overlays", image_id, png)


def watch_folder(
    model: str,
    folder: Path,
    rules: PredictionRules,
    *,
    out: Path | None,
    stream: IO[str],
    say: Callable[[str], None],
    poll_seconds: float = 0.1,
    most: int | None = None,
) -> Counter[str]:
    """Judge what lies in a folder and what arrives there, each picture by itself, until a signal ends it.

    Pictures that the folder `out` holds rows of are not judged again, unless they change.

    Arguments:
        folder: searched with all below it.
        out: folder in which `pictures.*` grows; rows go to `stream` as well.
        say: hears a sentence once the model is ready.
        poll_seconds: how often the folder is looked at.
        most: end after so many pictures; `None`: never.
    """
    if rules.kind == "parquet":
        raise UserError("--format parquet: a file that grows is csv or jsonl; choose one.")
    if not folder.is_dir():
        raise UserError(f"--watch {folder}: there is no such folder; make it, or mend the name.")
    tally: Counter[str] = Counter()
    with ExitStack() as stack:
        stack.enter_context(threads_limited(rules.threads))
        judge = load_model(model)
        writers, known = [stream_writer(stream, WATCHED_SCHEMA, rules.kind)], set[str]()
        if out is not None:
            grown, known = stack.enter_context(appending(out / f"pictures.{rules.kind}", WATCHED_SCHEMA, rules.kind))
            writers.append(grown)
        elif rules.overlays:
            raise UserError("--overlays: name a folder for them with --out.")
        say(f"watching {folder}; {len(known):,} pictures were judged before" if known else f"watching {folder}")
        for count, arrival in enumerate(arrivals(folder, known, poll_seconds, say), start=1):
            portion = judge_portion(judge, [arrival.picture], **rules.of_judging())
            rows = [{**row, "milliseconds": 1000 * (time.time() - arrival.seen)} for row in portion.pictures]
            for writer in writers:
                writer.write(rows)
            for image_id, png in portion.overlays:
                assert out is not None
                write_overlay(out / "overlays", image_id, png)
            _count(tally, portion)
            if count == most:
                break
    return tally


def _count(tally: Counter[str], portion: Portion) -> None:
    tally.update(row["verdict"] for row in portion.parts)
    tally["unreadable"] += sum(row["unreadable"] for row in portion.parts)
    tally["unfamiliar"] += sum(row["unfamiliar"] for row in portion.parts)
