"""Pictures and masks from files: every accepted kind becomes 8-bit RGB or a boolean mask, by documented rules.

Conversions, so that equal files give equal arrays whatever their kind:

- grey and black-and-white: the value is copied to the three channels;
- 16-bit grey: divided by 257, so that the full range 0..65535 becomes 0..255. The range is never guessed from the
  content, as the scale would then differ from picture to picture: 12-bit values in a 16-bit file come out dark, and
  `load_dataset` warns of it. Of 16-bit colour the decoder keeps the high byte;
- transparency: laid over black, because what lies under transparent pixels is arbitrary;
- palette: the palette's colours;
- CMYK, YCbCr, HSV: Pillow's plain formula; colour profiles are ignored;
- EXIF orientation: applied, so that a picture stands as viewers and annotation tools show it;
- several frames: the first.

What of a mask is marked: see `masks`. A mask may be a folder, whose files are masks of one picture that are united;
hidden files and files that do not look like pictures are no part of it. On a store masks are files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raylab2f.datasets.decoding import (
    DEEP_MODES,
    PIXEL_LIMIT,
    QUARTER_TURNS,
    UnreadablePictureError,
    decode,
    decoded_bytes,
    is_lossy,
    kind_of_file,
    open_picture,
    opened_bytes,
    orientation_of,
    over_black,
    read_content,
    refuse,
    upright,
)
from raylab2f.datasets.discovery import is_folder
from raylab2f.datasets.entries import list_pictures
from raylab2f.datasets.mask_contents import plainness
from raylab2f.datasets.masks import Marks, find_marks
from raylab2f.datasets.memory import Hold, MemoryBudget
from raylab2f.files.places import is_uri, place_of

__all__ = [
    "PIXEL_LIMIT",
    "FileFacts",
    "MaskFacts",
    "UnreadablePictureError",
    "picture_of",
    "probe_file",
    "probe_mask",
    "read_mask",
    "read_picture",
]

# Files up to this size are read before their share of memory is asked for, which needs their header.
SMALL_FILE = 4 << 20
_GREYS = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)
_STRIP_PIXELS = 1 << 20


@dataclass(frozen=True)
class FileFacts:
    """What one reading of a picture tells.

    Attributes:
        width, height: pixels, after EXIF orientation.
        sha256: of the file's bytes, hexadecimal.
        peak: highest value of a 16-bit grey picture, `None` for others.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
        plainness: share of the pixels that have one of the eight commonest values, 0 to 1: near 1 in masks.
        kind: how it was saved, for people: `PNG`, `JPEG of quality 85`.
    """

    width: int
    height: int
    sha256: str
    peak: int | None
    orientation: int = 1
    plainness: float = 0.0
    kind: str = ""


@dataclass(frozen=True)
class MaskFacts:
    """What one reading of a mask tells.

    Attributes:
        width, height: pixels, after EXIF orientation.
        sha256: of the file's bytes; of a folder the digest of its files' names and digests, sorted.
        orientation: EXIF orientation, 1 to 8; of a folder the first one that is not 1.
        marked: number of marked pixels.
        inverted: whether more than half of all pixels, and of the outermost ones, are marked.
        classes: the most separate values beside the background that a file has; `None` if all have soft edges.
        lossy: whether a file's compression may have changed values.
        unsure: why the background is not certain, `None` if it is.
    """

    width: int
    height: int
    sha256: str
    orientation: int
    marked: int
    inverted: bool
    classes: int | None
    lossy: bool
    unsure: str | None


def read_picture(path: str | Path, pixel_limit: int = PIXEL_LIMIT) -> NDArray[np.uint8]:
    """A picture as 8-bit RGB of shape (height, width, 3), converted as the module's documentation says.

    Arguments:
        path: a local file, or a URI that `pyarrow.fs` opens.
        pixel_limit: most pixels (width times height) that are decoded.

    Raises:
        UnreadablePictureError: the file is absent, empty, truncated, damaged, of an unsupported kind, or above the
            limit.
    """
    return picture_of(str(path), read_content(str(path)), pixel_limit)


def picture_of(name: str, content: bytes, pixel_limit: int = PIXEL_LIMIT) -> NDArray[np.uint8]:
    """As `read_picture`, of a file's bytes.

    Arguments:
        name: of the file, in messages.
    """
    image = open_picture(name, content, pixel_limit)
    decode(name, image)
    image = upright(image)
    # In strips, so that no second copy of a large picture is made on the way.
    picture = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // image.width)
    for row in range(0, image.height, rows):
        strip = image if rows >= image.height else image.crop((0, row, image.width, min(row + rows, image.height)))
        if image.mode in DEEP_MODES:
            picture[row : row + rows] = _GREYS[np.asarray(strip), np.newaxis]
        else:
            picture[row : row + rows] = np.asarray(over_black(strip))
    return picture


def read_mask(path: str | Path, pixel_limit: int | None = None) -> NDArray[np.bool_]:
    """A mask of shape (height, width), true where marked: by the rule of `masks`.

    Arguments:
        path: a local file, a local folder of masks of one picture, or a URI that `pyarrow.fs` opens.
        pixel_limit: as in `read_picture`; by default none, for `load_dataset` has compared it with its picture.

    Raises:
        UnreadablePictureError: as in `read_picture`; a folder holds no masks, or masks of several sizes.
    """
    union: NDArray[np.bool_] | None = None
    for file in _mask_files(str(path)):
        content = read_content(file)
        image = open_picture(file, content, pixel_limit)
        lossy = is_lossy(image, content)
        decode(file, image)
        union = _united(union, find_marks(upright(image), lossy).marked(), file)
    assert union is not None
    return union


def probe_file(
    path: str | Path, pixel_limit: int | None = PIXEL_LIMIT, budget: MemoryBudget | None = None
) -> FileFacts:
    """Size, checksum and the proof that a picture can be decoded whole, from one reading of the file.

    Arguments:
        budget: what threads that probe at the same time may take together; `None`: any.

    Raises:
        UnreadablePictureError: as in `read_picture`.
    """
    # What a call inside holds is gone when it returns, before its share is given back.
    with (budget or MemoryBudget(0)).hold() as hold:
        return _picture_facts(str(path), pixel_limit, hold)


def probe_mask(
    path: str | Path, pixel_limit: int | None = PIXEL_LIMIT, budget: MemoryBudget | None = None
) -> MaskFacts:
    """As `probe_file`, for a mask or a folder of masks; what it marks is told from the same decoding.

    Raises:
        UnreadablePictureError: as in `read_mask`.
    """
    with (budget or MemoryBudget(0)).hold() as hold:
        return _mask_facts(str(path), pixel_limit, hold)


def _picture_facts(path: str, pixel_limit: int | None, hold: Hold) -> FileFacts:
    (content,) = _read_within([path], hold)
    image = open_picture(path, content, pixel_limit)
    hold.take(len(content) + decoded_bytes(image))
    decode(path, image)
    peak = None
    if image.mode in DEEP_MODES:
        # Pillow knows extrema only of numbers in the order of this machine's bytes.
        extrema = image.getextrema() if image.mode in ("I", "I;16") else (0, np.asarray(image).max())
        peak = int(extrema[1])  # type: ignore[arg-type]  # one channel: two numbers, which Pillow does not declare
    orientation = orientation_of(image)
    width, height = image.size[::-1] if orientation in QUARTER_TURNS else image.size
    digest = hashlib.sha256(content).hexdigest()
    return FileFacts(width, height, digest, peak, orientation, plainness(image), kind_of_file(image))


def _mask_facts(path: str, pixel_limit: int | None, hold: Hold) -> MaskFacts:
    files = _mask_files(path)
    contents = _read_within(files, hold)
    images = [open_picture(file, content, pixel_limit) for file, content in zip(files, contents, strict=True)]
    hold.take(sum(map(len, contents)) + max(map(_mask_bytes, images)))
    union: NDArray[np.bool_] | None = None
    each = []
    for file, content in zip(files, contents, strict=True):
        # What was decoded of a file is gone before the next one is.
        marks, facts = _one_mask(file, images.pop(0), content)
        each.append(facts)
        if len(files) > 1:
            union = _united(union, marks.marked(), file)
    if union is None:
        return each[0] if files == [path] else replace(each[0], sha256=_folder_digest(files, each))
    together = Marks(union.view(np.uint8), 1, int(np.count_nonzero(union)), None)
    return replace(
        each[0],
        sha256=_folder_digest(files, each),
        orientation=next((facts.orientation for facts in each if facts.orientation != 1), 1),
        marked=together.count,
        inverted=together.looks_inverted(),
        classes=max((facts.classes for facts in each if facts.classes is not None), default=None),
        lossy=any(facts.lossy for facts in each),
        unsure=next((facts.unsure for facts in each if facts.unsure is not None), None),
    )


def _one_mask(file: str, image: Image.Image, content: bytes) -> tuple[Marks, MaskFacts]:
    lossy = is_lossy(image, content)
    decode(file, image)
    orientation = orientation_of(image)
    width, height = image.size[::-1] if orientation in QUARTER_TURNS else image.size
    marks = find_marks(upright(image), lossy)
    digest = hashlib.sha256(content).hexdigest()
    facts = MaskFacts(
        width, height, digest, orientation, marks.count, marks.looks_inverted(), marks.classes, lossy, marks.unsure
    )
    return marks, facts


def _read_within(files: Sequence[str], hold: Hold) -> list[bytes]:
    """The files' bytes; large ones only while no other thread holds memory, for their pictures' size is not known."""
    size = 0

    def announce(more: int) -> None:
        nonlocal size
        size += more
        if size > SMALL_FILE:
            hold.take_all()

    contents = [read_content(file, announce) for file in files]
    if canvas := sum(map(opened_bytes, contents)):
        hold.take(size + 2 * canvas)
    return contents


def _mask_bytes(image: Image.Image) -> int:
    """About how many bytes `_one_mask` and the union of masks take for what `open_picture` gave."""
    pixels = image.width * image.height
    return max(2 * decoded_bytes(image) + 4 * pixels, (4 if image.mode in ("1", "L") else 12) * pixels)


def _mask_files(path: str) -> list[str]:
    place = place_of(path)
    if is_uri(place) or not is_folder(Path(place)):
        return [path]
    files = [str(file) for file in list_pictures(Path(place))]
    if not files:
        refuse(path, "the folder holds no mask; put the masks of the picture into it, or remove it")
    return files


def _folder_digest(files: Sequence[str], each: Sequence[MaskFacts]) -> str:
    digest = hashlib.sha256()
    for file, facts in zip(files, each, strict=True):
        digest.update(os.fsencode(Path(file).name) + b"\0" + facts.sha256.encode() + b"\n")
    return digest.hexdigest()


def _united(union: NDArray[np.bool_] | None, marked: NDArray[np.bool_], file: str) -> NDArray[np.bool_]:
    if union is None:
        return marked
    if union.shape != marked.shape:
        refuse(
            file,
            f"it has {marked.shape[1]} x {marked.shape[0]} pixels, but another mask of its folder "
            f"{union.shape[1]} x {union.shape[0]}",
        )
    union |= marked
    return union
