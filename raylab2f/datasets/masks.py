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

from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from raylab2f.datasets.decoding import DEEP_MODES

__all__ = ["FEW_VALUES", "NOISE", "Marks", "find_marks"]

FEW_VALUES = 16
NOISE = 8

# Rows that are looked at together, so that large masks are not copied in wider types as a whole.
_STRIP = 256
_BLACK_MISSING = "no pixel is black, so the value at the rim was taken as background"
_BLACK_DRAWN = "parts are transparent and others black, and both were taken as background"


_Band: TypeAlias = "Image.Image | NDArray[np.unsignedinteger]"


@dataclass(frozen=True)
class Marks:
    """A mask as values and a threshold.

    Attributes:
        band: an image of mode L, or (height, width) 16-bit values; marked is what reaches the threshold.
        threshold: at least 1.
        count: number of marked pixels.
        classes: number of separate values beside the background; `None` where values are not few and separate.
        unsure: why the background is not certain, `None` if it is.
    """

    band: _Band
    threshold: int
    count: int
    classes: int | None
    unsure: str | None = None

    def marked(self) -> NDArray[np.bool_]:
        """(height, width), true where marked."""
        return np.asarray(self.band) >= self.threshold

    def looks_inverted(self) -> bool:
        """Whether more than half of all pixels, and of the outermost ones, are marked."""
        width, height = self.band.size if isinstance(self.band, Image.Image) else self.band.shape[::-1]
        if 2 * self.count <= width * height:
            return False
        rim = _rim(self.band)
        return 2 * int(np.count_nonzero(rim >= self.threshold)) > len(rim)


def find_marks(image: Image.Image, lossy: bool) -> Marks:
    """Apply the rule of the module's documentation.

    Arguments:
        image: decoded, in a mode that `decoding.open_picture` lets pass.
        lossy: whether the file's compression may have changed values.
    """
    if image.mode in DEEP_MODES:
        values = np.asarray(image)
        return _find_in_band(values if values.dtype == np.uint16 else values.astype(np.uint16), lossy)
    if image.mode == "P" and "transparency" not in image.info:
        image = _with_a_colour_for_each_entry(image)
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        lowest, highest = cast(tuple[int, int], image.getchannel("A").getextrema())
        if lowest < highest or highest == 0:
            return _find_in_ink(image, lossy)
        image = image.convert("RGB")
    if image.mode in ("1", "L"):
        return _find_in_band(image if image.mode == "L" else image.convert("L"), lossy)
    return _find_in_colours(image if image.mode == "RGB" else image.convert("RGB"), lossy)


def _find_in_band(band: _Band, lossy: bool) -> Marks:
    """Of one channel."""
    if isinstance(band, Image.Image) and band.getbbox() is None:
        return Marks(band, 1, 0, 0)
    counts = _count_values(band)
    few = [int(value) for value in np.flatnonzero(counts)]
    if lossy or len(few) > _most_values(int(counts.sum())) or not _are_separate(band, few, len(counts)):
        return _by_half(band, counts)
    if few[0] == 0 or len(few) == 1:
        return Marks(band, 1, int(counts[1:].sum()), len(few) - (few[0] == 0))
    background = _most_frequent(_rim(band))
    differs = (np.asarray(band) != background).astype(np.uint8)
    return Marks(Image.fromarray(differs), 1, int(np.count_nonzero(differs)), len(few) - 1, _BLACK_MISSING)


def _find_in_colours(image: Image.Image, lossy: bool) -> Marks:
    """Of an RGB image."""
    found = None if lossy else image.getcolors(_most_values(image.width * image.height))
    if found is None:
        band = _lightest(list(image.split()))
        return _by_half(band, _count_values(band))
    colours = [cast(tuple[int, int, int], colour) for _, colour in found]
    if (0, 0, 0) not in colours and len(colours) > 1:
        ground = Image.new("RGB", image.size, tuple(_most_frequent(_rim(image)).tolist()))
        band = _lightest(list(ImageChops.difference(image, ground).split()))
        return Marks(band, 1, int(_count_values(band)[1:].sum()), len(colours) - 1, _BLACK_MISSING)
    marks = _find_in_band(_lightest(list(image.split())), lossy)
    return replace(marks, classes=None if marks.classes is None else sum(any(colour) for colour in colours))


