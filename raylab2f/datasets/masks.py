"""Which pixels of a mask are marked.

**Few separate values.** In a file that keeps values as they were written (PNG, BMP, PGM, GIF, TIFF, JPEG 2000 and WebP
without loss) with at most `FEW_VALUES` different values, or colours, every value but the background is marked: 255,
1, the classes 85 / 170 / 255 or 1 / 8 / 16, red and green. Values are not separate, and the file is one of the next
kind, where

- there are more than half as many values as pixels;
- most of the pixels darker than half of the range touch a brighter marked one: they are the soft edge of a mark;
- all values lie within `NOISE` of black or of white, several of them at both ends: traces of an earlier JPEG.

**Many values, or a lossy file.** If the highest value reaches half of the file's range, the mask is black and white
with soft edges or noise: what is at least half of the range is marked. Otherwise all but 0 is marked. Of colours the
highest channel counts.

**The background** of few separate values is black, wherever black occurs in the file: also where white prevails, for
a mask may cover nearly all of its picture (probing tells of masks that look inverted). Where black does not occur and
there are several values, it is the one that most pixels of the picture's rim have, which probing tells as well; a
single value other than black marks everything. Of several palette entries that show black, the first is background.

**Transparency** that is the same everywhere, other than fully transparent, says nothing. Where parts of a file are
fully transparent they are the background, and what is drawn is marked, be it black; only if the drawn parts are black
as well as coloured, with few values, black is background too, which probing tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from raylab2f.datasets.decoding import DEEP_MODES

__all__ = ["FEW_VALUES", "NOISE", "Marks", "find_marks", "rim_of"]

FEW_VALUES = 16
NOISE = 8

# Rows that are looked at together, so that large masks are not copied in wider types as a whole.
_STRIP = 256
_BLACK_MISSING = "no pixel is black, so the value at the rim was taken as background"
_BLACK_DRAWN = "parts are transparent and others black, and both were taken as background"


@dataclass(frozen=True)
class Marks:
    """A mask as values and a threshold.

    Attributes:
        values: (height, width) 8-bit or 16-bit; marked is what reaches the threshold.
        threshold: at least 1.
        classes: number of separate values beside the background; `None` where values are not few and separate.
        unsure: why the background is not certain, `None` if it is.
    """

    values: NDArray[np.unsignedinteger]
    threshold: int
    classes: int | None
    unsure: str | None = None

    def marked(self) -> NDArray[np.bool_]:
        """(height, width), true where marked."""
        return self.values >= self.threshold


def find_marks(image: Image.Image, lossy: bool) -> Marks:
    """Apply the rule of the module's documentation.

    Arguments:
        image: decoded, in a mode that `decoding.open_picture` lets pass.
        lossy: whether the file's compression may have changed values.
    """
    if image.mode in DEEP_MODES:
        values = np.asarray(image)
        if values.dtype != np.uint16:
            values = values.astype(np.uint16)
        return _find_in_band(values, lossy)
    if image.mode == "P" and "transparency" not in image.info:
        image = _with_a_colour_for_each_entry(image)
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        lowest, highest = image.getchannel("A").getextrema()
        if lowest < highest or highest == 0:
            return _find_in_ink(image, lossy)
        image = image.convert("RGB")
    if image.mode in ("1", "L"):
        return _find_in_band(np.asarray(image if image.mode == "L" else image.convert("L")), lossy)
    return _find_in_colours(image if image.mode == "RGB" else image.convert("RGB"), lossy)


def _find_in_band(values: NDArray[np.unsignedinteger], lossy: bool) -> Marks:
    """Of one channel."""
    few = None if lossy else _few_values(values)
    if few is None:
        return _by_half(values)
    if few[0] == 0:
        return Marks(values, 1, len(few) - 1) if _are_separate(values, few) else _by_half(values)
    if len(few) == 1:
        return Marks(values, 1, 1)
    names, counts = np.unique(rim_of(values), return_counts=True)
    background = names[counts.argmax()]
    return Marks((values != background).astype(np.uint8), 1, len(few) - 1, _BLACK_MISSING)


def _find_in_colours(image: Image.Image, lossy: bool) -> Marks:
    """Of an RGB image."""
    found = None if lossy else image.getcolors(min(FEW_VALUES, image.width * image.height // 2))
    colours = None if found is None else [colour for _, colour in found]
    if colours is None or (0, 0, 0) in colours or len(colours) == 1:
        values = _highest_channel(image)
        if colours is None or not _are_separate(values, sorted({max(colour) for colour in colours})):
            return _by_half(values)
        return Marks(values, 1, sum(any(colour) for colour in colours))
    names, counts = np.unique(rim_of(np.asarray(image)), axis=0, return_counts=True)
    red, green, blue = (int(value) for value in names[counts.argmax()])
    ground = Image.new("RGB", image.size, (red, green, blue))
    return Marks(_highest_channel(ImageChops.difference(image, ground)), 1, len(colours) - 1, _BLACK_MISSING)


def _find_in_ink(image: Image.Image, lossy: bool) -> Marks:
    """Of an RGBA image that is not equally opaque everywhere."""
    alpha = image.getchannel("A")
    found = None if lossy else image.getcolors(FEW_VALUES)
    drawn = {colour[:3] for _, colour in found or () if colour[3]}
    transparent = alpha.getextrema()[0] == 0
    if not transparent or ((0, 0, 0) in drawn and len(drawn) > 1):
        bands = [ImageChops.multiply(image.getchannel(name), alpha) for name in "RGB"]
        marks = _find_in_band(_lightest(bands), lossy)
        return Marks(marks.values, marks.threshold, marks.classes, _BLACK_DRAWN if transparent else marks.unsure)
    marks = _find_in_band(np.asarray(alpha), lossy)
    return Marks(marks.values, marks.threshold, len(drawn) if found and marks.classes else marks.classes, marks.unsure)


def _with_a_colour_for_each_entry(image: Image.Image) -> Image.Image:
    """A palette image as RGB; as grey numbers where several of its entries show black, the first of them 0."""
    palette = np.zeros((256, 3), np.uint8)
    given = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:256]
    palette[: len(given)] = given
    used = np.flatnonzero(image.histogram()[:256])
    black = used[~palette[used].any(axis=1)]
    if len(black) < 2:
        return image.convert("RGB")
    numbers = np.zeros(256, np.uint8)
    others = used[used != black[0]]
    numbers[others] = np.arange(1, len(others) + 1)
    return Image.fromarray(numbers[np.asarray(image)])


def _few_values(values: NDArray[np.unsignedinteger]) -> list[int] | None:
    """The different values, ascending; `None` if they are not few."""
    counts = np.zeros(int(np.iinfo(values.dtype).max) + 1, bool)
    for row in range(0, len(values), _STRIP):
        counts |= np.bincount(values[row : row + _STRIP].ravel(), minlength=len(counts)) > 0
        if np.count_nonzero(counts) > min(FEW_VALUES, values.size // 2):
            return None
    return [int(value) for value in np.flatnonzero(counts)]


def _are_separate(values: NDArray[np.unsignedinteger], few: list[int]) -> bool:
    """Whether a mask's few values are neither soft edges nor noise."""
    highest = int(np.iinfo(values.dtype).max)
    half, noise = (highest + 1) // 2, NOISE * (highest // 255)
    weak, strong = [value for value in few if 0 < value < half], [value for value in few if value >= half]
    if not weak or not strong:
        return True
    if weak[-1] <= noise and strong[0] >= highest - noise and len(strong) > 1:
        return False
    dark = edges = 0
    for row in range(0, len(values), _STRIP):
        block = np.pad(values[max(row - 1, 0) : row + _STRIP + 1], ((row == 0, row + _STRIP >= len(values)), (1, 1)))
        across = np.maximum(np.maximum(block[:, :-2], block[:, 1:-1]), block[:, 2:])
        around = np.maximum(np.maximum(across[:-2], across[1:-1]), across[2:])
        inner = block[1:-1, 1:-1]
        is_dark = (inner > 0) & (inner < half)
        dark += np.count_nonzero(is_dark)
        edges += np.count_nonzero(is_dark & (around > inner))
    return 2 * edges <= dark


def _by_half(values: NDArray[np.unsignedinteger]) -> Marks:
    half = (int(np.iinfo(values.dtype).max) + 1) // 2
    return Marks(values, half if values.max() >= half else 1, None)


def _highest_channel(image: Image.Image) -> NDArray[np.uint8]:
    return _lightest(list(image.split()))


def _lightest(bands: list[Image.Image]) -> NDArray[np.uint8]:
    return np.asarray(ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2]))


def rim_of(array: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels, one after the other."""
    return np.concatenate((array[0], array[-1], array[1:-1, 0], array[1:-1, -1]))
