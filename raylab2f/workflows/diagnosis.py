"""Diagnose a finished run: gather what each diagnosis needs, score altered pictures, write findings and figures.

`diagnosis.json` holds the findings, `diagnosis/<name>.parquet` each one's whole evidence, `figures/` the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.cluster.pictures.rescore import AlteredPictures, rescore
from raylab2f.cluster.session import ray_session
from raylab2f.datasets.manifest import fingerprint
from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.diagnostics import (
    ALTERATIONS,
    Finding,
    diagnose_background,
    diagnose_fragility,
    diagnose_invariance,
    diagnose_leakage,
    diagnose_likelihood,
    diagnose_shift,
    diagnose_silhouette,
    diagnose_variance,
)
from raylab2f.diagnostics.alterations import BACKGROUND_ALTERATIONS
from raylab2f.diagnostics.finding import CODES, skipped
from raylab2f.diagnostics.variance import Activations
from raylab2f.errors import UserError
from raylab2f.files.digests import digested_once
from raylab2f.files.places import place_of
from raylab2f.pitfalls import PITFALLS
from raylab2f.reporting import Display
from raylab2f.seeding import numpy_generator
from raylab2f.workflows.added_diagnoses import choose_diagnoses, make_added
from raylab2f.workflows.condition_gap import condition_gap
from raylab2f.workflows.diagnosis_figures import draw_figures
from raylab2f.workflows.diagnosis_record import record_findings, require_recordable
from raylab2f.workflows.evidence import (
    RunEvidence,
    activations_of,
    complexity_table,
    finished_folds,
    fold_maps,
    gather_evidence,
    keeps_models,
    near_duplicates,
    spatial_means,
)
from raylab2f.workflows.inputs import prepare_inputs
from raylab2f.workflows.restriction import list_restrictions, restrict

__all__ = ["CHEAP", "DIAGNOSES", "diagnose_run"]

#: From what a run stored; seconds.
CHEAP = ("background", "silhouette", "leakage", "shift", "threshold", "condition")
DIAGNOSES = tuple(CODES)

_MOST_VIEWS = 6
# Settings of the evaluation on which the run's thresholds depend.
_THRESHOLD_RULES = ("object_score", "prevalence", "cost_escape", "cost_overkill", "cost_review", "beta")


def diagnose_run(
    place: str | Path,
    *,
    cache: str | Path,
    display: Display,
    only: Sequence[str] | None = None,
    stored_only: bool = False,
    pictures_per_fold: int = 48,
    expected: Mapping[str, float] | None = None,
    address: str | None = None,
    mute: Sequence[str] = (),
    by: Sequence[str] = (),
) -> list[Finding]:
    """Diagnose a run; findings of other diagnoses that are in its folder stay.

    Arguments:
        place: the run's folder, or its URI on a store.
        cache: where its pictures and features are; what is missing there is made again.
        only: names of diagnoses, of `DIAGNOSES` or of those that other packages add; `None`: all.
        stored_only: score no altered pictures, draw only what is at hand.
        pictures_per_fold: at most so many good, and so many defective, pictures of a fold are altered and scored.
        expected: alteration -> largest dose that occurs where the detector will be used.
        address: of a Ray cluster; `None`: a private one where one is needed, with `stored_only` only if the cache lacks
            something.
        mute: codes of `PITFALLS` or of other packages; findings of these are made and stored all the same, but marked.
        by: of `evaluation.outcomes.parts.BREAKDOWNS`: make every diagnosis once more for each condition or view.

    Returns:
        The findings, in the order of `DIAGNOSES`, those of other packages after them by name; those of a condition or
        view are called `background[condition=dark]`.

    Raises:
        UserError: no such run or diagnosis.
    """
    own, added = choose_diagnoses(only, DIAGNOSES)
    for name in expected or {}:
        if name not in ALTERATIONS:
            raise UserError(f"--expect {name}: no such alteration; choose among {', '.join(ALTERATIONS)}.")
    require_recordable(place_of(place))
    with ExitStack() as stack:
        stack.enter_context(digested_once())
        # A named cluster is asked even where nothing needs it yet: what the cache lost is made where the user says.
        if address is not None:
            stack.enter_context(ray_session(address))
        # What is wrong with a run is said before Ray starts here, and what the run stored needs no Ray.
        finished = finished_folds(place)
        if address is None and not stored_only:
            stack.enter_context(ray_session())
        if not stored_only and not keeps_models(finished):
            display.warn(f"{finished.settings.detector} keeps no model, so that no altered pictures are scored.")
            stored_only = True
        run = gather_evidence(finished, cache, display)
        parts = list_restrictions(run, by)
        work = _Work(run, cache, display, stored_only, pictures_per_fold, dict(expected or {}))
        findings = []
        for name in own:
            with display.stage(f"diagnose {name}"):
                findings.append(_DIAGNOSE[name](work))
        draw_figures(run, findings, activations=work.activations or {})
        for column, value in parts:
            for name in own:
                with display.stage(f"diagnose {name} of {column} {value}"):
                    finding = _diagnose_part(work, name, column, value)
                findings.append(replace(finding, name=_part_name(name, column, value)))
        # Whatever others' code does to this process, what was found before it is kept.
        record_findings(run, findings, mute, DIAGNOSES)
        for plugin in added:
            with display.stage(f"diagnose {plugin.name}"):
                found = [make_added(plugin, run, seed=work.seed)]
            for column, value in parts:
                with display.stage(f"diagnose {plugin.name} of {column} {value}"):
                    finding = make_added(plugin, restrict(run, column, value, plugin.name), seed=work.seed)
                found.append(replace(finding, name=_part_name(plugin.name, column, value)))
            record_findings(run, found, mute, DIAGNOSES)
            findings += found
    for code in mute:
        if code not in PITFALLS and code not in {finding.code for finding in findings}:
            display.say(f"--mute {code}: no finding has this code.")
    return findings


@dataclass
class _Work:
    """What several diagnoses share, computed when first asked for."""

    run: RunEvidence
    cache: str | Path
    display: Display
    stored_only: bool
    pictures_per_fold: int
    expected: dict[str, float]
    activations: dict[str, Activations] | None = None
    near: tuple[pa.Table, bool] | None = None

    @property
    def seed(self) -> int:
        return self.run.settings.seed

    def rescore(self, wanted: list[AlteredPictures], title: str) -> pa.Table:
        """Scores of altered pictures with their objects and labels."""
        with self.display.stage(title) as progress:
            table = rescore(
                self.run.inputs.seen_place,
                wanted,
                seed=self.seed,
                feature_dtype=self.run.settings.feature_dtype,
                tile_score=self.run.settings.preparation.tile_score,
                progress=progress,
            )
        known = dict(
            zip(
                self.run.pictures["image_id"].to_pylist(),
                zip(self.run.pictures["object_id"].to_pylist(), self.run.pictures["label"].to_pylist(), strict=True),
                strict=True,
            )
        )
        rows = [known[image_id] for image_id in table["image_id"].to_pylist()]
        table = table.append_column("object_id", pa.array([owner for owner, _ in rows], pa.string()))
        return table.append_column("label", pa.array([label for _, label in rows], pa.int8()))

    def sample(self, fold: int, label: int, among: frozenset[str] | None = None) -> tuple[str, ...]:
        """Inference pictures of a fold in turns and views that trained, at most `pictures_per_fold`, perhaps only those
        `among` some.
        """
        scores = self.run.scores
        rows = scores.filter(
            pc.and_(
                pc.and_(pc.equal(scores["fold"], fold), pc.equal(scores["label"], label)),
                pc.and_(pc.equal(scores["partition"], "inference"), scores["trained"]),
            )
        )
        image_ids = sorted(i for i in rows["image_id"].to_pylist() if among is None or i in among)
        if len(image_ids) <= self.pictures_per_fold:
            return tuple(image_ids)
        order = numpy_generator(self.seed, "diagnosed pictures", fold, label).permutation(len(image_ids))
        return tuple(sorted(image_ids[index] for index in order[: self.pictures_per_fold]))


def _background(work: _Work) -> Finding:
    swapped = None
    masked = work.run.masked
    if not work.stored_only and masked:
        wanted = []
        for fold, split in work.run.splits.items():
            folder = work.run.folder.fold_place(fold)
            good, bad = (work.sample(fold, label, masked) for label in (0, 1))
            trained = split.filter(pc.equal(split["partition"], "train"))["image_id"].to_pylist()
            donors = tuple(sorted(masked.intersection(trained)))
            if not (good and bad and donors):
                continue
            wanted += [
                AlteredPictures(fold, folder, good + bad, alteration, donors=donors)
                for alteration in ("none", *BACKGROUND_ALTERATIONS)
            ]
        swapped = work.rescore(wanted, "score pictures with other backgrounds") if wanted else None
    return diagnose_background(fold_maps(work.run), swapped, seed=work.seed)


def _silhouette(work: _Work) -> Finding:
    return diagnose_silhouette(fold_maps(work.run), seed=work.seed)


def _variance(work: _Work) -> Finding:
    """The run's preparation, its views, and, where masks are known, background removed and objects centred."""
    run = work.run
    good = run.plain(label=0)
    owner = dict(zip(good["image_id"].to_pylist(), good["object_id"].to_pylist(), strict=True))
    chosen = {"as it is": (run.inputs, good["image_id"].to_pylist())}
    views = good["view"].value_counts().to_pylist()
    common = sorted((v for v in views if v["values"] is not None and v["counts"] > 2), key=lambda v: -v["counts"])
    for view in sorted(str(v["values"]) for v in common[:_MOST_VIEWS]) if len(common) > 1 else []:
        chosen[f"view {view}"] = (run.inputs, good.filter(pc.equal(good["view"], view))["image_id"].to_pylist())
    if not work.stored_only and run.manifest["foreground_path"].null_count == 0:
        config = config_from_dict(run.settings.detector, run.settings.config)
        first = detector_class(run.settings.detector).feature_requests(config)[:1]
        plain = replace(run.settings.preparation.whole, train_angles=(0.0,), eval_angles=(0.0,), keep_views=None)
        for name, preparation in (
            ("masked", replace(plain, mask_background=True, centre_embed=None, fit="stretch")),
            ("masked and centred", replace(plain, mask_background=True, centre_embed="auto", fit="pad")),
        ):
            if preparation == plain:
                continue
            settings = replace(run.settings, preparation=preparation)
            inputs = prepare_inputs(
                settings, run.manifest, fingerprint(run.manifest), work.cache, work.display, requests=first
            )
            chosen[name] = (inputs, good["image_id"].to_pylist())
    work.activations = {name: activations_of(inputs, image_ids) for name, (inputs, image_ids) in chosen.items()}
    objects = {name: [owner[image_id] for image_id in image_ids] for name, (_, image_ids) in chosen.items()}
    return diagnose_variance(work.activations, objects, seed=work.seed)


