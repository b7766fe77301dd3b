"""Where files lie: a local path, or the URI of a folder or file on an object store; and how a store is opened.

A place is text. A URI is whatever `pyarrow.fs.FileSystem.from_uri` opens: `s3://bucket/folder`, `gs://bucket/folder`
and so on, its path percent-encoded, options behind a question mark (`?endpoint_override=http://host:9000&region=...`).
`file://` URIs are local paths. No place holds credentials, for places are recorded: they come from the environment
(`AWS_*`, `GOOGLE_APPLICATION_CREDENTIALS`, ...), as does, where the URI names none, the endpoint (`AWS_ENDPOINT_URL`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.fs

from raylab2f.errors import UserError, first_line

__all__ = [
    "absolute",
    "file_exists",
    "filesystem",
    "is_uri",
    "join",
    "local_path",
    "name_of",
    "names_in",
    "open_file",
    "parent_of",
    "place_of",
    "read_file",
    "require_store",
    "store_errors",
    "subfolders",
    "write_file",
]

# Schemes whose URIs begin with a bucket; one connection serves all places of a bucket.
_BUCKETS = ("s3", "gs", "gcs")
_SECRET = re.compile(r"access_key|secret|token|password|signature|^sig$", re.IGNORECASE)
# What the stores' libraries say, in the order in which it is looked for, and what the user can do about it.
_REASONS = (
    (r"NO_SUCH_BUCKET|[Bb]ucket\W.*not found", "there is no such bucket; create it, or mend the name"),
    (
        r"ACCESS_DENIED|ACCESS_KEY|SIGNATURE|CLIENT_TOKEN|EXPIRED|UNRECOGNIZED_CLIENT|status 40[13]|[Cc]redentials"
        r"|UNAUTHENTICATED|PERMISSION_DENIED",
        "the store refuses the credentials, or there are none; set the right ones on this machine, such as "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    (
        r"NETWORK_CONNECTION|REQUEST_TIMEOUT|curlCode|[Cc]ould ?n.t |[Cc]ould not (connect|resolve)|UNAVAILABLE",
        "the store cannot be reached; check the network and the endpoint (AWS_ENDPOINT_URL, or "
        "?endpoint_override=... in the URI)",
    ),
)


def is_uri(place: str | Path) -> bool:
    """Whether a place lies on a store, not in this machine's file system."""
    return "://" in str(place) and not str(place).startswith("file://")


def place_of(text: str | Path) -> str:
    """A place as the user named it, checked and in the one form that is recorded and compared; `~` is the home folder.

    Raises:
        UserError: a URI that cannot be one, or that holds credentials.
    """
    text = str(text)
    if text.startswith("file://"):
        return filesystem(text)[1]
    if not is_uri(text):
        # Shells do so at the beginning of a word only, and nobody does in a file of settings.
        return os.path.expanduser(text) if text == "~" or text.startswith("~/") else text  # noqa: PTH111
    parts = urlsplit(text)
    _refuse_secrets(parts)
    names = [name for name in parts.path.split("/") if name]
    if not parts.netloc or not {".", ".."}.isdisjoint(unquote(parts.path).split("/")):
        raise UserError(f"{text}: this is no place on a store; write it like s3://bucket/folder.")
    path = "".join(f"/{quote(name, safe='%!$&()*+,:;=@~')}" for name in names)
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def local_path(text: str | Path) -> str:
    """A place as `place_of` has it, on this machine's disks.

    Raises:
        UserError: it is a URI.
    """
    place = place_of(text)
    if is_uri(place):
        raise UserError(f"{place}: a path of this machine is needed here; name one, and copy from or to the store.")
    return place


def join(place: str | Path, *names: str) -> str:
    """The place of a file or folder below another."""
    if not is_uri(place):
        return str(Path(place, *names))
    parts = urlsplit(str(place))
    return urlunsplit(parts._replace(path="/".join([parts.path.rstrip("/"), *(quote(name) for name in names)])))


def parent_of(place: str | Path) -> str:
    """The folder that holds a place; a bucket's parent is the bucket."""
    if not is_uri(place):
        return str(Path(place).parent)
    parts = urlsplit(str(place))
    return urlunsplit(parts._replace(path=parts.path.rpartition("/")[0]))


def name_of(place: str | Path) -> str:
    """The last part of a place, without what leads there."""
    if not is_uri(place):
        return Path(place).name
    parts = urlsplit(str(place))
    return unquote(parts.path.rpartition("/")[2]) or parts.netloc


def distinct_names(places: Sequence[str]) -> list[str]:
    """Names of folders where they tell them apart, else where they lie.

    Raises:
        UserError: one is given twice.
    """
    resolved = [absolute(place) for place in places]
    if len(set(resolved)) < len(resolved):
        raise UserError(
            f"'{max(places, key=lambda p: resolved.count(absolute(p)))}' is given twice; give different runs."
        )
    names = [name_of(place) for place in resolved]
    return names if len(set(names)) == len(names) else resolved


