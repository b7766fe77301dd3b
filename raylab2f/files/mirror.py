"""Runs and caches on an object store: every process works in a local mirror of them and publishes what it wrote.

A place (`files.places`) that is a local path is its own mirror, and nothing here does anything. The mirror of a URI
lies below RAYLAB2F_MIRROR, by default in the user's cache folder; it may be deleted whenever nothing runs.

- The store is the truth: `fetch` takes over what is missing or differs, and deletes copies of what the store no longer
  has. A file is taken as the same if size and time agree: a copy carries the store's time, in whole seconds, which no
  file has that was written here (as rsync does it; no record is kept that could go wrong).
- A file appears whole or not at all, there (a store shows an object when its upload is complete) and here.
- Files that mark a folder as finished go last, in both directions, so a half-transferred folder is an unfinished one.
  A copy that is not what the mark's sha256 says is left out, as if it were missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.fs

from raylab2f.errors import UserError
from raylab2f.files.atomic import atomic_path
from raylab2f.files.home import user_cache
from raylab2f.files.marks import rank_of, recorded_digests
from raylab2f.files.places import file_exists, filesystem, is_uri, join, name_of, parent_of, require_store, store_errors

__all__ = ["erase", "fetch", "fetch_file", "local", "publish", "remove", "repair"]

_THREADS = 8
_BLOCK = 1 << 23


def local(place: str | Path) -> Path:
    """Where this machine has a place's files: the place itself, or its mirror."""
    if not is_uri(place):
        return Path(place)
    parts = urlsplit(str(place))
    root = os.environ.get("RAYLAB2F_MIRROR") or user_cache("RAYLAB2F_MIRROR") / "mirror"
    endpoints = [parts.query, *(os.environ.get(name, "") for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))]
    store = hashlib.sha256("\n".join(endpoints).encode()).hexdigest()[:8]
    return Path(root, f"{parts.scheme}-{store}", parts.netloc) / unquote(parts.path).lstrip("/")


def fetch(place: str | Path, names: Sequence[str] | None = None, *, alone: bool = False) -> Path:
    """The local folder with what the store has at a place. Several processes may fetch the same at the same time.

    Arguments:
        names: files below the place, `*` standing for any characters; `None`: all.
        alone: nobody else on this machine works there, so that what was written here but never published is a killed
            process's and is deleted.

    Raises:
        UserError: the store cannot be read.
    """
    folder = local(place)
    if not is_uri(place):
        return folder
    place = str(place)
    there, here = _on_store(place, names), _in_mirror(folder, names)
    for name, path in here.items():
        if name not in there and (alone or _is_copy(path)):
            path.unlink(missing_ok=True)
    missing = {name: info for name, info in there.items() if name not in here or not _same(here[name], info)}
    if not missing:
        return folder
    # Marks are read first, for they say what the others hold, and written last.
    marks = {name: _read(place, name) for name in missing if rank_of(name) > 1}
    digests: dict[str, str] = {}
    for name in there:
        if rank_of(name) > 1:
            content = marks[name] if name in marks else here[name].read_bytes()
            digests |= recorded_digests(name, content or b"")

    def download(name: str) -> None:
        _download(place, name, missing[name], folder / name, digests.get(name))

    _in_order(download, [name for name in missing if name not in marks])
    for name in sorted(marks, key=rank_of):
        content = marks[name]
        if content is not None:
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(content)
                _stamp(temporary, missing[name])
    return folder


def fetch_file(place: str | Path) -> Path:
    """The local copy of one file, which need not exist."""
    if not is_uri(place):
        return Path(place)
    return fetch(parent_of(place), [name_of(place)]) / name_of(place)


def publish(place: str | Path, names: Sequence[str] | None = None) -> None:
    """Bring to the store what was written in a place's mirror and is not there yet; marks of finished folders last.

    Arguments:
        names: as in `fetch`.

    Raises:
        UserError: the store cannot be written.
    """
    if not is_uri(place):
        return
    place = str(place)
    there, here = _on_store(place, names), _in_mirror(local(place), names)
    changed = [name for name, path in here.items() if name not in there or not _same(path, there[name])]
    if not changed:
        return
    written = {name: here[name].stat().st_mtime_ns for name in changed}
    _in_order(lambda name: _upload(place, name, here[name]), changed)
    for name, info in _on_store(place, changed).items():
        path = here[name]
        # What was written anew meanwhile is no copy.
        if path.exists() and path.stat().st_mtime_ns == written[name]:
            _stamp(path, info)


def remove(place: str | Path, *names: str) -> None:
    """Delete files of a folder, here and on the store; those that do not exist are no error."""
    for name in names:
        (local(place) / name).unlink(missing_ok=True)
        if is_uri(place) and file_exists(join(place, *name.split("/"))):
            store, base = filesystem(str(place))
            with store_errors(str(place)):
                store.delete_file(f"{base}/{name}")