def _invariance(work: _Work) -> Finding:
    run = work.run
    scores = run.scores.filter(
        pc.and_(pc.equal(run.scores["label"], 0), pc.equal(run.scores["partition"], "inference"))
    )
    scores = scores.filter(pc.is_in(scores["fold"], pa.array(list(run.thresholds), pa.int32())))
    rescored = None
    if not work.stored_only:
        wanted = []
        for fold in run.thresholds:
            image_ids = work.sample(fold, 0)
            if image_ids:
                folder = run.folder.fold_place(fold)
                wanted.append(AlteredPictures(fold, folder, image_ids, "none"))
                wanted += [
                    AlteredPictures(fold, folder, image_ids, name, tuple(map(float, spec.doses)))
                    for name, spec in ALTERATIONS.items()
                ]
        rescored = work.rescore(wanted, "score altered good pictures") if wanted else None
    return diagnose_invariance(scores, run.thresholds, rescored, work.expected, seed=work.seed)


def _leakage(work: _Work) -> Finding:
    if work.near is None:
        work.near = near_duplicates(work.run)
    near, known = work.near
    return diagnose_leakage(work.run.splits, work.run.scores, near, poses_known=known, seed=work.seed)


def _shift(work: _Work) -> Finding:
    run = work.run
    # A fold's training pictures and those of its evaluation pictures that ought to be like them.
    odd = set(run.scores.filter(pc.invert(run.scores["trained"]))["image_id"].to_pylist())
    good = run.pictures.filter(pc.equal(run.pictures["label"], 0))
    good = good.filter(pc.invert(pc.is_in(good["image_id"], pa.array(sorted(odd), pa.string()))))
    image_ids = good["image_id"].to_pylist()
    return diagnose_shift(
        spatial_means(run, image_ids), image_ids, good["object_id"].to_pylist(), run.splits, seed=work.seed
    )


