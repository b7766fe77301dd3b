"""From a finished run to one model with its threshold, the evidence for it, and what it needs to judge pictures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.cluster.session import ray_session
from raylab2f.cluster.training.placement import FoldResources
from raylab2f.detectors.backbone_features import backbone_spec
from raylab2f.detectors.base import Detector
from raylab2f.detectors.checkpoint import load_detector
from raylab2f.errors import UserError
from raylab2f.features import FeatureStore, Weights, backbone_weights, create_backbone
from raylab2f.files.digests import digested_once
from raylab2f.files.locks import folder_in_use
from raylab2f.files.mirror import local, publish
from raylab2f.files.places import name_of, names_in, place_of
from raylab2f.files.strangers import read_json
from raylab2f.models.familiarity import Components, Familiarity, fit_familiarity, statistics_of
from raylab2f.models.folder import MODEL_FILES, write_model
from raylab2f.models.judging import Judge
from raylab2f.models.record import ModelRecord
from raylab2f.reporting import Display
from raylab2f.reporting.model_card import model_card
from raylab2f.seeding import numpy_generator
from raylab2f.versions import version_of
from raylab2f.workflows.evidence import (
    FinishedFolds,
    RunEvidence,
    finished_folds,
    gather_evidence,
    keeps_models,
)
from raylab2f.workflows.model_evaluation import evaluation_table
from raylab2f.workflows.model_thresholds import (
    decide,
    expected_outcomes,
    members_of,
    require_carried,
    strategy_of,
)
from raylab2f.workflows.refitting import refit_run
from raylab2f.workflows.tiled_references import frame_of_positions, leaves_out_tiles, picture_maps, reference_tiles

__all__ = ["WAYS", "Way", "finalise_run"]

Way = Literal["refit", "from-fold", "ensemble"]
WAYS = ("refit", "from-fold", "ensemble")

_REFERENCES = 50
_MOST_FAMILIAR = 2000
# Of the values of maps of good pictures, as many lie below what is shown as a region.
_CLEAR = 0.999
_VERSIONED = ("raylab2f", "torch", "timm", "numpy", "opencv-python-headless")


def finalise_run(
    run: str | Path,
    out: str,
    *,
    way: Way,
    cache: str | Path,
    display: Display,
    resources: FoldResources,
    fold: int | None = None,
    strategy: str | None = None,
    carry: str = "anchored",
    with_backbone: bool = False,
    address: str | None = None,
) -> ModelRecord:
    """Write the folder of a model.

    Arguments:
        run: folder or URI of a run with at least one finished fold.
        out: folder or URI for the model; new, or empty.
        way: `refit`, one detector trained on all good parts; `from-fold`, that of a fold; `ensemble`, all folds'.
        fold: which, for `from-fold`.
        strategy: of the run, by which thresholds were chosen; `None`: the first.
        carry: for `refit`, how the threshold comes from the folds', see `raylab2f.evaluation.decisions.carried`.
        with_backbone: put the backbone's weights into the folder.
        address: of a Ray cluster; `None`: a private one where something is to be computed.

    Raises:
        UserError: no such run, fold, strategy or way; `out` holds other files.
    """
    finished = finished_folds(run)
    _require_free(out)
    if not keeps_models(finished):
        raise UserError(
            f"{run}: {finished.settings.detector} keeps no model that could be installed; give its class state() and "
            "restore(state), and run it again."
        )
    if way == "from-fold" and fold not in finished.numbers:
        known = ", ".join(map(str, finished.numbers))
        raise UserError(f"--from-fold {fold}: this run has no such finished fold; choose one of {known}.")
    if way != "from-fold":
        _require_all_judged(finished)
    chosen = strategy_of(finished.folder, finished.settings, strategy)
    with ExitStack() as stack:
        stack.enter_context(digested_once())
        if address is not None:
            stack.enter_context(ray_session(address))
        evidence = gather_evidence(finished, cache, display)
        refitted = None
        if way == "refit":
            require_carried(evidence, chosen, carry)
            stack.enter_context(finished.folder.in_use())
            refitted = refit_run(evidence, display, resources, address)
        members = members_of(evidence, way, fold, refitted)
        decision = decide(evidence, members, way, fold=fold, strategy=chosen, carry=carry)
        with display.stage("look at what is familiar"):
            familiarity, components, distances = _familiar(evidence)
        evaluation = evaluation_table(evidence, members, decision, way, distances)
        detectors = [load_detector(member.folder) for member in members]
        requests = type(detectors[0]).feature_requests(detectors[0].config)
        weights = [backbone_weights(backbone_spec(request)) for request in requests] if with_backbone else []
        record = ModelRecord(
            name=finished.folder.name,
            origin={
                "way": way,
                "run": finished.folder.name,
                "folds": [fold] if way == "from-fold" else list(finished.numbers),
                "seed": finished.settings.seed,
            },
            dataset=_described(evidence),
            preparation=evidence.inputs.preparation.to_dict(),
            angles=finished.settings.preparation.eval_angles,
            detector=finished.settings.detector,
            config=members[0].config,
            feature_shapes=members[0].feature_shapes,
            feature_dtype=finished.settings.feature_dtype,
            members=tuple((member.config["init_seed"], member.centre, member.scale) for member in members),
            backbone_digests=(),
            normalisations=tuple((tuple(w.normalisation.mean), tuple(w.normalisation.std)) for w in weights),  # type: ignore[misc]  # three channels
            decision=decision,
            map_level=0.0,
            familiarity=familiarity.to_dict(),
            expected=expected_outcomes(evidence, decision, way, fold),
            foreground_tiles=leaves_out_tiles(evidence),
            tile_score=finished.settings.preparation.tile_score,
            positions=members[0].positions,
            frame=frame_of_positions(evidence),
            versions={name: version_of(name) for name in _VERSIONED},
        )
        with display.stage("score reference pictures"):
            written = _write(evidence, out, record, detectors, familiarity, components, evaluation, weights)
    publish(out, MODEL_FILES)
    return written


def _require_all_judged(finished: FinishedFolds) -> None:
    """`UserError` where the run's figures, which would be the evidence, are of other folds than are there."""
    judged, there = read_json(finished.folder.summary)["folds"]["finished"], len(finished.numbers)
    if judged != there:
        raise UserError(
            f"{finished.folder.place}: its figures are of {judged} folds, but it holds {there}; finish it with run-cv "
            "--resume, or take one of them with --from-fold."
        )


