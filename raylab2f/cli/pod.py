"""`raylab2f pod`: how large a defect must be to be found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from rich.console import Console
from rich.markup import escape

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.cli.json_output import put_json
from raylab2f.cli.lines import print_lines
from raylab2f.options.declaration import Option
from raylab2f.options.detection import Sizes
from raylab2f.options.evaluation import JsonOption, ReplicatesOption
from raylab2f.options.score_files import ScoreFiles
from raylab2f.reporting.page.sentences import number_text
from raylab2f.reporting.printing import plain_console
from raylab2f.reporting.whole_tables import print_table

if TYPE_CHECKING:
    from raylab2f.evaluation.detection.outcome import Detection, DetectionRow

__all__ = ["pod"]

_SCORES = "A run's folder, or a table of scores (Parquet, CSV, or its URI) with a column size."
ScoresOption = Annotated[str, Option(_SCORES, kind="place", positional=True)]
_AS_JUDGED = "the run's, else max"


@command
def pod(
    scores: ScoresOption,
    sizes: Sizes,
    files: ScoreFiles,
    strategy: Annotated[str | None, Option("By which thresholds are chosen.", usual="the run's, else youden")] = None,
    level: Annotated[
        Literal["object", "image"], Option("object: parts, by their largest defect; or image.")
    ] = "object",
    object_score: Annotated[str | None, Option("A part's score from its pictures'.", usual=_AS_JUDGED)] = None,
    seed: Annotated[int, Option("Of the bootstrap over parts.", minimum=0)] = 0,
    as_json: JsonOption = False,
    replicates: ReplicatesOption = 1000,
    out: Annotated[str | None, Option("File, or its URI, for the outcome with curves as JSON.", kind="place")] = None,
) -> None:
    """Say how large a defect must be to be found: probability of detection by size, a90 and a90/95."""
    rules = {"strategy": strategy, "level": level, "object_score": object_score}
    result = api.pod(scores, replicates=replicates, seed=seed, **rules, **vars(sizes), **vars(files))
    if not put_json(result.detection.to_dict(), out, printed=as_json):
        _print_detection(result.detection, plain_console())


def _print_detection(detection: Detection, console: Console) -> None:
    unit = f" in {detection.unit}" if detection.unit else ""
    noun = "parts" if detection.level == "object" else "pictures"
    what = {"area": "area of the largest marked region", "extent": "longest extent of the largest marked region"}
    title = (
        f"Probability of detection by size ({what.get(detection.size, 'column size')}{unit}), {detection.level} level"
    )
    headings = ("defects", noun, "found", "sizes", "a90", "a90/95", "floor", "ceiling")
    print_table(headings, [_cells(row) for row in detection.rows], console, title=title)
    for sentence in detection.sentences():
        print_lines(console, sentence)
    if detection.unsized:
        left_out = f"{detection.unsized} defective {noun} without a known size were left out."
        print_lines(console, left_out)
    for warning in detection.warnings:
        console.print(
            f"[bold yellow]warning:[/] {escape(f'{warning} ({warning.code})')}", highlight=False, soft_wrap=True
        )


def _cells(row: DetectionRow) -> list[str]:
    sizes = f"{number_text(row.smallest)} to {number_text(row.largest)}"
    ends = (number_text(end) if end is not None else "none" for end in (row.a90, row.a90_95))
    shares = ("" if share is None else f"{share:.3f}" for share in (row.floor, row.ceiling))
    return [row.defect_type or "all", f"{row.judged:,}", f"{row.found:.3f}", sizes, *ends, *shares]
