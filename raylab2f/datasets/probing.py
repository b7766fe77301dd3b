"""Every file of a dataset is read once: is it whole, how large, which content."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from raylab2f.datasets.entries import Entry
from raylab2f.datasets.pictures import FileFacts, UnreadablePictureError, probe_file

__all__ = ["Probed", "probe_entries"]


@dataclass(frozen=True)
class Probed:
    """An entry after its files were read.

    Attributes:
        entry: with the fields that come from the files; unchanged where there is a problem.
        problem: why the entry cannot be used, naming the mask or foreground at fault; `None` if it can.
        peak: highest value of a 16-bit grey picture, `None` for others.
    """

    entry: Entry
    problem: str | None = None
    peak: int | None = None


def probe_entries(
    entries: Sequence[Entry], pixel_limit: int, progress: Callable[[int, int], None] | None = None
) -> list[Probed]:
    """Read pictures, masks and foregrounds in threads (decoding releases Python's lock); order is kept.

    Arguments:
        pixel_limit: most pixels a file may have.
        progress: called as `progress(entries done, entries in total)`.
    """
    probed: list[Probed] = []
    workers = min(32, 2 * (os.cpu_count() or 1) + 2)
    with ThreadPoolExecutor(workers, thread_name_prefix="probe") as pool:
        try:
            for item in pool.map(lambda entry: _probe(entry, pixel_limit), entries):
                probed.append(item)
                if progress is not None:
                    progress(len(probed), len(entries))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return probed


def _probe(entry: Entry, pixel_limit: int) -> Probed:
    try:
        picture = probe_file(entry.path, pixel_limit)
    except UnreadablePictureError as error:
        return Probed(entry, error.reason)
    if entry.sha256 not in (None, picture.sha256):
        return Probed(entry, "its content is not what the manifest's sha256 says; write the manifest anew")
    attached: dict[str, FileFacts | None] = {}
    for kind, path, recorded in (
        ("mask", entry.mask_path, entry.mask_sha256),
        ("foreground", entry.foreground_path, entry.foreground_sha256),
    ):
        attached[kind] = None
        if path is None:
            continue
        try:
            facts = attached[kind] = probe_file(path, pixel_limit)
        except UnreadablePictureError as error:
            return Probed(entry, f"its {kind} {path}: {error.reason}")
        if (facts.width, facts.height) != (picture.width, picture.height):
            return Probed(
                entry,
                f"its {kind} {path} has {facts.width} x {facts.height} pixels, "
                f"but the picture {picture.width} x {picture.height}",
            )
        if recorded not in (None, facts.sha256):
            return Probed(entry, f"its {kind} {path}: its content is not what the manifest says; write it anew")
    mask, foreground = attached["mask"], attached["foreground"]
    complete = replace(
        entry,
        width=picture.width,
        height=picture.height,
        sha256=picture.sha256,
        mask_sha256=None if mask is None else mask.sha256,
        foreground_sha256=None if foreground is None else foreground.sha256,
    )
    return Probed(complete, peak=picture.peak)
