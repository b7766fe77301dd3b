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
"""

from __future__ import annotations

import hashlib
import io
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from raylab2f.errors import UserError
from raylab2f.files.places import place_of, read_file

__all__ = ["PIXEL_LIMIT", "FileFacts", "UnreadablePictureError", "probe_file", "read_mask", "read_picture"]

PIXEL_LIMIT = 100_000_000

_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_READABLE_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", *_DEEP_MODES)
_OPENING = threading.Lock()


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


@dataclass(frozen=True)
class FileFacts:
    """What one reading of a file tells.

    Attributes:
        width, height: pixels, after EXIF orientation.
        sha256: of the file's bytes, hexadecimal.
        peak: highest value of a 16-bit grey picture, `None` for others.
    """

    width: int
    height: int
    sha256: str
    peak: int | None


def read_picture(path: str | Path, pixel_limit: int = PIXEL_LIMIT) -> NDArray[np.uint8]:
    """A picture as 8-bit RGB of shape (height, width, 3), converted as the module's documentation says.

    Arguments:
        path: a local file, or a URI that `pyarrow.fs` opens.
        pixel_limit: most pixels (width times height) that are decoded.

    Raises:
        UnreadablePictureError: the file is absent, empty, truncated, damaged, of an unsupported kind, or above the
            limit.
    """
    content = _read_bytes(str(path))
    image = _decode(str(path), content, pixel_limit)
    if image.mode in _DEEP_MODES:
        grey = _to_eight_bits(np.asarray(image))
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    return np.array(_over_black(image))


def read_mask(path: str | Path, pixel_limit: int | None = None) -> NDArray[np.bool_]:
    """A mask of shape (height, width), true where marked.

    A mask whose highest value reaches half of its file's range is taken as black and white, perhaps with soft edges or
    compression noise: values of at least half of the range are marked. Otherwise its values are taken as class numbers:
    every value but 0 is marked. Of coloured masks the highest channel counts.

    Arguments:
        path: a local file, or a URI that `pyarrow.fs` opens.
        pixel_limit: as in `read_picture`; by default none, for `load_dataset` has compared it with its picture.

    Raises:
        UnreadablePictureError: as in `read_picture`.
    """
    image = _decode(str(path), _read_bytes(str(path)), pixel_limit)
    deep = image.mode in _DEEP_MODES
    if deep or (image.mode == "L" and not image.has_transparency_data):
        values = np.asarray(image)
    else:
        values = np.asarray(_over_black(image)).max(axis=2)
    half = 2**15 if deep else 2**7
    return values >= (half if values.max() >= half else 1)


def probe_file(path: str | Path, pixel_limit: int | None = PIXEL_LIMIT) -> FileFacts:
    """Size, checksum and the proof that a picture or mask can be decoded whole, from one reading of the file.

    Raises:
        UnreadablePictureError: as in `read_picture`.
    """
    content = _read_bytes(str(path))
    image = _decode(str(path), content, pixel_limit)
    peak = int(np.asarray(image).max()) if image.mode in _DEEP_MODES else None
    return FileFacts(image.width, image.height, hashlib.sha256(content).hexdigest(), peak)


def _read_bytes(path: str) -> bytes:
    try:
        content = read_file(place_of(path))
    except FileNotFoundError:
        _refuse(path, "the file does not exist")
    except (OSError, UserError) as error:
        _refuse(path, f"the file cannot be opened ({str(error).rstrip('.')})")
    if not content:
        _refuse(path, "the file is empty")
    return content


def _decode(path: str, content: bytes, pixel_limit: int | None) -> Image.Image:
    """The whole picture in one of `_READABLE_MODES`, upright."""
    # Broken files make decoders raise nearly anything, struct.error and SyntaxError included.
    try:
        image = _open(content)
    except Exception as error:
        raise UnreadablePictureError(path, "the file is not a picture of a known format, or damaged") from error
    pixels = image.width * image.height
    if pixel_limit is not None and pixels > pixel_limit:
        _refuse(
            path,
            f"{image.width} x {image.height} = {pixels} pixels are more than --pixel-limit {pixel_limit}; "
            f"raise the limit if memory allows",
        )
    if image.mode not in _READABLE_MODES:
        _refuse(path, f"pictures of pixel format {image.mode} are not supported; convert it to 8 or 16 bits")
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
    except Exception as error:
        raise UnreadablePictureError(path, f"the file is truncated or damaged ({error})") from error
    if image.mode == "I":
        low, high = image.getextrema()
        if low < 0 or high > 65535:  # type: ignore[operator]  # one channel: two numbers, which Pillow does not declare
            _refuse(path, "its 32-bit values exceed the range 0..65535; convert it to 8 or 16 bits")
    return image


def _open(content: bytes) -> Image.Image:
    # Pillow's own limit is global and its error comes before the size can be asked for, so it steps aside for ours.
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(content))
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _over_black(image: Image.Image) -> Image.Image:
    """As RGB; transparent parts show black."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    canvas = Image.new("RGBA", image.size, (0, 0, 0, 255))
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas.convert("RGB")


def _to_eight_bits(values: NDArray[np.integer]) -> NDArray[np.uint8]:
    # 257 maps 65535 to 255 exactly; half of it rounds to nearest.
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _refuse(path: str, reason: str) -> NoReturn:
    raise UnreadablePictureError(path, reason)