def _threshold(work: _Work) -> Finding:
    return diagnose_fragility(work.run.scores, work.run.strategy, seed=work.seed, **_threshold_rules(work.run))


def _threshold_rules(run: RunEvidence) -> dict[str, Any]:
    """What a run's thresholds are chosen by, beside the strategy."""
    return {name: run.settings.evaluation[name] for name in _THRESHOLD_RULES if name in run.settings.evaluation}


def _likelihood(work: _Work) -> Finding:
    settings = work.run.settings
    config = config_from_dict(settings.detector, settings.config)
    if not detector_class(settings.detector).gives_likelihoods(config):
        return skipped("likelihood", f"{settings.detector} gives no likelihoods with these settings.")
    trained = work.run.scores.filter(work.run.scores["trained"])
    return diagnose_likelihood(trained, complexity_table(work.run), seed=work.seed)


def _condition(work: _Work) -> Finding:
    return condition_gap(work.run, seed=work.seed, **_threshold_rules(work.run))


_DIAGNOSE: dict[str, Callable[[_Work], Finding]] = {
    "background": _background,
    "silhouette": _silhouette,
    "variance": _variance,
    "invariance": _invariance,
    "leakage": _leakage,
    "shift": _shift,
    "threshold": _threshold,
    "likelihood": _likelihood,
    "condition": _condition,
}


def _part_name(name: str, column: str, value: str) -> str:
    return f"{name}[{column}={value}]"


def _diagnose_part(work: _Work, name: str, column: str, value: str) -> Finding:
    part = restrict(work.run, column, value, name)
    labels = set(part.scores.filter(pc.equal(part.scores["partition"], "inference"))["label"].to_pylist())
    for label, word in ((0, "good"), (1, "defective")):
        if label not in labels:
            return skipped(name, f"No {word} pictures of {column} {value} are judged.")
    return _DIAGNOSE[name](replace(work, run=part))
