"""From a finalised model to a file of another runtime, which is kept only if it decides as the model does."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.compute as pc

from raylab2f.datasets.manifest import fingerprint
from raylab2f.datasets.pictures import read_picture
from raylab2f.errors import UserError, first_line
from raylab2f.files.atomic import atomic_path, write_error, write_json
from raylab2f.files.digests import digested_once, sha256_of
from raylab2f.files.parquet import read_parquet
from raylab2f.files.permissions import file_mode, make_folders
from raylab2f.files.places import is_uri
from raylab2f.files.strangers import read_json
from raylab2f.models.export.certificate import Comparison, Example, certificate_page, compare, findings
from raylab2f.models.export.formats import Format, Precision, Runner, RuntimeFormat, format_of
from raylab2f.models.export.graph import JudgingGraph
from raylab2f.models.folder import load_model, model_digest, read_reference
from raylab2f.models.judging import Judge, threads_limited
from raylab2f.models.record import ModelRecord
from raylab2f.reporting import Display
from raylab2f.reporting.model_card import with_exports
from raylab2f.versions import version_of
from raylab2f.workflows.evidence import finished_folds

__all__ = ["CERTIFICATE", "export_folder", "export_model"]

CERTIFICATE, _PAGE = "certificate.json", "certificate.md"
_EXPORTS, _CARD = "exports", "MODEL_CARD.md"
#: Raised whenever a certificate of before means something else.
_VERSION = 1
_VERSIONED = ("raylab2f", "torch", "numpy", "opencv-python-headless")
# As predict judges unless it is told otherwise.
_THREADS = 1


def export_folder(model: str, kind: Format, precision: Precision) -> Path:
    """Where an export lies when nothing else is said: `exports/{format}-{precision}` in the model's folder.

    Raises:
        UserError: the model is not on this machine.
    """
    if is_uri(model):
        raise UserError(f"{model} lies on a store; say with --out which folder of this machine the export shall have.")
    return Path(model) / _EXPORTS / f"{kind}-{precision}"


def export_model(
    model: str,
    *,
    kind: Format,
    precision: Precision,
    out: Path,
    display: Display,
    run: str | None = None,
    max_flips: int = 0,
    margin: float = 1e-4,
    largest: tuple[int, int] | None = None,
    reader: Callable[[Runner], Runner] | None = None,
) -> dict[str, Any]:
    """Write a file of another runtime, let it judge what the model judges, and keep it if both decide alike.

    Arguments:
        model: folder or URI.
        out: folder; holds the file, `certificate.json` and `certificate.md`. What lies there of an export of before is
            replaced.
        run: whose inference partitions are judged, from the files; `None`: the model's reference pictures.
        max_flips: verdicts that may change beyond the margin.
        margin: of the threshold, or of 1 where that is smaller.
        largest: height and width of pictures; `None`: those of the evaluation and a quarter more.
        reader: changes what is heard of the file; `None`: nothing does.

    Returns:
        The content of `certificate.json`.

    Raises:
        UserError: no such model or run, a model that cannot be exported so, or too many changed verdicts.
    """
    wanted = format_of(kind, precision)
    with digested_once(), threads_limited(_THREADS):
        judge = load_model(model, "cpu")
        references = _references(model)
        examples = _run_examples(run, judge.record) if run is not None else references
        graph = JudgingGraph(judge, largest, casts=wanted.casts)
        _clear(out, wanted)
        try:
            with TemporaryDirectory(prefix=".exporting-", dir=out) as folder:
                with display.stage(f"write {kind}"):
                    _write(wanted, graph, Path(folder), kind, precision, references)
                path = Path(folder) / wanted.files[0]
                runner = wanted.open(path, _THREADS)
                with display.stage("judge again"):
                    comparison = compare(judge, reader(runner) if reader else runner, examples)
                digests = {name: sha256_of(Path(folder) / name) for name in wanted.files}
                certificate = _certificate(judge, comparison, wanted, max_flips, margin) | {
                    "format": kind,
                    "precision": precision,
                    "largest_picture": list(graph.largest),
                    "prepared_size": list(graph.size),
                    "pictures_from": "the model's reference pictures, as prepared"
                    if run is None
                    else f"inference partitions of {Path(run).name}, as taken",
                    "files": digests,
                    "model": {
                        "name": judge.record.name,
                        "sha256": model_digest(model),
                    },
                }
                if certificate["kept"]:
                    for name in wanted.files:
                        (Path(folder) / name).chmod(file_mode(out))
                        (Path(folder) / name).replace(out / name)
        except OSError as error:
            raise write_error(out, error) from error
        with atomic_path(out / _PAGE) as temporary:
            temporary.write_text(certificate_page(certificate), encoding="utf-8", errors="backslashreplace")
        write_json(out / CERTIFICATE, certificate)
        if not is_uri(model) and out.resolve().parent == (Path(model) / _EXPORTS).resolve():
            _tell_card(Path(model))
    if not certificate["kept"]:
        beyond = certificate["findings"]["flips"]["outside_margin"]
        raise UserError(
            f"--format {kind} --precision {precision}: {beyond} verdicts changed beyond the margin and --max-flips "
            f"allows {max_flips}, so the file was deleted; see {out / _PAGE}, and choose another precision or format."
        )
    return certificate


def _tell_card(model: Path) -> None:
    """What the exports in a model's folder are like, in its card, which no digest covers."""
    card = model / _CARD
    if not card.is_file():
        return
    found = {path.parent.name: read_json(path) for path in (model / _EXPORTS).glob(f"*/{CERTIFICATE}")}
    text = with_exports(card.read_text(encoding="utf-8", errors="replace"), found)
    with atomic_path(card) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _write(
    wanted: RuntimeFormat,
    graph: JudgingGraph,
    folder: Path,
    kind: Format,
    precision: Precision,
    references: Sequence[Example],
) -> None:
    try:
        wanted.write(graph, folder, precision, [one.picture for one in references])
    except (OSError, UserError):
        raise
    except Exception as error:  # converters fail in many ways where a network has an operation that they lack
        raise UserError(
            f"--format {kind}: this model cannot be written so ({first_line(error)}); choose another format."
        ) from error


