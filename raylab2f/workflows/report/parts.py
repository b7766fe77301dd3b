"""Cards of the parts that were judged wrongly: their pictures, maps and truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.datasets.manifest import fingerprint
from raylab2f.errors import UserError
from raylab2f.files.parquet import read_parquet
from raylab2f.reporting import Display
from raylab2f.reporting.page.images import map_uri, outline_uri, picture_uri
from raylab2f.workflows.evidence import FinishedFolds
from raylab2f.workflows.inputs import prepare_pictures

__all__ = ["part_cards"]

_MOST_CARDS, _MOST_VIEWS = 40, 12
#: Of a fold's map values of good pictures: what is shown as nothing, and of all values, what is shown strongest.
_CLEAR, _STRONGEST = 0.9, 0.999


def part_cards(
    found: FinishedFolds,
    scores: pa.Table,
    listed: pa.Table,
    *,
    cache: str | None,
    display: Display,
    picture_bytes: int,
) -> dict[str, Any]:
    """Cards of the worst escapes and overkills, with pictures as far as they fit.

    Arguments:
        scores: of all folds.
        listed: `evaluation.outcomes.wrong_parts.judged_parts` of them.
        cache: where prepared pictures are; `None`: they are not wanted.
        picture_bytes: pictures take at most so much.

    Returns:
        `escapes` and `overkills`, lists of cards; how many parts were judged wrongly in any fold, by `wrong`; `note`,
        why there are no pictures, or `None`.
    """
    rows = listed.to_pylist()
    wrong = {
        kind: [row for row in rows if row["wrong"] and row["label"] == label]
        for kind, label in (("escapes", 1), ("overkills", 0))
    }
    chosen = {kind: [dict(row) for row in some[:_MOST_CARDS]] for kind, some in wrong.items()}
    views = _views(scores)
    for card in (card for cards in chosen.values() for card in cards):
        card["views"] = [dict(view) for view in views[card["object_id"], card["worst_fold"]][:_MOST_VIEWS]]
        card["views_in_all"] = len(views[card["object_id"], card["worst_fold"]])
    note = None
    if cache is not None and any(chosen.values()):
        try:
            note = _add_pictures(found, chosen, cache, display, picture_bytes)
        except UserError as error:
            note = f"The pictures are not at hand: {error}"
    return {**chosen, "wrong": {kind: len(some) for kind, some in wrong.items()}, "judged": len(rows), "note": note}


def _views(scores: pa.Table) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Judged pictures by object and fold."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    columns = [name for name in ("view", "condition", "defect_type") if name in scores.column_names]
    for row in scores.to_pylist():
        if row["partition"] == "inference":
            kept = {name: row[name] for name in ("image_id", "score", "label", *columns)}
            found.setdefault((row["object_id"], row["fold"]), []).append(kept)
    return {key: sorted(rows, key=lambda row: -row["score"]) for key, rows in found.items()}


def _add_pictures(
    found: FinishedFolds,
    chosen: Mapping[str, Sequence[dict[str, Any]]],
    cache: str,
    display: Display,
    picture_bytes: int,
) -> str | None:
    """Add `picture`, `map` and `truth` to the views, cards of both kinds in turn, until the room is used up."""
    manifest = read_parquet(found.folder.manifest)
    prepared = prepare_pictures(found.settings, manifest, fingerprint(manifest), cache, display)
    maps: dict[int, _FoldMaps] = {}
    queue = [
        card
        for number in range(_MOST_CARDS)
        for cards in chosen.values()
        for card in cards[number : number + 1]
    ]  # fmt: skip
    # All at once, for whatever is asked for, a whole shard is read.
    image_ids = list(dict.fromkeys(view["image_id"] for card in queue for view in card["views"]))
    stored = prepared.shards.read(image_ids, ["picture", "defect"])
    row = {image_id: number for number, image_id in enumerate(image_ids)}
    left = picture_bytes
    for shown, card in enumerate(queue):
        fold = card["worst_fold"]
        if fold not in maps:
            maps[fold] = _FoldMaps(found, fold)
        for view in card["views"]:
            own = row[view["image_id"]]
            layers = {
                "picture": picture_uri(stored["picture"][own]),
                "map": maps[fold].uri(view["image_id"]),
                "truth": outline_uri(stored["defect"][own] > 0),
            }
            size = sum(len(uri) for uri in layers.values() if uri is not None)
            if size > left:
                return f"Pictures of {shown} of {len(queue)} parts fit into the page; those of the others are left out."
            left -= size
            view |= layers
    return None


class _FoldMaps:
    """One fold's anomaly maps, on one scale."""

    def __init__(self, found: FinishedFolds, fold: int) -> None:
        folder = found.folder.fold(fold)
        self._row: dict[str, int] = {}
        if not (folder / "maps.parquet").exists():
            # Of a detector that gives none.
            return
        table = read_parquet(folder / "maps.parquet")
        self._row = {image_id: row for row, image_id in enumerate(table["image_id"].to_pylist())}
        self._maps = np.asarray(table["map"].combine_chunks().to_numpy_ndarray(), np.float32)
        scores = read_parquet(folder / "scores.parquet")
        good = [
            i for i, label in zip(scores["image_id"].to_pylist(), scores["label"].to_pylist(), strict=True) if not label
        ]
        own = self._maps[[self._row[image_id] for image_id in good if image_id in self._row]]
        self._low = float(np.quantile(own if own.size else self._maps, _CLEAR))
        self._high = float(np.quantile(self._maps, _STRONGEST))

    def uri(self, image_id: str) -> str | None:
        if image_id not in self._row:
            return None
        return map_uri(self._maps[self._row[image_id]], self._low, self._high)