def erase(place: str | Path) -> None:
    """Delete a folder with all that is in it, here and on the store; what cannot be deleted stays."""
    shutil.rmtree(local(place), ignore_errors=True)
    if is_uri(place):
        store, base = filesystem(str(place))
        try:
            store.delete_dir(base)
        except (OSError, pa.ArrowException):
            return


def repair(place: str | Path, drop: Callable[[Path], list[str]]) -> list[str]:
    """Fetch a folder and let `drop` delete what is damaged in it, from the store as well.

    Arguments:
        drop: called with the local folder; deletes damaged files with what marks them as whole, returns their names.

    Returns:
        The names of the files that are damaged at the place itself, not only in this machine's copy.
    """
    folder = fetch(place)
    damaged = drop(folder)
    if not damaged or not is_uri(place):
        return damaged
    for name in damaged:
        (folder / name).unlink(missing_ok=True)
    before = set(_in_mirror(fetch(place), None))
    damaged = drop(folder)
    gone = {*damaged, *(before - set(_in_mirror(folder, None)))}
    remove(place, *sorted(gone, key=rank_of, reverse=True))
    return damaged


def _on_store(place: str, names: Sequence[str] | None) -> dict[str, pa.fs.FileInfo]:
    """Files below a place by their names."""
    store, base = filesystem(place)
    with store_errors(place):
        if names is None or any("*" in name for name in names):
            found = store.get_file_info(pa.fs.FileSelector(base, recursive=True, allow_not_found=True))
        else:
            found = store.get_file_info([f"{base}/{name}" for name in names])
    files = {info.path[len(base) + 1 :]: info for info in found if info.type == pa.fs.FileType.File}
    if not files:
        require_store(place)
    return {name: info for name, info in files.items() if _wanted(name, names)}


def _in_mirror(folder: Path, names: Sequence[str] | None) -> dict[str, Path]:
    paths = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    return {name: path for name, path in paths.items() if _wanted(name, names)}


def _files(folder: Path) -> Iterator[Path]:
    # Not rglob, which stumbles over temporary files that vanish.
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _wanted(name: str, names: Sequence[str] | None) -> bool:
    """Hidden files are temporary ones, and names that lead elsewhere are nobody's of ours."""
    if any(part.startswith(".") or not part for part in name.split("/")):
        return False
    return names is None or any(_fits(name, pattern) for pattern in names)


def _fits(name: str, pattern: str) -> bool:
    # Not fnmatch, to which brackets and question marks in a name mean something.
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


def _in_order(work: Callable[[str], None], names: Sequence[str]) -> None:
    """Do the work for all names of one rank at a time."""
    for rank in sorted({rank_of(name) for name in names}):
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="store") as pool:
            try:
                list(pool.map(work, [name for name in names if rank_of(name) == rank]))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


class _NotAsRecordedError(Exception):
    """A download does not have the sha256 that its folder's mark says."""


def _download(place: str, name: str, info: pa.fs.FileInfo, target: Path, digest: str | None) -> None:
    store, base = filesystem(place)
    seen = hashlib.sha256()
    try:
        with atomic_path(target) as temporary, temporary.open("wb") as file:
            with store_errors(place):
                stream = store.open_input_stream(f"{base}/{name}")
            while True:
                with store_errors(place):
                    block = stream.read(_BLOCK)
                if not block:
                    break
                seen.update(block)
                file.write(block)
            if file.tell() != info.size:
                raise UserError(f"{join(place, name)} changed or broke off while it was read; run the command again.")
            if digest is not None and seen.hexdigest() != digest:
                raise _NotAsRecordedError
            file.flush()
            _stamp(temporary, info)
    except FileNotFoundError:
        # Deleted since it was listed.
        return
    except _NotAsRecordedError:
        target.unlink(missing_ok=True)


def _read(place: str, name: str) -> bytes | None:
    store, base = filesystem(place)
    try:
        with store_errors(place), store.open_input_stream(f"{base}/{name}") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _upload(place: str, name: str, path: Path) -> None:
    store, base = filesystem(place)
    with path.open("rb") as file, store_errors(place), store.open_output_stream(f"{base}/{name}") as stream:
        while block := file.read(_BLOCK):
            stream.write(block)


def _same(path: Path, info: pa.fs.FileInfo) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return found.st_size == info.size and found.st_mtime_ns == _time(info)


def _is_copy(path: Path) -> bool:
    try:
        return path.stat().st_mtime_ns % 10**9 == 0
    except FileNotFoundError:
        return False


def _stamp(path: Path, info: pa.fs.FileInfo) -> None:
    os.utime(path, ns=(_time(info), _time(info)))


def _time(info: pa.fs.FileInfo) -> int:
    """When a file on the store was written, in nanoseconds but to the second: listings and single answers agree."""
    return int(info.mtime_ns) // 10**9 * 10**9