def _certificate(
    judge: Judge, comparison: Comparison, wanted: RuntimeFormat, max_flips: int, margin: float
) -> dict[str, Any]:
    found = findings(judge, comparison, margin)
    return {
        "version": _VERSION,
        "kept": found["flips"]["outside_margin"] <= max_flips,
        "max_flips": max_flips,
        "findings": found,
        "versions": {name: version_of(name) for name in dict.fromkeys((*_VERSIONED, *wanted.packages))},
        "processor": _processor(),
        "runtime": wanted.options(_THREADS),
    }


def _clear(out: Path, wanted: RuntimeFormat) -> None:
    """Nothing of an export of before stays, whatever becomes of this one; what else lies there is not ours."""
    ours = {CERTIFICATE, _PAGE, *wanted.files}
    try:
        make_folders(out)
        others = sorted(entry.name for entry in out.iterdir() if entry.name not in ours and entry.name[0] != ".")
        if others:
            raise UserError(f"--out {out} holds other files ({others[0]}); choose a new folder.")
        for name in ours:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise write_error(out, error) from error


def _references(model: str) -> list[Example]:
    table, pictures = read_reference(model)
    rows = zip(*(table[name].to_pylist() for name in ("image_id", "object_id", "label")), pictures, strict=True)
    return [Example(*row) for row in rows]


def _run_examples(run: str, record: ModelRecord) -> Iterator[Example]:
    """Every picture of an inference partition once, as it was taken, pictures of one size after one another."""
    finished = finished_folds(run)
    known = fingerprint(read_parquet(finished.folder.manifest))
    if known != record.dataset.get("fingerprint"):
        raise UserError(f"--run {run} has other pictures than the model was evaluated on; name the model's own run.")
    judged: set[str] = set()
    for fold in finished.numbers:
        scores = read_parquet(finished.folder.fold(fold) / "scores.parquet")
        judged.update(scores.filter(pc.equal(scores["partition"], "inference"))["image_id"].to_pylist())
    columns = ["image_id", "object_id", "label", "path", "height", "width", "rotation"]
    rows = read_parquet(finished.folder.pictures).select(columns).to_pylist()
    rows = [row for row in rows if row["image_id"] in judged and row["rotation"] % 360 == 0]
    rows.sort(key=lambda row: (row["height"], row["width"], row["image_id"]))
    # The first is read now, so that a place without pictures is known before anything is written.
    if not rows:
        raise UserError(f"--run {run} judged no picture as it was taken; leave it out.")
    read_picture(rows[0]["path"])
    return (Example(row["image_id"], row["object_id"], row["label"], read_picture(row["path"])) for row in rows)


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
