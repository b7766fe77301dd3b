"""From a file's bytes to an upright Pillow image, whatever its kind; what cannot be decoded is named in one sentence.

Of several frames the first counts. EXIF orientation is applied, so that a picture stands as viewers and annotation
tools show it.
"""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable
from functools import cache
from typing import NoReturn

from PIL import Image

from raylab2f.errors import UserError, first_line
from raylab2f.files.places import is_uri, open_file, place_of

__all__ = [
    "DEEP_MODES",
    "PIXEL_LIMIT",
    "QUARTER_TURNS",
    "TooManyPixelsError",
    "UnreadablePictureError",
    "decode",
    "decoded_bytes",
    "is_lossy",
    "kind_of_file",
    "open_picture",
    "opened_bytes",
    "orientation_of",
    "over_black",
    "read_content",
    "refuse",
    "upright",
]

PIXEL_LIMIT = 100_000_000

#: One channel of more than 8 bits.
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
#: EXIF orientations that exchange width and height.
QUARTER_TURNS = (5, 6, 7, 8)

_READABLE_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", *DEEP_MODES)
_ORIENTATION_TAG = 0x0112
_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Formats that give back the values that were written. What else Pillow reads may be lossy.
_LOSSLESS_FORMATS = ("PNG", "BMP", "DIB", "PPM", "GIF", "TGA", "PCX", "ICO", "SGI", "QOI")
_LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_OPENING = threading.Lock()
# Quantisation of luminance at quality 50: ISO/IEC 10918-1, table K.1.
_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


class UnreadablePictureError(UserError):
    """A file that does not give a picture.

    Attributes:
        path: the file.
        reason: what is wrong with it, without its name.
    """

    # Both go to `args`, which is what pickles: the error crosses processes.
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}."


class TooManyPixelsError(UnreadablePictureError):
    """A picture above the limit; it was not decoded."""


def read_content(path: str, announce: Callable[[int], None] | None = None) -> bytes:
    """The bytes of a file that has some.

    Arguments:
        announce: called with the file's size before it is read.

    Raises:
        UnreadablePictureError: the file is absent, empty, or cannot be opened.
    """
    # To read a pipe or a device may take for ever, or all memory.
    if not is_uri(path) and _is_no_file(path):
        refuse(path, "it is no file but a pipe, a socket or a device")
    try:
        with open_file(place_of(path)) as (file, size):
            if announce is not None:
                announce(size)
            content = file.read()
    except FileNotFoundError:
        refuse(path, "the file does not exist" + ("; write / instead of \\ in paths" if "\\" in path else ""))
    except (OSError, UserError, ValueError) as error:
        refuse(path, f"the file cannot be opened ({str(error).rstrip('.')})")
    if not content:
        refuse(path, "the file is empty")
    return content


