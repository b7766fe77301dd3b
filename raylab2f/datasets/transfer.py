"""One file over HTTP: resumed where the server can, verified, and under its name only when it is whole."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from raylab2f import __version__
from raylab2f.datasets.catalogue import RemoteFile
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json

__all__ = ["Patience", "Progress", "check_room", "digests", "fetch_file"]

Progress = Callable[[int, int], None]

_CHUNK = 1 << 18
_LONGEST_WAIT = 60.0
# Timeouts, overload and the server's own failures pass; the rest of 4xx does not.
_PASSING = {408, 425, 429, *range(500, 600)}


@dataclass(frozen=True)
class Patience:
    """How long to keep trying.

    Arguments:
        attempts: failures in a row, none of which brought a new byte, until an address is given up.
        wait: seconds before the first new attempt; each further failure doubles it, up to a minute.
        timeout: seconds without an answer or a byte that count as a failure.
    """

    attempts: int = 5
    wait: float = 1.0
    timeout: float = 60.0


_DEFAULT_PATIENCE = Patience()


def fetch_file(
    file: RemoteFile, path: Path, *, progress: Progress | None = None, patience: Patience = _DEFAULT_PATIENCE
) -> None:
    """Fetch `file` to `path`; a file that is there and is the right one is left alone.

    What arrives goes to `path` + ".part", beside it `path` + ".part.json" with the server's version mark (ETag or
    modification date). A later call goes on from there with a Range request that the server answers in part only if
    the file is still the same (If-Range); without a mark and without a published checksum it begins anew. A part
    that was resumed and turns out wrong is thrown away and fetched once more as a whole.

    Arguments:
        file: what to fetch and what to check it against.
        path: where to put it; its folder exists.
        progress: called with (bytes here, bytes in all; 0 while the server has not said).
        patience: see `Patience`.

    Raises:
        UserError: no address answers, another checksum or size than published, or no room.
    """
    if path.exists():
        if _fault(path, file) is None:
            if progress is not None:
                progress(path.stat().st_size, path.stat().st_size)
            return
        path.unlink()
    part = _Part(path)
    resumed = _fill(file.addresses, file, part, progress, patience)
    fault = _fault(part.path, file)
    if fault is not None and resumed:
        part.discard()
        _fill(file.addresses, file, part, progress, patience)
        fault = _fault(part.path, file)
    if fault is not None:
        part.discard()
        raise UserError(f"{file.addresses[0]}: {fault}; try again later, or ask whoever publishes it.")
    part.path.replace(path)
    part.discard()


def digests(path: Path, *algorithms: str) -> dict[str, str]:
    """Hexadecimal digests of a file by `hashlib`'s names of the algorithms."""
    hashes = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for one in hashes.values():
                one.update(chunk)
    return {algorithm: one.hexdigest() for algorithm, one in hashes.items()}


