"""Reading what a client sends: no more bytes than allowed, no longer than allowed, in memory that is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from raylab2f.cluster.serving.judging import ViewFile
from raylab2f.cluster.serving.refusals import RefusalError
from raylab2f.cluster.serving.rules import ServingRules

__all__ = ["ByteBudget", "Share", "Submission", "read_submission"]

_FIELDS = 8
_FIELD_BYTES = 1000
_LONGEST_NAME = 100


class ByteBudget:
    """Bytes that all requests together may hold; used from one event loop.

    Arguments:
        most: so many.
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A request's share, given back with the block."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.bytes


class Share:
    """What one request holds of a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self.bytes = budget, 0

    def grow(self, more: int) -> None:
        """Take more bytes; `RefusalError` 503 where there are none."""
        if self._budget.held + more > self._budget.most:
            raise RefusalError(503, "Too much is being sent by others at the moment; try again.")
        self._budget.held += more
        self.bytes += more


class Submission:
    """What a client sent.

    Arguments:
        views: pictures of one object.
        fields: other parts of a form, by name.
    """

    def __init__(self, views: list[ViewFile], fields: dict[str, str]) -> None:
        self.views, self.fields = views, fields


async def read_submission(request: Request, rules: ServingRules, share: Share) -> Submission:
    """The pictures of a request: those of a form (`multipart/form-data`), or its whole body.

    Raises:
        RefusalError: 400 no form, or no picture; 408 too slow; 413 too much; 415 neither a form nor a picture.
    """
    kind, _ = parse_options_header(request.headers.get("content-type", ""))
    if (
        kind != b"multipart/form-data"
        and not kind.startswith(b"image/")
        and kind not in (b"application/octet-stream", b"")
    ):
        raise RefusalError(
            415,
            "Content-Type says neither multipart/form-data nor image/...; send pictures as a form, or one as the body.",
        )
    body = await _read_body(request, rules, share)
    if not body:
        raise RefusalError(400, "The body is empty; send a picture.")
    if kind != b"multipart/form-data":
        return Submission([("picture", body)], {})
    # Its loops are long for hostile forms.
    return await asyncio.to_thread(_parse_form, request.headers, body, rules)


async def _read_body(request: Request, rules: ServingRules, share: Share) -> bytes:
    too_much = RefusalError(413, f"The body has more than {rules.max_bytes:,} bytes (--max-bytes); send less.")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > rules.max_bytes:
        raise too_much

    async def collect() -> bytes:
        parts = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > rules.max_bytes:
                raise too_much
            share.grow(len(chunk))
            parts.append(chunk)
        return b"".join(parts)

    try:
        return await asyncio.wait_for(collect(), rules.timeout)
    except (asyncio.TimeoutError, TimeoutError) as error:
        raise RefusalError(
            408, f"The body had not arrived after {rules.timeout:g} seconds (--timeout); send it faster."
        ) from error
    except ClientDisconnect as error:
        raise RefusalError(400, "The client went away before its body was there.") from error


def _parse_form(headers: Headers, body: bytes, rules: ServingRules) -> Submission:
    return asyncio.run(_parse(headers, body, rules))


class _InMemory(MultiPartParser):
    """The body is in memory already: nothing goes to a disk."""

    spool_max_size = 1 << 62


async def _parse(headers: Headers, body: bytes, rules: ServingRules) -> Submission:
    async def whole() -> AsyncIterator[bytes]:
        yield body

    parser = _InMemory(
        headers,
        whole(),  # type: ignore[arg-type]  # an iterator is enough
        max_files=rules.max_views,
        max_fields=_FIELDS,
        max_part_size=_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        said = error.message.rstrip(".")
        too_much = said.startswith(("Too many", "Part exceeded"))
        mend = (
            f"send at most {rules.max_views} pictures of one object, and at most {_FIELDS} short fields"
            if too_much
            else "send multipart/form-data with a boundary, each picture as a file with a short name"
        )
        raise RefusalError(413 if too_much else 400, f"The form cannot be read ({said}); {mend}.") from error
    except (ValueError, LookupError, RecursionError) as error:
        raise RefusalError(400, "The form cannot be read; send multipart/form-data.") from error
    views: list[ViewFile] = []
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            views.append((_shown(value.filename) or f"picture {len(views) + 1}", value.file.read()))
        else:
            fields[name] = value
    if not views:
        raise RefusalError(400, "The form holds no picture; send one as a file, such as -F picture=@part.png.")
    return Submission(views, fields)


def _shown(name: str | None) -> str:
    """A file's name for messages; it opens nothing."""
    return "".join(letter for letter in name or "" if letter.isprintable())[:_LONGEST_NAME]