def _is_no_file(path: str) -> bool:
    try:
        mode = os.stat(place_of(path)).st_mode  # noqa: PTH116  # of names that no path may have
    except (OSError, ValueError, UserError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_picture(path: str, content: bytes, pixel_limit: int | None) -> Image.Image:
    """The picture before its pixels are decoded: format, size and mode are known and allowed.

    Arguments:
        path: names the file in messages.
        pixel_limit: most pixels (width times height); `None`: any number.

    Raises:
        UnreadablePictureError: no picture, above the limit, or of an unsupported kind.
    """
    if (size := _webp_size(content)) is not None:
        _check_limit(path, size, pixel_limit)
    # Broken files make decoders raise nearly anything, struct.error and SyntaxError included.
    try:
        image = _open(content)
    except Exception as error:
        if content.startswith(_LFS_POINTER):
            refuse(path, "Git LFS left a pointer instead of the file; run git lfs pull where it was checked out")
        raise UnreadablePictureError(path, "the file is not a picture of a known format, or damaged") from error
    _check_limit(path, image.size, pixel_limit)
    if image.mode not in _READABLE_MODES:
        refuse(path, f"pictures of pixel format {image.mode} are not supported; convert it to 8 or 16 bits")
    return image


def decode(path: str, image: Image.Image) -> None:
    """Decode all pixels of what `open_picture` gave, in place; they still lie as in the file.

    Raises:
        UnreadablePictureError: the file is truncated or damaged, or holds values beyond 16 bits.
    """
    try:
        image.load()
        orientation_of(image)
    except Exception as error:
        raise UnreadablePictureError(path, f"the file is truncated or damaged ({first_line(error)})") from error
    # Some decoders learn the pixel format while they decode.
    if image.mode not in _READABLE_MODES:
        refuse(path, f"pictures of pixel format {image.mode} are not supported; convert it to 8 or 16 bits")
    if image.mode == "I":
        low, high = image.getextrema()
        if low < 0 or high > 65535:  # type: ignore[operator]  # one channel: two numbers, which Pillow does not declare
            refuse(path, "its 32-bit values exceed the range 0..65535; convert it to 8 or 16 bits")


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; what is none counts as 1, as in viewers."""
    orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    return orientation if orientation in _METHODS else 1


def upright(image: Image.Image) -> Image.Image:
    """A decoded image as its EXIF orientation shows it; the same object where there is nothing to turn."""
    orientation = orientation_of(image)
    return image if orientation == 1 else image.transpose(_METHODS[orientation])


def over_black(image: Image.Image) -> Image.Image:
    """As RGB; transparent parts show black. An RGB image comes back itself."""
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    canvas = Image.new("RGBA", image.size, (0, 0, 0, 255))
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas.convert("RGB")


def is_lossy(image: Image.Image, content: bytes) -> bool:
    """Whether the file's compression may have changed values; asked of what `open_picture` gave."""
    if image.format in _LOSSLESS_FORMATS:
        return False
    if image.format == "TIFF":
        return image.info.get("compression") in _LOSSY_TIFF
    if image.format == "WEBP":
        # The lossless bitstream has a chunk of its own name, maybe behind an extended header.
        return b"VP8L" not in content[:4096] or b"VP8 " in content[:4096]
    if image.format == "JPEG2000":
        # The byte of marker COD that names the wavelet: 1 is the reversible one.
        marker = content.find(b"\xff\x52\x00")
        return marker < 0 or content[marker + 13 : marker + 14] != b"\x01"
    return True


def kind_of_file(image: Image.Image) -> str:
    """How a picture was saved, for people: its format and, of a JPEG, the quality as most programs count it.

    The quality is the one for which libjpeg's scaling of the standard's luminance table comes nearest in sum, which
    does not depend on the order in which a decoder lists the table.
    """
    if image.format not in ("JPEG", "MPO"):
        return image.format or "unknown format"
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    if not tables.get(0):
        return "JPEG"
    found = sum(tables[0])
    return f"JPEG of quality {min(range(1, 101), key=lambda quality: abs(_luminance_sum(quality) - found))}"


@cache
def _luminance_sum(quality: int) -> int:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(min(max((value * scale + 50) // 100, 1), 255) for value in _LUMINANCE)


def opened_bytes(content: bytes) -> int:
    """About how many bytes of memory `open_picture` takes besides the content: WebP's decoder makes its canvas then."""
    width, height = _webp_size(content) or (0, 0)
    return 12 * width * height


def decoded_bytes(image: Image.Image) -> int:
    """About how many bytes of memory `open_picture` and `decode` take together."""
    # Pillow keeps pictures of several channels in four bytes a pixel, two channels included.
    width = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}.get(image.mode, 4)
    if image.format == "JPEG2000":
        # OpenJPEG holds 32 bits for every channel of every pixel.
        width += 4 * max(len(image.getbands()), 3)
    elif image.format in ("WEBP", "AVIF"):
        # The decoder's canvas, its copy for Python, and the image.
        width = 12
    elif image.format == "TIFF":
        # Strips may be as large as the picture.
        width *= 2
    elif image.info.get("progressive") or image.info.get("progression"):
        # Coefficients of all channels, 16 bits each, until the last scan was read.
        width += 2 * len(image.getbands())
    return width * image.width * image.height


def refuse(path: str, reason: str) -> NoReturn:
    """Raise `UnreadablePictureError`."""
    raise UnreadablePictureError(path, reason)


def _check_limit(path: str, size: tuple[int, int], pixel_limit: int | None) -> None:
    pixels = size[0] * size[1]
    if pixel_limit is not None and pixels > pixel_limit:
        raise TooManyPixelsError(
            path,
            f"{size[0]} x {size[1]} = {pixels} pixels are more than --pixel-limit {pixel_limit}; "
            f"raise the limit if memory allows",
        )


def _webp_size(content: bytes) -> tuple[int, int] | None:
    """Width and height out of the header of a WebP file; `None` for other files."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(content) < 30:
        return None
    kind = content[12:16]
    if kind == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(content[26:28], "little") & 0x3FFF, int.from_bytes(content[28:30], "little") & 0x3FFF


def _open(content: bytes) -> Image.Image:
    # Pillow's own limit is global and its error comes before the size can be asked for, so it steps aside for ours.
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(content))
        finally:
            Image.MAX_IMAGE_PIXELS = limit
