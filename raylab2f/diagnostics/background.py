"""Background shortcut: does the detector look at the background? (Husky-Snow)

Unsupervised detectors learn whatever the good pictures show, the bench included. When the backgrounds of good and
defective pictures differ, the figures can be excellent though nothing of the part was looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.maps import FoldMaps, region_columns, region_scores
from raylab2f.diagnostics.resampling import Estimate, auroc, auroc_difference, mean, resample

__all__ = ["BACKGROUND_AUROC", "SWAP_LOSS", "diagnose_background"]

# A background that knows nothing of the label is at 0.5. Above 0.65 it decides as well as a poor detector; above 0.75
# it carries half of what a perfect one would know.
BACKGROUND_AUROC = Bounds(0.65, 0.75)
# With other backgrounds a detector that looks at parts loses little: composites have seams. 0.15 is what separates
# detectors in published comparisons.
SWAP_LOSS = Bounds(0.07, 0.15)
# Half of the peaks of defective pictures outside of the part: then the maps do not show where the defect is.
PEAK_OUTSIDE = Bounds(0.5, None)

_TOP = 0.01


def diagnose_background(folds: Iterable[FoldMaps], swapped: pa.Table | None = None, *, seed: int) -> Finding:
    """Hold the background's part in the scores against chance.

    Arguments:
        folds: maps of evaluation pictures; those without a known foreground mask are left out.
        swapped: scores of evaluation pictures with other backgrounds: `fold`, `image_id`, `object_id`, `label`,
            `alteration` (`none`, `background-swap`, `background-black`), `score`; `None`: not computed.
        seed: of the resampling.
    """
    name = "background"
    # One pass: maps of many folds need not fit into memory together.
    reduced, unknown = [], 0
    for fold in folds:
        known = fold.with_masks()
        unknown += len(fold.labels) - len(known.labels)
        if len(known.labels):
            reduced.append((region_columns(known), _map_facts(known)))
    facts = {key: np.concatenate([part[key] for _, part in reduced]) for key in reduced[0][1]} if reduced else {}
    if why := _missing_masks(facts):
        return skipped(name, why)
    seen_on = []
    if unknown:
        total = unknown + len(facts["label"])
        seen_on = [f"{unknown} of {total} evaluation pictures (all folds together) have no foreground mask: left out."]
    regions = region_scores([part for part, _ in reduced])
    draws = resample(regions.objects, regions.labels, seed=seed)
    alone = auroc(draws, regions.background, regions.labels, regions.fold)
    part = auroc(draws, regions.foreground, regions.labels, regions.fold)
    decisive = _from_chance(alone)
    words = "higher" if alone.value >= 0.5 else "lower"
    measures = [
        Measure(
            "background-auroc",
            decisive,
            f"Background pixels alone tell good from defective pictures with AUROC {decisive.value:.2f} (defective "
            f"ones score {words} there); 0.5 is chance, the part's pixels alone reach {part.value:.2f}.",
            BACKGROUND_AUROC,
        )
    ]
    if swapped is not None and swapped.num_rows:
        measures += _swap_measures(swapped, seed)
    draws = resample(facts["object_id"], facts["label"], seed=seed)
    defective = facts["label"] == 1
    peak = mean(draws, facts["peak_outside"], defective)
    measures.append(
        Measure(
            "peak-outside",
            peak,
            f"In {peak.value:.0%} of the defective pictures the map's peak lies outside of the part.",
            PEAK_OUTSIDE,
        )
    )
    if np.isfinite(facts["peak_in_defect"][defective]).any():
        hit = mean(draws, facts["peak_in_defect"], defective)
        chance = float(np.nanmean(facts["defect_area"][defective]))
        sentence = f"The peak lies in the true defect in {hit.value:.0%} of its pictures; at random {chance:.0%} would."
        measures.append(Measure("peak-in-defect", hit, sentence))
    measures.append(Measure("foreground-auroc", part, f"The part's pixels alone reach AUROC {part.value:.2f}."))
    for label, word in ((0, "nominal"), (1, "anomalous")):
        here = facts["label"] == label
        area = float(facts["area_outside"][here].mean()) if here.any() else float("nan")
        for column, what in (("mass_outside", "mass"), ("top_outside", "top 1 % pixels")):
            share = mean(draws, facts[column], here)
            sentence = (
                f"{share.value:.0%} of the {what} of {word} maps lie in the background, which is {area:.0%} of the "
                "area."
            )
            measures.append(Measure(f"{column.replace('_', '-')}-{word}", share, sentence))
    order = np.argsort(-(facts["mass_outside"] - facts["area_outside"]), kind="stable")
    evidence = pa.table({key: pa.array(values[order]) for key, values in facts.items()})
    return conclude(name, measures, evidence, seen_on)


def _missing_masks(facts: Mapping[str, np.ndarray]) -> str | None:
    """Why the background cannot be judged; `None` where it can."""
    known = facts["label"] if facts else np.empty(0)
    bad = int(known.sum())
    if not len(known):
        return "No foreground masks are known, so background and part cannot be told apart; see raylab2f segment."
    if bad in (0, len(known)):
        return (
            f"Foreground masks are known for {len(known) - bad} good and {bad} defective evaluation pictures only, so "
            "their backgrounds cannot be compared; see raylab2f segment."
        )
    return None if facts["area_outside"].any() else "The foreground masks leave no background in any picture."


def _from_chance(estimate: Estimate) -> Estimate:
    """An AUROC and its interval mirrored above 0.5: a shortcut that inverts the classes is one as well."""
    if not estimate.value < 0.5:
        return estimate
    return Estimate(1 - estimate.value, 1 - estimate.high, 1 - estimate.low)


def _swap_measures(table: pa.Table, seed: int) -> list[Measure]:
    """AUROC lost with backgrounds swapped or blacked out."""
    columns = {key: np.array(table[key].to_pylist()) for key in table.column_names}
    plain = columns["alteration"] == "none"
    keys = {key: row for row, key in enumerate(zip(columns["fold"][plain], columns["image_id"][plain], strict=True))}
    fold, objects, labels = (columns[key][plain] for key in ("fold", "object_id", "label"))
    draws = resample(objects, labels, seed=seed)
    before = columns["score"][plain].astype(np.float64)
    measures = []
    for alteration, what, bounds in (
        ("background-swap", "the backgrounds of other good pictures", SWAP_LOSS),
        ("background-black", "black backgrounds", None),
    ):
        here = columns["alteration"] == alteration
        if not here.any():
            continue
        after = np.full(len(before), np.nan)
        for key, score in zip(
            zip(columns["fold"][here], columns["image_id"][here], strict=True), columns["score"][here], strict=True
        ):
            after[keys[key]] = score
        loss = auroc_difference(draws, np.where(np.isfinite(after), before, np.nan), after, labels, fold)
        left = auroc(draws, after, labels, fold)
        sentence = f"With {what} the AUROC falls by {loss.value:.2f} to {left.value:.2f}."
        if loss.value < 0:
            sentence = f"With {what} the AUROC does not fall: {left.value:.2f}."
        measures.append(Measure(f"{alteration}-loss", loss, sentence, bounds))
    return measures


def _map_facts(fold: FoldMaps) -> dict[str, np.ndarray]:
    """One row a picture."""
    flat = fold.maps.reshape(len(fold.maps), -1).astype(np.float64)
    outside = 1 - fold.foregrounds.reshape(len(flat), -1).astype(np.float64)
    defect = fold.defects.reshape(len(flat), -1)
    # The lowest value of a map is its zero: detectors differ in what they call nothing.
    mass = flat - flat.min(axis=1, keepdims=True)
    top = max(1, round(_TOP * flat.shape[1]))
    highest = np.argsort(-flat, axis=1, kind="stable")[:, :top]
    peak = highest[:, 0]
    rows = np.arange(len(flat))
    known = defect.any(axis=1)
    return {
        "fold": np.full(len(flat), fold.fold),
        "image_id": fold.image_ids,
        "object_id": fold.objects,
        "label": fold.labels,
        "mass_outside": (mass * outside).sum(axis=1) / np.maximum(mass.sum(axis=1), 1e-12),
        "area_outside": outside.mean(axis=1),
        "top_outside": np.take_along_axis(outside, highest, axis=1).mean(axis=1),
        "peak_outside": (outside[rows, peak] == 1).astype(np.float64),
        "peak_in_defect": np.where(known, defect[rows, peak], np.nan),
        "defect_area": np.where(known, defect.mean(axis=1), np.nan),
    }
