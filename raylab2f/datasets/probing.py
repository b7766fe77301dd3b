"""Every file of a dataset is read once: is it whole, how large, which content, what do masks mark."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from raylab2f.datasets.decoding import QUARTER_TURNS
from raylab2f.datasets.entries import NOMINAL, Entry
from raylab2f.datasets.memory import MemoryBudget
from raylab2f.datasets.pictures import FileFacts, MaskFacts, UnreadablePictureError, probe_file, probe_mask

__all__ = ["PROBING_BYTES", "Probed", "probe_entries"]

#: Memory that all threads together take for what they decode. A picture that needs more is decoded alone. Files of up
#: to `pictures.SMALL_FILE` bytes, one for each thread, come on top.
PROBING_BYTES = 1 << 30


@dataclass(frozen=True)
class Probed:
    """An entry after its files were read.

    Attributes:
        entry: with the fields that come from the files; unchanged where there is a problem.
        problem: why the entry cannot be used, naming the mask or foreground at fault; `None` if it can.
        peak: highest value of a 16-bit grey picture, `None` for others.
        mask: what its mask marks, also if `entry` has lost the mask because nothing is marked; `None` without a mask.
        transposed: whether the problem is a mask or foreground that is turned by a quarter.
        turn_unseen: whether the EXIF orientations of the picture and of its mask or foreground differ, while sizes
            cannot tell whether they lie over each other.
        plainness: share of the picture's pixels that have one of its eight commonest values.
        kind: how the picture was saved, for people.
    """

    entry: Entry
    problem: str | None = None
    peak: int | None = None
    mask: MaskFacts | None = None
    transposed: bool = False
    turn_unseen: bool = False
    plainness: float = 0.0
    kind: str = ""


def probe_entries(
    entries: Sequence[Entry],
    pixel_limit: int,
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int | None = None,
) -> list[Probed]:
    """Read pictures, masks and foregrounds in threads (decoding releases Python's lock); order is kept.

    Memory: `PROBING_BYTES`, or one picture where that needs more, whatever the number of threads.

    Arguments:
        pixel_limit: most pixels a file may have.
        progress: called as `progress(entries done, entries in total)`.
        workers: threads; by default after the number of cores.
    """
    probed: list[Probed] = []
    budget = MemoryBudget(PROBING_BYTES)
    workers = workers or min(32, 2 * (os.cpu_count() or 1) + 2)
    with ThreadPoolExecutor(workers, thread_name_prefix="probe") as pool:
        try:
            for item in pool.map(lambda entry: _probe(entry, pixel_limit, budget), entries):
                probed.append(item)
                if progress is not None:
                    progress(len(probed), len(entries))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return probed


def _probe(entry: Entry, pixel_limit: int, budget: MemoryBudget) -> Probed:
    try:
        picture = probe_file(entry.path, pixel_limit, budget)
    except UnreadablePictureError as error:
        return Probed(entry, error.reason)
    if entry.sha256 not in (None, picture.sha256):
        return Probed(entry, "its content is not what the manifest's sha256 says; write the manifest anew")
    attached: dict[str, MaskFacts | None] = {}
    for kind, path, recorded in (
        ("mask", entry.mask_path, entry.mask_sha256),
        ("foreground", entry.foreground_path, entry.foreground_sha256),
    ):
        attached[kind] = None
        if path is None:
            continue
        try:
            facts = attached[kind] = probe_mask(path, pixel_limit, budget)
        except UnreadablePictureError as error:
            inner = "" if error.path == path else f"{error.path}: "
            return Probed(entry, f"its {kind} {path}: {inner}{error.reason}")
        if (facts.width, facts.height) != (picture.width, picture.height):
            transposed = (facts.width, facts.height) == (picture.height, picture.width)
            return Probed(
                entry,
                f"its {kind} {path} has {facts.width} x {facts.height} pixels, "
                f"but the picture {picture.width} x {picture.height}"
                + (_why_transposed(picture, facts, kind) if transposed else ""),
                transposed=transposed,
            )
        if recorded not in (None, facts.sha256):
            return Probed(entry, f"its {kind} {path}: its content is not what the manifest says; write it anew")
    mask, foreground = attached["mask"], attached["foreground"]
    if entry.label is None and mask is None:
        return Probed(
            entry, "only a mask could tell whether it is defective, and it has none; add a mask, black if good"
        )
    complete = replace(
        _labelled(entry, mask),
        width=picture.width,
        height=picture.height,
        sha256=picture.sha256,
        foreground_sha256=None if foreground is None else foreground.sha256,
    )
    if complete.mask_path is not None and mask is not None:
        complete = replace(complete, mask_sha256=mask.sha256)
    return Probed(
        complete,
        peak=picture.peak,
        mask=mask,
        turn_unseen=any(_is_turn_unseen(picture, facts) for facts in (mask, foreground) if facts is not None),
        plainness=picture.plainness,
        kind=picture.kind,
    )


def _labelled(entry: Entry, mask: MaskFacts | None) -> Entry:
    """An entry whose label was open gets the one that its mask says; a mask without marks has done its duty then."""
    if entry.label is not None or mask is None:
        return entry
    if mask.marked:
        named = entry.defect_type if entry.defect_type not in ("", NOMINAL) else "defect"
        return replace(entry, label=1, defect_type=named, given_split=entry.given_split or "test")
    return replace(
        entry,
        label=0,
        defect_type=NOMINAL,
        given_split=entry.given_split or "train",
        mask_path=None,
        mask_sha256=None,
    )


def _why_transposed(picture: FileFacts, mask: MaskFacts, kind: str) -> str:
    found = "; the one is turned by a quarter against the other"
    turns_picture, turns_mask = picture.orientation in QUARTER_TURNS, mask.orientation in QUARTER_TURNS
    if turns_picture and not turns_mask:
        return (
            f"{found}, for the picture has EXIF orientation {picture.orientation}, with which viewers turn it: turn "
            f"the {kind} likewise, or remove the orientation from the picture if the {kind} was drawn without it"
        )
    if turns_mask and not turns_picture:
        return (
            f"{found}, for the {kind} has EXIF orientation {mask.orientation}, with which viewers turn it: remove the "
            f"orientation from the {kind}"
        )
    return f"{found}: turn the {kind}"


def _is_turn_unseen(picture: FileFacts, mask: MaskFacts) -> bool:
    """Sizes agree; whether they would also agree if the mask had been drawn on the picture as it lies in its file."""
    same_axes = (picture.orientation in QUARTER_TURNS) == (mask.orientation in QUARTER_TURNS)
    return picture.orientation != mask.orientation and (same_axes or picture.width == picture.height)