def absolute(place: str | Path) -> str:
    """The place as processes in any working folder find it."""
    return str(place) if is_uri(place) else str(Path(place).resolve())


def filesystem(place: str) -> tuple[pa.fs.FileSystem, str]:
    """The file system that holds a URI's file or folder, and its path there.

    Raises:
        UserError: no such kind of store is known, an option is unknown, or the store does not answer.
    """
    parts = urlsplit(place)
    if parts.scheme not in _BUCKETS:
        return _connect(place)
    store, bucket = _connect(urlunsplit(parts._replace(path="")))
    return store, bucket + unquote(parts.path)


def read_file(place: str) -> bytes:
    """A file's content; `FileNotFoundError` if there is none, `UserError` if the store does not give it."""
    with open_file(place) as (file, _):
        return file.read()


@contextmanager
def open_file(place: str) -> Iterator[tuple[IO[bytes], int]]:
    """A file to read from and its size in bytes; the errors are those of `read_file`."""
    if not is_uri(place):
        with Path(place).open("rb") as local:
            yield local, os.fstat(local.fileno()).st_size
        return
    store, path = filesystem(place)
    with store_errors(place), store.open_input_file(path) as stored:
        yield stored, stored.size()


def write_file(place: str, content: bytes) -> None:
    """Write a small file; its folder is made where that is needed.

    Raises:
        OSError: a local path cannot be written.
        UserError: the store cannot be written.
    """
    if not is_uri(place):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_bytes(content)
        return
    store, path = filesystem(place)
    with store_errors(place), store.open_output_stream(path) as stream:
        stream.write(content)


def file_exists(place: str) -> bool:
    """Whether there is a file at a place."""
    if not is_uri(place):
        return os.path.isfile(place)  # noqa: PTH113  # `Path.is_file` raises where permissions forbid a look
    store, path = filesystem(place)
    with store_errors(place):
        return bool(store.get_file_info(path).is_file)


def names_in(place: str) -> list[str]:
    """Names of the files and folders right below a place, without hidden ones, sorted; none if it does not exist."""
    if not is_uri(place):
        found = [path.name for path in Path(place).glob("*")]
    else:
        store, path = filesystem(place)
        with store_errors(place):
            found = [info.base_name for info in store.get_file_info(pa.fs.FileSelector(path, allow_not_found=True))]
    return sorted(name for name in found if not name.startswith("."))


def subfolders(place: str) -> list[str]:
    """The places of the folders right below a place, sorted."""
    if not is_uri(place):
        return sorted(str(path) for path in Path(place).glob("*") if path.is_dir())
    store, path = filesystem(place)
    with store_errors(place):
        found = store.get_file_info(pa.fs.FileSelector(path, allow_not_found=True))
    return sorted(join(place, info.base_name) for info in found if info.type == pa.fs.FileType.Directory)


def require_store(place: str) -> None:
    """`UserError` if a place's store does not answer or has no such bucket, which would be listed as empty."""
    if not is_uri(place):
        return
    parts = urlsplit(place)
    filesystem(place)
    if parts.scheme in _BUCKETS:
        _require_bucket(urlunsplit(parts._replace(path="")))


@contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Turn what a store's library raises inside the block into a `UserError`; `FileNotFoundError` passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        said = str(error)
        for pattern, sentence in _REASONS:
            if re.search(pattern, said):
                raise UserError(f"{place}: {sentence}.") from error
        raise UserError(f"{place}: the store gives an error ({first_line(error)}).") from error


@lru_cache
def _require_bucket(root: str) -> None:
    store, bucket = filesystem(root)
    with store_errors(root):
        if store.get_file_info(bucket).type == pa.fs.FileType.NotFound:
            raise UserError(f"{root}: there is no such bucket; create it, or mend the name.")


@lru_cache
def _connect(uri: str) -> tuple[pa.fs.FileSystem, str]:
    try:
        with store_errors(uri):
            return pa.fs.FileSystem.from_uri(uri)
    except FileNotFoundError as error:
        raise UserError(f"{uri}: there is no such place ({error}).") from error


def _refuse_secrets(parts: SplitResult) -> None:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    secret = parts.password is not None or (parts.scheme == "s3" and parts.username is not None)
    if secret or any(_SECRET.search(name) for name in options) or "@" in options.get("endpoint_override", ""):
        host = parts.netloc.rpartition("@")[2]
        raise UserError(
            f"{parts.scheme}://{host}{parts.path}: credentials do not belong into a URI, for it is recorded; set "
            "them in the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
