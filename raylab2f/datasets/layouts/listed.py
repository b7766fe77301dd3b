"""Places of pictures as a data set's own lists name them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from raylab2f.errors import UserError

__all__ = ["place_below"]


def place_below(base: Path, place: str, folder: Path, where: str) -> Path:
    """The file at a relative path.

    Arguments:
        base: folder where the path starts.
        place: the path as listed, with slashes of either kind.
        folder: in which the file must lie.
        where: the list and the place in it, for the message.

    Raises:
        UserError: the path is absolute, climbs up, or leads out of the folder.
    """
    relative = PurePosixPath(place.strip().replace("\\", "/"))
    path = base / relative
    if relative.is_absolute() or ".." in relative.parts or not path.is_relative_to(folder) or path == folder:
        raise UserError(f"{where} names {place or 'no file'}, which is not a file below {folder}.")
    return path
