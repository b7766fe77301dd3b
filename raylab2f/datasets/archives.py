"""Unpack an archive that a stranger packed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from raylab2f.errors import UserError
from raylab2f.files.permissions import make_folders, share_below

__all__ = ["ARCHIVE_SUFFIXES", "ExtractionLimits", "extract_archive"]

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")

_CHUNK = 1 << 20


@dataclass(frozen=True)
class ExtractionLimits:
    """When an archive is taken for a bomb.

    Arguments:
        total_bytes: most bytes it may unpack to.
        members: most files and folders.
        ratio: most bytes out for a byte of archive, over the whole archive: single masks compress a thousandfold.
        ratio_from_bytes: unpacked size below which the ratio does not matter.
    """

    total_bytes: int = 100 * 2**30
    members: int = 1_000_000
    ratio: float = 100.0
    ratio_from_bytes: int = 64 * 2**20


_DEFAULT_LIMITS = ExtractionLimits()


def extract_archive(path: Path, destination: Path, *, limits: ExtractionLimits = _DEFAULT_LIMITS) -> Path:
    """Unpack a zip or a tar (plain, gzip, xz, bzip2) into `destination`, whole or not at all.

    The kind is told from the content, not the name. Only regular files and folders are written, under fresh names
    inside `destination`, with default permissions; what macOS adds for itself (`__MACOSX`, `._*`, `.DS_Store`) is
    left out. Everything goes to a temporary folder beside `destination`, which is renamed at the end.

    Arguments:
        path: the archive.
        destination: a folder that does not exist yet, or is empty.
        limits: see `ExtractionLimits`.

    Raises:
        UserError: not an archive, damaged or encrypted; a member that would land elsewhere, is a link or a device, or
            comes twice; a limit exceeded; no room; a destination in use.
    """
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise UserError(f"{destination}: is in use already; remove it or unpack {path.name} elsewhere.")
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        make_folders(temporary)
        _Extraction(path, temporary, limits).run()
        if destination.exists():
            destination.rmdir()
        share_below(temporary)
        temporary.rename(destination)
    except _DAMAGE as error:
        raise UserError(f"{path}: is damaged ({error or type(error).__name__}); fetch it again.") from error
    except NotImplementedError as error:
        raise UserError(f"{path}: is packed in a way not known here ({error}); unpack it by hand.") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be unpacked into {destination} ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return destination


# The last three: zipfile and tarfile let them through where a damaged header cannot be read.
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    ValueError,
    struct.error,
    RecursionError,
)

_COMPRESSIONS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
}


class _Extraction:
    """One archive on its way into `folder`, with the account that the limits are held against."""

    def __init__(self, path: Path, folder: Path, limits: ExtractionLimits) -> None:
        self.path = path
        self.folder = folder
        self.limits = limits
        self.packed_bytes = path.stat().st_size
        self.unpacked_bytes = 0
        self.members = 0

    def run(self) -> None:
        with self.path.open("rb") as file:
            start = file.read(262)
        if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            self._unzip()
            return
        for magic, opener in _COMPRESSIONS.items():
            if start.startswith(magic):
                with opener(self.path) as stream:
                    self._untar(stream)
                return
        if start[257:262] != b"ustar":
            raise UserError(f"{self.path}: is neither a zip nor a tar archive; look at what was downloaded.")
        with self.path.open("rb") as stream:
            self._untar(stream)

    def _unzip(self) -> None:
        with zipfile.ZipFile(self.path) as archive:
            infos = archive.infolist()
            self._hold_to_directory(len(infos))
            # The directory says what is to come: refuse before anything is written.
            claimed = sum(info.file_size for info in infos)
            self._hold_to_limits(claimed, len(infos))
            free = shutil.disk_usage(self.folder).free
            if claimed > free:
                raise UserError(
                    f"{self.folder.parent}: unpacking {self.path.name} takes {claimed / 1e9:.1f} GB and "
                    f"{free / 1e9:.1f} GB are free; make room or choose another folder."
                )
            for info in infos:
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise self._refusal(info.filename, "a link or a device")
                if info.flag_bits & 1:
                    raise UserError(f"{self.path}: is encrypted; unpack it by hand.")
                if not info.filename:
                    raise self._refusal(info.filename, "without a name")
                if info.is_dir():
                    self._add_folder(info.filename)
                    continue
                with archive.open(info) as stream:
                    self._add_file(info.filename, stream)

    def _hold_to_directory(self, members: int) -> None:
        """Hold what zipfile found to the number at the archive's end: a wrong length in the directory hides members."""
        with self.path.open("rb") as file:
            file.seek(-min(self.packed_bytes, 22 + 0xFFFF), os.SEEK_END)
            tail = file.read()
        (stated,) = struct.unpack_from("<H", tail, tail.rfind(b"PK\x05\x06") + 10)
        # The largest number there is means that the true one stands elsewhere.
        if stated not in (members & 0xFFFF, 0xFFFF):
            raise zipfile.BadZipFile(f"its directory lists {members} of {stated} members")

    def _untar(self, stream: IO[bytes]) -> None:
        metered = _Metered(stream, self)
        with tarfile.open(fileobj=metered, mode="r:") as archive:  # type: ignore[call-overload]  # reads and seeks
            for info in archive:
                if info.isdir():
                    self._add_folder(info.name)
                elif info.isreg():
                    content = archive.extractfile(info)
                    assert content is not None
                    with content:
                        self._add_file(info.name, content)
                else:
                    raise self._refusal(info.name, "a link or a device")
            # tarfile takes a torn or overwritten header for the end; a real end is a block of zeros.
            if metered.last_read != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("it ends before its end mark")
            # The checksum of the compression stands at its very end.
            while metered.read(_CHUNK):
                pass

    def _add_folder(self, name: str) -> None:
        self._hold_to_limits(self.unpacked_bytes, self.members + 1)
        self.members += 1
        self._place(name).mkdir(parents=True, exist_ok=True)

    def _add_file(self, name: str, stream: IO[bytes]) -> None:
        self._hold_to_limits(self.unpacked_bytes, self.members + 1)
        self.members += 1
        place = self._place(name)
        relative = place.relative_to(self.folder)
        if relative.parts[:1] == ("__MACOSX",) or place.name.startswith("._") or place.name == ".DS_Store":
            return
        if place == self.folder:
            raise self._refusal(name, "without a name")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            out = place.open("xb")
        except (FileExistsError, NotADirectoryError) as error:
            raise self._refusal(name, "there twice") from error
        with out:
            while chunk := stream.read(_CHUNK):
                self.unpacked_bytes += len(chunk)
                self._hold_to_limits(self.unpacked_bytes, self.members)
                out.write(chunk)

    def _place(self, name: str) -> Path:
        """Where a member goes: inside the folder, whatever its name."""
        # Some Windows programs write backslashes into zip files.
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        if name.startswith(("/", "\\")) or any(part == ".." or re.match("[A-Za-z]:|.*\x00", part) for part in parts):
            raise self._refusal(name, "meant for a place outside the archive's folder")
        return self.folder.joinpath(*parts)

    def _hold_to_limits(self, unpacked_bytes: int, members: int) -> None:
        limits = self.limits
        if members > limits.members:
            raise self._bomb(f"more than {limits.members} members")
        if unpacked_bytes > limits.total_bytes:
            raise self._bomb(f"more than {limits.total_bytes / 1e9:.1f} GB")
        if unpacked_bytes > max(limits.ratio_from_bytes, limits.ratio * self.packed_bytes):
            raise self._bomb(f"more than {limits.ratio:g} times its size")

    def _bomb(self, reason: str) -> UserError:
        return UserError(f"{self.path}: unpacks to {reason}; if you trust it, unpack it by hand.")

    def _refusal(self, member: str, reason: str) -> UserError:
        return UserError(f"{self.path}: its member {member!r} is {reason}; do not trust this archive.")


class _Metered:
    """The bytes inside a compression, read forwards only and held to the limits.

    A tar's headers are read whole into memory and never become a file, so the account of written bytes misses them.
    """

    def __init__(self, stream: IO[bytes], extraction: _Extraction) -> None:
        self.stream = stream
        self.extraction = extraction
        self.position = 0
        self.last_read = b""

    def read(self, size: int) -> bytes:
        if size > 16 * _CHUNK:
            raise self.extraction._bomb("headers of gigabytes")
        self.last_read = self.stream.read(size)
        self.position += len(self.last_read)
        # Headers and padding: half a kilobyte or so a member, on top of what the files may take.
        overhead = 4096 * (self.extraction.members + 16) + 16 * _CHUNK
        self.extraction._hold_to_limits(max(0, self.position - overhead), self.extraction.members)
        return self.last_read

    def tell(self) -> int:
        return self.position

    def seek(self, position: int) -> int:
        if position < self.position:
            raise tarfile.ReadError("its members overlap")
        while self.position < position and self.read(min(_CHUNK, position - self.position)):
            pass
        return self.position
