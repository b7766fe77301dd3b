"""JSON files in which something is not as ours have it."""

import json
import os

ODD = ["many", 3, -1, 10**30, 1e300, True, None, [], {}, [[1]], {"l": "x"}, "../../etc/passwd"]

WHOLE_FILES = {
    "nested": lambda path: path.write_text("[" * 100_000),
    "digits": lambda path: path.write_text('{"parts": ' + "9" * 100_000 + "}"),
    "a list": lambda path: path.write_text("[1]"),
    "bytes": lambda path: path.write_bytes(b"\xff\x00"),
    "a pipe": lambda path: os.mkfifo(path),
}


def places(value, path=()):
    """The path of everything inside a JSON value."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*path, key))


def changed(record, path, odd):
    copy = json.loads(json.dumps(record))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return json.dumps(copy)
