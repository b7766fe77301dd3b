"""YAML as people write settings: names with texts, or lists of texts; nothing is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from raylab2f.errors import UserError, first_line
from raylab2f.files.mirror import fetch_file
from raylab2f.files.strangers import require_regular

__all__ = ["MOST_BYTES", "Scalar", "as_text", "entries_of", "reading", "small_text"]

_MOST_VALUES = 10_000
#: A file that people write by hand; whatever is larger is something else.
MOST_BYTES = 1 << 20


def small_text(place: str) -> str:
    """The text of a file that people write by hand.

    Raises:
        UserError: there is none, or it is something else.
    """
    with reading(place, "give another"):
        path = fetch_file(place)
        require_regular(path)
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{place}: such a file has at most {MOST_BYTES >> 20} MiB; this is something else.")
        return as_text(place, path.read_bytes())


def as_text(place: str, content: bytes) -> str:
    """What a file holds, as text; `UserError` if it is none."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{place}: the file is not UTF-8 text ({error.reason}); save it as such.") from error


@contextmanager
def reading(place: str, mend: str) -> Iterator[None]:
    """`UserError` for a file that is not there, with the mend, or that cannot be read."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{place}: there is no such file; {mend}.") from error
    except OSError as error:
        raise UserError(f"{place}: the file cannot be read ({error.strerror}); mend that, or give another.") from error


class Scalar(str):
    """A value's text; `plain` where it has no quotes."""

    plain: bool = False


def entries_of(place: str, text: str) -> Iterator[tuple[str, int, Any]]:
    """Name, line and value of every entry of a file; a value is a `Scalar` or a list of them.

    Nothing is constructed: what is no mapping of names to texts, or lists of texts, is refused where it begins, so that
    neither tags nor aliases nor depth can do harm.
    """
    events = _events(place, text)
    event = next(events, None)
    if event is None:
        return
    if not isinstance(event, yaml.MappingStartEvent):
        raise UserError(f"{place}, line {_line(event)}: give options as NAME: VALUE, one a line.")
    _plain_only(place, event)
    count = 0
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        name = _scalar(place, key, "the name of an option")
        event = next(events)
        value: Any
        if isinstance(event, yaml.SequenceStartEvent):
            _plain_only(place, event)
            value = []
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                value.append(_scalar(place, item, f"{name}: every value of a list"))
                count += 1
        else:
            value = _scalar(place, event, name)
        count += 1
        if count > _MOST_VALUES:
            raise UserError(f"{place}: more than {_MOST_VALUES:,} values; this is no file of settings.")
        yield str(name), _line(key), value
    if (event := next(events, None)) is not None:
        raise UserError(f"{place}, line {_line(event)}: a second document begins; give one.")


def _events(place: str, text: str) -> Iterator[Any]:
    """What the file consists of, without the frame around it."""
    frame = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if not isinstance(event, frame):
                yield event
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{place}{line}: this is no YAML ({error.problem or error.context}); mend it.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{place}: this is no YAML ({first_line(error)}); mend it.") from error


def _scalar(place: str, event: Any, what: str) -> Scalar:
    _plain_only(place, event)
    if not isinstance(event, yaml.ScalarEvent):
        raise UserError(f"{place}, line {_line(event)}: {what} is one value, and no list or mapping.")
    text = Scalar(event.value)
    text.plain = event.style is None
    return text


def _plain_only(place: str, event: Any) -> None:
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None or event.tag is not None:
        raise UserError(f"{place}, line {_line(event)}: anchors, aliases and tags mean nothing here; write the value.")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
