"""Is an exported file the model? Both judge the same pictures, and what differs is counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab2f.evaluation.intervals.methods import clopper_pearson_interval
from raylab2f.models.export.formats import Runner
from raylab2f.models.judging import Judge
from raylab2f.models.record import Decision

__all__ = ["Comparison", "Example", "certificate_page", "compare", "findings"]

_TOGETHER = 8
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Example:
    """A picture whose truth is known.

    Arguments:
        image_id, object_id: as in the evaluation.
        label: 0 nominal, 1 anomalous.
        picture: (H, W, 3) uint8 RGB, as decoded.
    """

    image_id: str
    object_id: str
    label: int
    picture: NDArray[np.uint8]


@dataclass(frozen=True)
class Comparison:
    """What the model and its exported file said of the same n pictures.

    Arguments:
        objects, labels: of the pictures.
        before, after: (n,) float64 scores of the model and of the file.
        maps: (n,) largest difference of the pictures' maps.
    """

    objects: tuple[str, ...]
    labels: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    maps: NDArray[np.float64]


def compare(judge: Judge, runner: Runner, examples: Iterable[Example]) -> Comparison:
    """Let both judge; pictures of one size that follow one another pass together, 8 at most."""
    objects: list[str] = []
    labels: list[int] = []
    before, after, maps = [], [], []
    for some in _together(examples):
        opinions = judge.look([one.picture for one in some])
        scores, shown = runner(np.stack([one.picture for one in some]))
        objects += [one.object_id for one in some]
        labels += [one.label for one in some]
        before += [float(opinion.scores[0]) for opinion in opinions]
        after += [float(score) for score in scores]
        maps += [float(np.abs(o.map - own).max()) for o, own in zip(opinions, shown, strict=True)]
    return Comparison(tuple(objects), np.array(labels, np.int64), np.array(before), np.array(after), np.array(maps))


def findings(judge: Judge, comparison: Comparison, margin: float) -> dict[str, Any]:
    """Differences, changed verdicts and outcomes, as plain values.

    Verdicts are those of the decision's level. One that changed is outside the margin where the model's score is
    farther than `margin * max(1, |threshold|)` from a threshold that lies between both scores. A score that is no
    finite number is a changed verdict outside the margin.

    Arguments:
        margin: above or equal to 0.
    """
    decision = judge.record.decision
    usable = np.isfinite(comparison.after)
    scale = max(1.0, abs(decision.threshold))
    units = _units(judge, comparison)
    before = [_verdict(decision, unit.before) for unit in units]
    after = [_verdict(decision, unit.after) for unit in units]
    flipped = [unit for unit, old, new in zip(units, before, after, strict=True) if old != new]
    outside = [unit for unit in flipped if _outside(decision, unit, margin)]
    low, high = clopper_pearson_interval(np.array(len(flipped) / len(units)), len(units), _CONFIDENCE)
    differences = np.abs(comparison.after - comparison.before)[usable]
    largest = _most(differences)
    maps = comparison.maps[np.isfinite(comparison.maps)]
    return {
        "pictures": len(comparison.before),
        "level": decision.level,
        "decided": len(units),
        "unusable_scores": int((~usable).sum()),
        "score_difference": {
            "largest": largest,
            "median": float(np.median(differences)) if len(differences) else None,
            "largest_of_scale": None if largest is None else largest / scale,
        },
        "score_scale": scale,
        "score_range": [float(comparison.before.min()), float(comparison.before.max())],
        "map_difference": {"largest": _most(maps)},
        "flips": {
            "count": len(flipped),
            "rate": len(flipped) / len(units),
            "low": float(low),
            "high": float(high),
            "confidence": _CONFIDENCE,
            "outside_margin": len(outside),
            "margin": margin,
        },
        "outcomes": {"before": _outcomes(units, before), "after": _outcomes(units, after)},
    }


@dataclass(frozen=True)
class _Unit:
    """What is decided: a picture, or a part."""

    label: int
    before: float
    after: float


def _units(judge: Judge, comparison: Comparison) -> list[_Unit]:
    if judge.record.decision.level == "image":
        rows = zip(comparison.labels.tolist(), comparison.before.tolist(), comparison.after.tolist(), strict=True)
        return [_Unit(*row) for row in rows]
    owners = np.array(comparison.objects)
    units = []
    for name in sorted(set(comparison.objects)):
        own = owners == name
        after = comparison.after[own]
        # Of a part with one unusable score nothing is known.
        joint = judge.joint_score(after) if np.isfinite(after).all() else float("nan")
        units.append(_Unit(int(comparison.labels[own].max()), judge.joint_score(comparison.before[own]), joint))
    return units


def _verdict(decision: Decision, score: float) -> str:
    return decision.verdict(score) if np.isfinite(score) else "unusable"


def _outside(decision: Decision, unit: _Unit, margin: float) -> bool:
    if not np.isfinite(unit.after):
        return True
    thresholds = [decision.threshold, *([] if decision.low_threshold is None else [decision.low_threshold])]
    return any(
        (unit.before >= threshold) != (unit.after >= threshold)
        and abs(unit.before - threshold) > margin * max(1.0, abs(threshold))
        for threshold in thresholds
    )


def _outcomes(units: Sequence[_Unit], verdicts: Sequence[str]) -> dict[str, int]:
    """Counts: of defective ones those accepted, of good ones those rejected, and what goes to a person."""
    pairs = list(zip((unit.label for unit in units), verdicts, strict=True))
    return {
        "anomalous": sum(label == 1 for label, _ in pairs),
        "escapes": sum(label == 1 and verdict == "accept" for label, verdict in pairs),
        "nominal": sum(label == 0 for label, _ in pairs),
        "overkill": sum(label == 0 and verdict == "reject" for label, verdict in pairs),
        "review": sum(verdict == "review" for _, verdict in pairs),
    }


def _most(values: NDArray[np.float64]) -> float | None:
    return float(values.max()) if len(values) else None


def _together(examples: Iterable[Example]) -> Iterator[list[Example]]:
    for _, same in groupby(examples, key=lambda one: one.picture.shape):
        held: list[Example] = []
        for one in same:
            held.append(one)
            if len(held) == _TOGETHER:
                yield held
                held = []
        if held:
            yield held


def certificate_page(certificate: dict[str, Any]) -> str:
    """`certificate.json` for people, as Markdown."""
    found = certificate["findings"]
    flips, scores, outcomes = found["flips"], found["score_difference"], found["outcomes"]
    what = "parts" if found["level"] == "object" else "pictures"
    rows = [
        ("pictures judged twice", f"{found['pictures']:,}"),
        ("where they come from", certificate["pictures_from"]),
        ("largest difference of scores", _number(scores["largest"])),
        ("the same, relative to the threshold (to 1 where that is smaller)", _number(scores["largest_of_scale"])),
        ("median difference of scores", _number(scores["median"])),
        ("range of the model's scores", " to ".join(map(_number, found["score_range"]))),
        ("largest difference of maps", _number(found["map_difference"]["largest"])),
        ("scores that are no finite number", str(found["unusable_scores"])),
        (
            f"changed verdicts, of {found['decided']:,} {what}",
            f"{flips['count']} ({100 * flips['low']:.2g} to {100 * flips['high']:.2g} % with "
            f"{100 * flips['confidence']:.0f} % confidence)",
        ),
        (f"of them beyond a margin of {flips['margin']:g}", str(flips["outside_margin"])),
        ("allowed beyond it", str(certificate["max_flips"])),
    ]
    for when, name in (("before", "the model"), ("after", "the file")):
        own = outcomes[when]
        rows.append(
            (
                f"outcomes of {name}",
                f"{own['escapes']} of {own['anomalous']} defective accepted, {own['overkill']} of {own['nominal']} "
                f"good rejected, {own['review']} for review",
            )
        )
    kept = "kept" if certificate["kept"] else "NOT kept: too many verdicts changed"
    made = [
        ("format", f"{certificate['format']}, {certificate['precision']}"),
        ("largest picture, height x width", "x".join(map(str, certificate["largest_picture"]))),
        ("model.json, sha256", certificate["model"]["sha256"]),
        *((f"{name}, sha256", digest) for name, digest in certificate["files"].items()),
        ("versions", ", ".join(f"{name} {version}" for name, version in certificate["versions"].items())),
        ("processor", certificate["processor"]),
        ("runtime", ", ".join(f"{name} {value}" for name, value in certificate["runtime"].items())),
    ]
    lines = [f"# Certificate of an export of {certificate['model']['name']}", "", f"The file was {kept}.", ""]
    for head, table in (("Judged again", rows), ("Made", made)):
        lines += [f"## {head}", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in table]
        lines.append("")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
