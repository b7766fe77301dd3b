"""The whole demo data set: rendered once per configuration by several processes, then found in the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raylab2f.datasets.demo.camera import encode
from raylab2f.datasets.demo.config import DemoConfig
from raylab2f.datasets.demo.render import DemoObject, demo_objects, render_object
from raylab2f.datasets.manifest import MANIFEST_SCHEMA, write_manifest
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json
from raylab2f.files.parquet import read_parquet
from raylab2f.files.permissions import make_folders, share_below

__all__ = ["demo_dataset"]

# Temporary folders of killed runs are swept once they are older than any rendering could last.
_ABANDONED_SECONDS = 24 * 3600.0


def demo_dataset(
    config: DemoConfig,
    cache: Path,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the demo data set into the cache, unless it is there already.

    The folder appears whole or not at all. Several processes may ask for the same data set at once: each renders,
    the first one to finish puts its folder in place, the others use that one.

    A picture's label says whether a defect shows in it. In views where light and angle hide the defect, a defective
    part's picture has label 0, defect type "good" and no mask; it keeps the `object_id`, so that whoever splits by
    objects keeps the whole part away from training.

    Arguments:
        config: what to render.
        cache: folder for cached data; the data set lies at `<cache>/demo/<config.digest>`.
        workers: number of processes, default one per usable core; 1 renders in the calling process. Pictures do not
            depend on it. More than one needs, as with every use of `multiprocessing`, that the calling script guards
            its main part with `if __name__ == "__main__":`.
        progress: called as `progress(parts finished, parts in total)`.

    Returns:
        Folder with `manifest.parquet` (`datasets.manifest.MANIFEST_SCHEMA`; paths relative to the folder), `pictures/`,
        `foregrounds/` and `masks/` (0 and 255, of the picture's size) as `<object_id>/<view>.<suffix>`, and
        `config.json`.

    Raises:
        UserError: `workers` is below 1, or the cache folder cannot be written.
    """
    if workers is not None and workers < 1:
        raise UserError(f"option workers is {workers}, but rendering the demo data needs at least 1")
    target = Path(cache) / "demo" / config.digest
    if _is_whole(target):
        return target
    try:
        make_folders(target.parent)
        _sweep_abandoned(target.parent)
        with _folder_in_place(target) as folder:
            rows = _render_all(config, folder, workers or _usable_cores(), progress)
            write_json(folder / "config.json", dataclasses.asdict(config))
            # Last, because its presence marks the data set as complete.
            write_manifest(folder / "manifest.parquet", pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA))
    except PermissionError as error:
        raise UserError(
            f"cannot write the demo data to {target.parent}: {error.strerror}; name another cache"
        ) from error
    return target


def _render_all(
    config: DemoConfig, folder: Path, workers: int, progress: Callable[[int, int], None] | None
) -> list[dict[str, Any]]:
    objects = demo_objects(config)
    rows: dict[str, list[dict[str, Any]]] = {}

    def finished(item: DemoObject, item_rows: list[dict[str, Any]]) -> None:
        rows[item.object_id] = item_rows
        if progress is not None:
            progress(len(rows), len(objects))

    if min(workers, len(objects)) == 1:
        threads = cv2.getNumThreads()
        _one_thread()
        try:
            for item in objects:
                finished(item, _render_files(config, item, folder))
        finally:
            cv2.setNumThreads(threads)
    else:
        # Forking a process that holds threads (torch, ray, pyarrow) can deadlock; spawning cannot.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(objects)), mp_context=context, initializer=_one_thread) as pool:
            futures = {pool.submit(_render_files, config, item, folder): item for item in objects}
            try:
                for future in as_completed(futures):
                    finished(futures[future], future.result())
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return [row for item in objects for row in rows[item.object_id]]


def _render_files(config: DemoConfig, item: DemoObject, folder: Path) -> list[dict[str, Any]]:
    """Write one part's files below `folder`; returns its rows of the manifest."""
    rows = []
    suffix = "png" if config.jpeg_quality is None else "jpg"
    for shot in render_object(config, item):
        name = f"{item.object_id}/{shot.view}"
        picture = f"pictures/{name}.{suffix}"
        foreground = f"foregrounds/{name}.png"
        mask = f"masks/{name}.png" if shot.mask.any() else None
        digests = {
            "sha256": _write(folder / picture, encode(shot.picture, config.jpeg_quality)),
            "foreground_sha256": _write(folder / foreground, _encode_mask(shot.foreground)),
            "mask_sha256": None if mask is None else _write(folder / mask, _encode_mask(shot.mask)),
        }
        rows.append(
            {
                "image_id": picture,
                "path": picture,
                "given_split": item.given_split,
                "label": int(mask is not None),
                "defect_type": item.defect_type if mask is not None else "good",
                "object_id": item.object_id,
                "view": str(shot.view),
                "mask_path": mask,
                "foreground_path": foreground,
                "width": shot.picture.shape[1],
                "height": shot.picture.shape[0],
                **digests,
            }
        )
    return rows


def _encode_mask(mask: NDArray[np.bool_]) -> bytes:
    return encode(mask.astype(np.uint8) * np.uint8(255), None)


def _write(path: Path, content: bytes) -> str:
    """Returns the content's sha256, hexadecimal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _one_thread() -> None:
    # The processes share the cores already.
    cv2.setNumThreads(1)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_whole(folder: Path) -> bool:
    """Whether the manifest and every file that it names are there."""
    manifest = folder / "manifest.parquet"
    if not manifest.is_file():
        return False
    table = read_parquet(manifest, columns=["path", "mask_path", "foreground_path"])
    return all((folder / path).is_file() for column in table.columns for path in column.to_pylist() if path is not None)


@contextmanager
def _folder_in_place(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target` that takes its place on success and vanishes on failure."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        share_below(temporary)
        if target.exists() and not _is_whole(target):  # somebody deleted files from it
            target.rename(temporary / "damaged")
            shutil.rmtree(temporary / "damaged")
        try:
            temporary.rename(target)
        except OSError:
            # Another process was faster; its folder holds the same pictures.
            if not _is_whole(target):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sweep_abandoned(parent: Path) -> None:
    for folder in parent.glob(".*.tmp"):
        if folder.is_dir() and time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