def check_room(folder: Path, name: str, needed: int) -> None:
    """Raise UserError unless `needed` more bytes fit into the file system of `folder`."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: {name} takes {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "make room or choose another folder."
        )


class _AddressFailed(Exception):
    """An address that need not be tried again; the message says why."""


class _Part:
    """The bytes that are here so far, and what they are of."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".part")
        self._notes = path.with_name(path.name + ".part.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def remember(self, notes: _Notes) -> None:
        write_json(self._notes, asdict(notes))

    def notes(self) -> _Notes | None:
        try:
            return _Notes(**json.loads(self._notes.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


@dataclass(frozen=True)
class _Notes:
    address: str
    mark: str | None
    total: int | None


def _fill(
    addresses: tuple[str, ...], file: RemoteFile, part: _Part, progress: Progress | None, patience: Patience
) -> bool:
    """Complete the part from the first address that lets us; True if it was put together from several answers."""
    try:
        return _fill_from(addresses[0], file, part, progress, patience)
    except _AddressFailed as error:
        if len(addresses) > 1:
            return _fill(addresses[1:], file, part, progress, patience)
        raise UserError(f"{addresses[0]}: {error}; try again later, or look for a new address on its page.") from error


def _fill_from(address: str, file: RemoteFile, part: _Part, progress: Progress | None, patience: Patience) -> bool:
    most = part.size()
    failures = 0
    while True:
        pause = 0.0
        try:
            return _transfer(address, file, part, progress, patience.timeout)
        except HTTPError as error:
            error.close()
            reason = f"the server answered {error.code} {error.reason}"
            if error.code not in _PASSING:
                raise _AddressFailed(reason) from error
            after = error.headers.get("Retry-After", "")
            pause = float(after) if after.isdecimal() else 0.0
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", "") or error or type(error).__name__)
            if isinstance(error, URLError) and urlsplit(address).scheme == "file":
                raise _AddressFailed(reason) from error
        # Only bytes beyond the most we ever had count: a server that cannot resume brings the same ones again.
        failures = 0 if part.size() > most else failures + 1
        most = max(most, part.size())
        if failures >= patience.attempts:
            raise _AddressFailed(f"{reason} ({failures} attempts)")
        time.sleep(min(max(pause, patience.wait * 2 ** max(0, failures - 1)), _LONGEST_WAIT))


def _transfer(address: str, file: RemoteFile, part: _Part, progress: Progress | None, timeout: float) -> bool:
    """One request; True if it went on from bytes that were here."""
    have, notes = part.size(), part.notes()
    same = notes is not None and notes.address == address
    mark = notes.mark if notes is not None and same else None
    if have and not mark and file.checksum is None:
        have = 0
    if have and notes is not None and have == notes.total:
        return True
    headers = {"User-Agent": f"raylab2f/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if mark:
            headers["If-Range"] = mark
    try:
        response = _OPENER.open(urllib.request.Request(address, headers=headers), timeout=timeout)
    except HTTPError as error:
        if error.code == 416 and have:
            part.discard()
            raise ConnectionError("the server has fewer bytes than were fetched before") from error
        raise
    with response:
        start = 0
        total = _whole_number(response.headers.get("Content-Length"))
        if getattr(response, "status", None) == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
            start, total = (int(found[1]), int(found[2])) if found else (-1, None)
            if start != have or (notes is not None and notes.total not in (None, total)):
                part.discard()
                raise ConnectionError("the server sent another part than it was asked for")
        if total is not None:
            check_room(part.path.parent, file.name, total - start)
        if not start:
            part.discard()
            part.remember(_Notes(address, _version_mark(response.headers), total))
        done = _append(response, part, start, total, progress)
    if total is not None and done < total:
        raise ConnectionError(f"the connection was lost after {done} of {total} bytes")
    if progress is not None:
        progress(done, done)
    return start > 0


def _append(response: Any, part: _Part, start: int, total: int | None, progress: Progress | None) -> int:
    done = start
    with part.path.open("ab") as out:
        # read1 hands over what has arrived, so a connection that breaks loses nothing.
        while chunk := response.read1(_CHUNK):
            try:
                out.write(chunk)
                out.flush()
            except OSError as error:
                raise UserError(
                    f"{part.path}: cannot be written ({error.strerror}); make room or choose another folder."
                ) from error
            done += len(chunk)
            if progress is not None:
                progress(done, total or 0)
    return done


def _fault(path: Path, file: RemoteFile) -> str | None:
    if file.size is not None and path.stat().st_size != file.size:
        return f"has {path.stat().st_size} bytes where {file.size} are published"
    if file.checksum is not None:
        algorithm, _, published = file.checksum.partition(":")
        found = digests(path, algorithm)[algorithm]
        if found != published:
            return f"has the {algorithm} checksum {found} where {published} is published"
    return None


def _version_mark(headers: Message) -> str | None:
    """What If-Range may name: an ETag unless it is a weak one, else the date."""
    tag = headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    return headers.get("Last-Modified")


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but not from https to anything less."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("https", "http") or (req.type == "https" and scheme == "http"):
            raise HTTPError(req.full_url, code, f"a redirect to {newurl}, which is not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """urllib's usual opener without ftp and data addresses."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.FileHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


_OPENER = _opener()