def _require_free(out: str) -> None:
    """`UserError` where other files lie than what a finalising that was cut off left."""
    names = names_in(out)
    ours = all(any(Path(name).match(pattern) for pattern in MODEL_FILES) for name in names)
    if "model.json" in names or not ours:
        raise UserError(f"--out {out} is not empty; choose a new folder.")


def _write(
    evidence: RunEvidence,
    out: str,
    record: ModelRecord,
    detectors: Sequence[Detector],
    familiarity: Familiarity,
    components: Components,
    evaluation: pa.Table,
    weights: Sequence[Weights],
) -> ModelRecord:
    requests = type(detectors[0]).feature_requests(detectors[0].config)
    kept: Sequence[Weights | None] = weights or [None] * len(requests)
    backbones = [create_backbone(backbone_spec(request), own) for request, own in zip(requests, kept, strict=True)]
    record = replace(record, backbone_digests=tuple(backbone.weights_digest for backbone in backbones))
    judge = Judge(record, detectors, backbones, familiarity, components)
    rows = _reference_rows(evidence)
    chosen = rows["image_id"].to_pylist()
    good = np.asarray(rows["label"]) == 0
    if judge.preparation.tiles is None:
        pictures = evidence.inputs.shards.read(chosen, ["picture"])["picture"]
        judged = judge.score(pictures)
        maps = judge.upsample(judged.maps[good]) if good.any() else judged.maps
    else:
        rows, pictures, positions = reference_tiles(evidence, rows)
        judged = judge.score(pictures, positions)
        calm = [name for name, is_good in zip(chosen, good, strict=True) if is_good]
        maps = picture_maps(evidence, judge, calm or chosen)
    level = float(np.quantile(maps, _CLEAR)) if good.any() else float(maps.max())
    record = replace(record, map_level=level)
    encoded = [cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes() for picture in pictures]
    reference = rows.append_column("picture", pa.array(encoded, pa.binary()))
    reference = reference.append_column("score", pa.array(judged.scores))
    folder = local(out)
    folder.mkdir(parents=True, exist_ok=True)
    with folder_in_use(folder):
        states = [detector.state_dict() for detector in detectors]
        card = model_card(record.to_dict())
        return write_model(folder, record, states, components, reference, evaluation, card, weights)


def _familiar(evidence: RunEvidence) -> tuple[Familiarity, Components, dict[str, float]]:
    """What the run's pictures are like, as they stand; of very many a seeded choice. And the strangeness of each."""
    plain = evidence.plain().sort_by("image_id")
    judged = plain.filter(pc.is_in(plain["image_id"], evidence.scores["image_id"].combine_chunks()))
    rows = judged if judged.num_rows else plain
    if rows.num_rows > _MOST_FAMILIAR:
        order = numpy_generator(evidence.settings.seed, "familiar pictures").permutation(rows.num_rows)
        rows = rows.take(np.sort(order[:_MOST_FAMILIAR]))
    image_ids = rows["image_id"].to_pylist()
    shapes = list(zip(rows["height"].to_pylist(), rows["width"].to_pylist(), strict=True))
    shards = evidence.inputs.shards
    statistics = []
    for start in range(0, len(image_ids), 256):
        pictures = shards.read(image_ids[start : start + 256], ["picture"])["picture"]
        statistics += [statistics_of(one, shape) for one, shape in zip(pictures, shapes[start:], strict=False)]
    store = FeatureStore.open(local(evidence.inputs.stores[0]))
    pooled = store.means(image_ids, store.layers[-1])
    owners = rows["object_id"].to_pylist()
    familiarity, components, distances = fit_familiarity(
        np.array(statistics), pooled, owners, seed=evidence.settings.seed
    )
    strangeness = distances / familiarity.farthest
    return familiarity, components, dict(zip(image_ids, strangeness.tolist(), strict=True))


def _reference_rows(evidence: RunEvidence) -> pa.Table:
    """As many good as defective pictures, as they stand, chosen by the run's seed."""
    plain = evidence.plain().select(["image_id", "object_id", "label"]).sort_by("image_id")
    chosen = []
    for label in (0, 1):
        places = np.flatnonzero(np.asarray(plain["label"]) == label)
        order = numpy_generator(evidence.settings.seed, "reference pictures", label).permutation(len(places))
        chosen.append(places[order[: _REFERENCES // 2]])
    return plain.take(np.sort(np.concatenate(chosen)))


def _described(evidence: RunEvidence) -> dict[str, Any]:
    described: dict[str, Any] = read_json(evidence.folder.path / "run.json")["dataset"]
    return {**described, "name": name_of(place_of(described["name"]))}
