"""Which tool a file of scores is from, and its rows as a table of scores."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.readers import anomalib, arrays, fiftyone, mlflow
from raylab2f.evaluation.readers.manifest import join_manifest
from raylab2f.evaluation.readers.reader import Found, Reader
from raylab2f.evaluation.score_table import read_scores
from raylab2f.files.columns import plain_name
from raylab2f.files.parquet import read_parquet
from raylab2f.files.strangers import read_json
from raylab2f.pitfalls import Caution

__all__ = ["READERS", "ScoreFile", "read_score_file"]

#: By name, in the order in which files are held against them.
READERS: Mapping[str, Reader] = {
    reader.name: reader for reader in (fiftyone.READER, mlflow.READER, anomalib.READER, arrays.PATCHCORE, arrays.GLASS)
}

# What a header is looked for in: no file's is longer.
_BEGINNING = 1 << 16
_NATIVE = {plain_name(name) for name in ("image_id", "score")}
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True)
class ScoreFile:
    """A file's rows.

    Arguments:
        table: with columns of `score_table.COLUMNS`, as `read_scores` gives it.
        tool: a key of `READERS`; `None` for a table of scores as such.
        warnings: what to know of it.
    """

    table: pa.Table
    tool: str | None
    warnings: tuple[Caution, ...] = ()


def read_score_file(path: str | Path, tool: str | None = None, manifest: str | Path | None = None) -> ScoreFile:
    """Read a table of scores, or what another tool wrote in its place.

    Arguments:
        path: of the file.
        tool: a key of `READERS`; `None`: whatever the file is recognised as.
        manifest: a table that says more of the pictures, see `join_manifest`.

    Raises:
        UserError: the file is none that can be read, or not of that tool.
    """
    path = Path(path)
    if not path.is_file():
        read_scores(path)
    found = _look_at(path)
    if tool is not None and tool not in READERS:
        raise UserError(f"--from {tool}: files of these tools are read: {', '.join(sorted(READERS))}.")
    reader = READERS[tool] if tool is not None else _recognised(found)
    if tool is not None and not READERS[tool].recognises(found):
        other = _recognised(found)
        mend = f"give --from {other.name}" if other is not None else "leave --from out if it is a table of scores"
        raise UserError(f"'{path}' is no {READERS[tool].what}; {mend}.")
    table = read_scores(path) if reader is None else reader.read(found)
    if manifest is not None:
        table = join_manifest(table, manifest, f"'{path}'")
    if reader is not None and "image_id" in table.column_names and "label" not in table.column_names:
        raise UserError(
            f"'{path}' does not say which pictures are good, neither by labels nor by folders; add labels to it, or "
            "give a --manifest with a column label."
        )
    warnings: tuple[Caution, ...] = ()
    if reader is not None and not {"partition", "fold"} & set(table.column_names):
        warnings = (
            Caution(
                "RL318",
                "The scores are of one test set without partitions: a threshold that was chosen on it and judged on it "
                "would be too good, so half of its parts, drawn at random for every fold, choose the threshold, and "
                "the others are judged.",
            ),
        )
    return ScoreFile(table, None if reader is None else reader.name, warnings)


def _recognised(found: Found) -> Reader | None:
    if found.kind == "table" and found.columns >= _NATIVE:
        return None
    return next((reader for reader in READERS.values() if reader.recognises(found)), None)


def _look_at(path: Path) -> Found:
    """Whatever is no file that a tool writes is a table here, and for `read_scores` to judge."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError:
        return Found(path, "table")
    encoding = next((name for mark, name in _MARKS if beginning.startswith(mark)), "utf-8")
    text = beginning.decode(encoding, errors="ignore")
    if beginning.startswith(b"PAR1"):
        try:
            return Found(path, "table", frozenset(map(plain_name, read_parquet(path).column_names)))
        except (pa.ArrowException, OSError, ValueError, KeyError):
            return Found(path, "table")
    if text.lstrip()[:1] in ("{", "["):
        content = read_json(path)
        if isinstance(content, (dict, list)):
            return Found(path, "json", content=content)
    if beginning.startswith(b"PK") and path.suffix.lower() == ".npz":
        try:
            with zipfile.ZipFile(path) as archive:
                names = [entry.removesuffix(".npy") for entry in archive.namelist()]
        except zipfile.BadZipFile:
            return Found(path, "table")
        return Found(path, "arrays", frozenset(map(plain_name, names)))
    header = next((line for line in text.splitlines() if line.strip()), "")
    return Found(path, "table", frozenset(plain_name(name) for name in re.split(r"[,;\t|]", header)))
