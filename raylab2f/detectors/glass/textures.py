"""Where the textures come from that imitate local defects."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.errors import UserError

__all__ = ["Textures"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
# Photographs inside the installed scikit-image, none of which it would have to download: surfaces, and scenes rich
# in texture.
_BUNDLED = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
_IN_MEMORY = 512


class Textures:
    """Pictures of a folder and its sub-folders, or by default photographs that scikit-image carries.

    Arguments:
        folder: for instance that of the Describable Textures Dataset (Cimpoi et al., CVPR 2014), in any layout; `None`:
            the default ones.
        size: height and width of what `load` returns.

    Raises:
        UserError: the folder is absent or holds no picture; the installed scikit-image lacks one of the default ones.
    """

    def __init__(self, folder: str | None, size: tuple[int, int]) -> None:
        self.size = size
        self.paths = _bundled() if folder is None else _in_folder(Path(folder))
        self.load = lru_cache(maxsize=_IN_MEMORY)(self._load)

    def __len__(self) -> int:
        return len(self.paths)

    def _load(self, index: int) -> NDArray[np.uint8]:
        """Texture number `index`, scaled to cover the size and cut around its centre: (*size, 3) uint8 RGB."""
        picture = cv2.imdecode(np.fromfile(self.paths[index], np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise UserError(f"--set textures: {self.paths[index]} cannot be read as a picture; remove it.")
        height, width = self.size
        scale = max(height / picture.shape[0], width / picture.shape[1])
        covering = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
        resized = cv2.resize(picture, covering, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        top, left = (resized.shape[0] - height) // 2, (resized.shape[1] - width) // 2
        return np.ascontiguousarray(resized[top : top + height, left : left + width, ::-1], dtype=np.uint8)


def _bundled() -> list[Path]:
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    paths = [folder / name for name in _BUNDLED]
    # Fewer would train another detector, and nothing would say so.
    if missing := [path.name for path in paths if not path.is_file()]:
        raise UserError(
            f"The installed scikit-image comes without {', '.join(missing)}, of which GLASS makes textures; install "
            "another version of it, or give a folder of pictures with --set textures=FOLDER."
        )
    return paths


def _in_folder(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"--set textures={folder}: there is no such folder.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise UserError(f"--set textures={folder}: the folder holds no pictures; give one that does.")
    return paths
