"""`MODEL_CARD.md`: what a finalised model is, what is expected of it, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raylab2f.reporting.page.sentences import METRIC_NAMES, ends_of, number_text, outcome_sentence

__all__ = ["model_card", "with_exports"]

_WAYS = {
    "from-fold": "the detector of one fold, with that fold's threshold",
    "refit": "one detector, trained on all good parts by the settings of the folds",
    "ensemble": "all folds' detectors; a score is the mean of theirs, each calibrated on good parts that it never saw",
}
_EXPORTS = "## Exports"
_SHOWN = ("escape_rate", "overkill_rate", "review_rate", "recall", "auroc")


def model_card(record: Mapping[str, Any]) -> str:
    """Markdown.

    Arguments:
        record: the content of `model.json`.
    """
    origin, data, decision, expected = (record[name] for name in ("origin", "dataset", "decision", "expected"))
    folds = ", ".join(map(str, origin["folds"]))
    lines = [
        f"# {_text(record['name'])}",
        "",
        f"A {_text(record['detector'])} detector of defective parts, finalised from a run of {len(origin['folds'])} "
        f"folds: {_WAYS[origin['way']]}." if origin["way"] != "from-fold" else
        f"A {_text(record['detector'])} detector of defective parts: {_WAYS['from-fold']} (fold {folds}).",
        "",
        "## How it decides",
        "",
        *_decision(decision),
        "",
        "## What to expect",
        "",
        *_expected(expected),
        "",
        "## What it was made and judged on",
        "",
        f"- data: {_text(data['name'])}, {data['pictures']:,} pictures of {data['objects']:,} parts, "
        f"{data['anomalous_objects']:,} of them defective; fingerprint `{_text(data['fingerprint'])}`",
        f"- seed {origin['seed']}, folds {folds}",
        f"- prepared pictures: {record['preparation']['size'][0]} x {record['preparation']['size'][1]} pixels, "
        f"{_text(record['preparation']['fit'])}{_tiles(record)}",
        f"- versions: {', '.join(f'{_text(name)} {_text(version)}' for name, version in record['versions'].items())}",
        "",
        "## What it is not for",
        "",
        "Figures hold for parts and pictures like those that were judged. Pictures unlike all of them (in size, "
        "exposure, focus or features) are marked `unfamiliar` and left to a person; whether the world has "
        "changed is asked with `raylab2f monitor`.",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _tiles(record: Mapping[str, Any]) -> str:
    tiles = record["preparation"].get("tiles")
    if tiles is None:
        return ""
    own = f" by a detector for each of {len(record['positions'])} positions" if record.get("positions") else ""
    score = _text(record["tile_score"])
    return f"; of each tile of {_text(tiles)} pixels{own}, and a picture's score is {score} of theirs"


def with_exports(card: str, certificates: Mapping[str, Mapping[str, Any]]) -> str:
    """A card with a section on exported files at its end, instead of the one that it has.

    Arguments:
        card: Markdown.
        certificates: contents of `certificate.json`, by the folder's name.
    """
    lines = [card.partition(f"\n{_EXPORTS}\n")[0].rstrip(), "", _EXPORTS, ""]
    lines += [
        "| | largest difference of scores | changed verdicts | escapes, before and after | overkill |",
        "|---|---|---|---|---|",
    ]
    for name, certificate in sorted(certificates.items()):
        found = certificate["findings"]
        flips, before, after = found["flips"], found["outcomes"]["before"], found["outcomes"]["after"]
        largest = found["score_difference"]["largest"]
        cells = [
            _text(name) + ("" if certificate["kept"] else " (not kept)"),
            "none" if largest is None else f"{largest:.2g}",
            f"{flips['count']} of {found['decided']:,} ({100 * flips['low']:.2g} to {100 * flips['high']:.2g} %)",
            f"{before['escapes']} and {after['escapes']} of {before['anomalous']:,}",
            f"{before['overkill']} and {after['overkill']} of {before['nominal']:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Each folder's `certificate.md` says more.", ""])


def _decision(decision: Mapping[str, Any]) -> list[str]:
    of = "part, from the scores of all its pictures (" + _text(decision["object_score"]) + ")"
    unit = of if decision["level"] == "object" else "picture"
    low = decision["low_threshold"]
    words = f"A {unit}, is rejected" if decision["level"] == "object" else f"A {unit} is rejected"
    lines = [f"- {words} where its score is at least {decision['threshold']:.6g}"]
    if low is not None:
        lines.append(f"- accepted where it is below {low:.6g}; a person looks at what lies between")
    carried = "the fold's own" if decision["carried"] is None else _text(decision["carried"])
    lines.append(f"- threshold by {_text(decision['strategy'])}: {carried}")
    return lines


def _expected(expected: Mapping[str, Any]) -> list[str]:
    rows = {row["metric"]: {**row, **ends_of(row["interval"])} for row in expected["estimates"]}
    lines = [f"Measured on {_text(expected['of'])}."]
    if {"escape_rate", "overkill_rate"} <= rows.keys():
        lines += ["", outcome_sentence(rows["escape_rate"], rows["overkill_rate"], expected["prevalence"])]
    shown = [rows[name] for name in _SHOWN if name in rows and rows[name]["mean"] is not None]
    if shown:
        lines += ["", "| | mean | interval |", "|---|---|---|"]
    for row in shown:
        ends = "" if row["low"] is None else f"{number_text(row['low'])} to {number_text(row['high'])}"
        lines.append(f"| {METRIC_NAMES.get(row['metric'], row['metric'])} | {number_text(row['mean'])} | {ends} |")
    verdict = (expected["acceptance"] or {}).get("verdict")
    lines += ["", f"Limits set before training: **{verdict}**." if verdict else "No limits were set for this run."]
    return lines


def _text(value: Any) -> str:
    """On one line, without what Markdown or HTML would take for their own."""
    text = " ".join(str(value).split())
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return text
