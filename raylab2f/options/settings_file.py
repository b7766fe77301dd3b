"""Files of settings: a command's options by their long names, as YAML, or a finished run's.

```yaml
data: parts.csv
detector: [glass, csflow]      # lists for options that may be repeated
stratify: true
```

Every value is read as the command line reads it, so that `no`, `12:30` and `1e-3` are what is written and nothing that
YAML makes of them. Relative paths start at the folder that the command runs in, as on the command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from raylab2f.errors import UserError
from raylab2f.files.mirror import fetch_file, local, publish
from raylab2f.files.places import absolute, is_uri, join, name_of, parent_of
from raylab2f.files.strangers import require_regular
from raylab2f.options.declaration import Declared
from raylab2f.options.flat_yaml import MOST_BYTES, Scalar, as_text, entries_of, reading
from raylab2f.options.run_again import is_run_record, options_of_run
from raylab2f.plugins import require_trusted

__all__ = ["read_settings", "run_record_at", "write_settings"]

_RECORD = "run.json"
_MEND = "give a file of settings, or the folder of a run"
_MOST_RECORD = 1 << 28
_NULL = ("", "~", "null", "Null", "NULL")
_APART = ("config", "save-config")


def read_settings(place: str, options: Mapping[str, Declared]) -> dict[str, Any]:
    """The options that a file says, by parameter.

    Arguments:
        place: a file, or a run's folder or its `run.json`; URIs too.
        options: those there are.

    Raises:
        UserError: no such file, or one sentence about the first thing in it that is wrong.
    """
    place, content = _read(place)
    if name_of(place).endswith(".json") and (record := is_run_record(content)):
        return _checked(options_of_run(record, place), place, options)
    text = as_text(place, content)
    by_name = {part.name: part for part in options.values() if part.name not in _APART}
    found: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for name, line, value in entries_of(place, text):
        where = f"{place}, line {line}"
        part = by_name.get(name.replace("_", "-"))
        if part is None:
            raise UserError(f"{where}: {_unknown(name, by_name)}")
        if part.parameter in lines:
            raise UserError(f"{where}: {name} stands in line {lines[part.parameter]} already; leave one of them.")
        lines[part.parameter] = line
        taken = _value(part, value, f"{where}: {name}")
        if taken is not None:
            found[part.parameter] = taken
    for detector in found.get("detector", ()):
        require_trusted(detector)
    return found


def run_record_at(place: str) -> tuple[str, Mapping[str, Any]] | None:
    """Where a run's `run.json` lies and what it says, for its folder or itself; `None` for any other file.

    Raises:
        UserError: a folder without one, or a file that cannot be read.
    """
    with reading(place, "give another"):
        folder = fetch_file(place).is_dir() or (is_uri(place) and "." not in name_of(place))
    if not folder and not name_of(place).endswith(".json"):
        return None
    place, content = _read(place)
    record = is_run_record(content)
    if folder and record is None:
        raise UserError(f"{place} is no record of a run; give another.")
    return None if record is None else (place, record)


def write_settings(place: str, options: Mapping[str, Declared], values: Mapping[str, Any]) -> None:
    """Write a file that `read_settings` reads the same options from, in whatever folder.

    Arguments:
        values: of the options, by parameter.

    Raises:
        UserError: the file cannot be written, or something else lies there.
    """
    said: dict[str, Any] = {}
    texts: list[str] = []
    for name, part in options.items():
        value = values.get(name)
        if part.option.passing or value is None or (part.repeatable and not value):
            continue
        several = [_lasting(part, item) for item in (value if part.repeatable else [value])]
        texts += map(str, several)
        said[part.name] = several if part.repeatable else several[0]
    # Separators and marks that cannot be seen are only read as they are where they are escaped.
    plain = all(text.isprintable() for text in texts)
    text = yaml.safe_dump(said, sort_keys=False, allow_unicode=plain, default_flow_style=None, width=100)
    path = local(place)
    try:
        if path.is_file() and not _may_be_replaced(path, options):
            raise UserError(f"{place}: what lies there is no file of settings, and stays; choose another file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{place}: the settings cannot be written ({error.strerror}); choose another file.") from error
    publish(parent_of(place), [name_of(place)])


def _may_be_replaced(path: Path, options: Mapping[str, Declared]) -> bool:
    """Whether a file holds nothing but settings: pictures' manifests and records of runs are not written over."""
    try:
        read_settings(str(path), options)
        return is_run_record(path.read_bytes()) is None
    except UserError:
        return False


def _checked(found: Mapping[str, Any], place: str, options: Mapping[str, Declared]) -> dict[str, Any]:
    if unknown := sorted(set(found) - set(options)):
        raise UserError(f"{place}: this version has no setting called {', '.join(unknown)}; give another run.")
    return {name: options[name].check(value, f"{place}: {options[name].name}") for name, value in found.items()}


def _lasting(part: Declared, value: Any) -> Any:
    """A value that means the same in another folder."""
    if part.option.kind != "text":
        return absolute(value)
    return value if part.option.lasting is None else part.option.lasting(value)


def _read(place: str) -> tuple[str, bytes]:
    """The file, a run's `run.json` where the place is its folder."""
    with reading(place, _MEND):
        path = fetch_file(place)
        of_run = path.is_dir() or (is_uri(place) and not path.exists())
    if of_run:
        place = join(place, _RECORD)
    with reading(place, _MEND):
        if of_run:
            path = fetch_file(place)
        require_regular(path)
        if path.stat().st_size > (_MOST_RECORD if name_of(place) == _RECORD else MOST_BYTES):
            raise UserError(f"{place}: a file of settings has at most {MOST_BYTES >> 20} MiB; this is something else.")
        return place, path.read_bytes()


def _value(part: Declared, value: Any, where: str) -> Any:
    """A value as the option has it; `None` where the file says that nothing is said."""
    if isinstance(value, Scalar) and value.plain and value in _NULL:
        if part.may_be_none or part.default == ():
            return None
        raise UserError(f"{where} has no value; give one, or leave the line out.")
    if part.repeatable:
        items = value if isinstance(value, list) else [value]
        if not items and part.default != ():
            raise UserError(f"{where} has no value; give one, or leave the line out.")
        return tuple(part.parse(item, where) for item in items)
    if isinstance(value, list):
        raise UserError(f"{where} takes one value, and no list.")
    return part.parse(value, where)


def _unknown(name: str, known: Mapping[str, Declared]) -> str:
    spelt = name.replace("_", "-").lstrip("-")
    if spelt in _APART:
        return f"{name} is an option of the command line only; leave it out."
    near = difflib.get_close_matches(spelt, known, n=3, cutoff=0.6)
    mend = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."
    return f"no option is called {name}; {mend}"