def _find_in_ink(image: Image.Image, lossy: bool) -> Marks:
    """Of an RGBA image that is not equally opaque everywhere."""
    alpha = image.getchannel("A")
    found = None if lossy else image.getcolors(FEW_VALUES)
    colours = [cast(tuple[int, int, int, int], colour) for _, colour in found or ()]
    drawn = {colour[:3] for colour in colours if colour[3]}
    transparent = alpha.getextrema()[0] == 0
    if not transparent or ((0, 0, 0) in drawn and len(drawn) > 1):
        shown = [ImageChops.multiply(image.getchannel(name), alpha) for name in "RGB"]
        marks = _find_in_band(_lightest(shown), lossy)
        return replace(marks, unsure=_BLACK_DRAWN if transparent else marks.unsure)
    marks = _find_in_band(alpha, lossy)
    return replace(marks, classes=len(drawn)) if found and marks.classes else marks


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


def _count_values(band: _Band) -> NDArray[np.int64]:
    """(256,) or (65536,) how many pixels have each value."""
    if isinstance(band, Image.Image):
        return np.array(band.histogram(), np.int64)
    counts = np.zeros(65536, np.int64)
    for row in range(0, len(band), _STRIP):
        counts += np.bincount(band[row : row + _STRIP].ravel(), minlength=65536)
    return counts


def _most_values(pixels: int) -> int:
    return min(FEW_VALUES, pixels // 2)


def _are_separate(band: _Band, few: list[int], levels: int) -> bool:
    """Whether a mask's few values, out of 0 to `levels` - 1, are neither soft edges nor noise."""
    half, highest = levels // 2, levels - 1
    noise = NOISE * (highest // 255)
    weak, strong = [value for value in few if 0 < value < half], [value for value in few if value >= half]
    if few[0] != 0 or not weak or not strong:
        return True
    if weak[-1] <= noise and strong[0] >= highest - noise and len(strong) > 1:
        return False
    dark = edges = 0
    # Around the box that holds all that is not black there is nothing to see.
    values = np.asarray(band.crop(band.getbbox()) if isinstance(band, Image.Image) else band)
    for row in range(0, len(values), _STRIP):
        block = np.pad(values[max(row - 1, 0) : row + _STRIP + 1], ((row == 0, row + _STRIP >= len(values)), (1, 1)))
        across = np.maximum(np.maximum(block[:, :-2], block[:, 1:-1]), block[:, 2:])
        around = np.maximum(np.maximum(across[:-2], across[1:-1]), across[2:])
        inner = block[1:-1, 1:-1]
        is_dark = (inner > 0) & (inner < half)
        dark += int(np.count_nonzero(is_dark))
        edges += int(np.count_nonzero(is_dark & (around > inner)))
    return 2 * edges <= dark


def _by_half(band: _Band, counts: NDArray[np.int64]) -> Marks:
    half = len(counts) // 2
    threshold = half if counts[half:].any() else 1
    return Marks(band, threshold, int(counts[threshold:].sum()), None)


def _lightest(bands: list[Image.Image]) -> Image.Image:
    return ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])


def _rim(band: _Band) -> NDArray[np.unsignedinteger]:
    """The outermost pixels, one after the other; (n,) or (n, channels)."""
    if isinstance(band, Image.Image):
        width, height = band.size
        boxes = [(0, 0, width, 1), (0, height - 1, width, height)]
        boxes += [(0, 1, 1, height - 1), (width - 1, 1, width, height - 1)] if height > 2 else []
        parts = [np.asarray(band.crop(box)) for box in boxes]
        return np.concatenate([part.reshape(-1, *part.shape[2:]) for part in parts])
    return np.concatenate((band[0], band[-1], band[1:-1, 0], band[1:-1, -1]))


def _most_frequent(values: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """The value, or row of values, that occurs most often; of several the lowest."""
    different, counts = np.unique(values, axis=0, return_counts=True)
    return np.asarray(different[counts.argmax()])
