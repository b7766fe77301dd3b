"""A finalised model of 64-pixel plates, made in a second without a run."""

from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import torch

from raylab2f.detectors.backbone_features import backbone_features, backbone_spec
from raylab2f.detectors.base import Samples
from raylab2f.detectors.registry import config_from_dict, config_to_dict, detector_class, preset_config
from raylab2f.features import create_backbone
from raylab2f.models import Decision, Judge, ModelRecord, write_model
from raylab2f.models.familiarity import fit_familiarity, statistics_of
from raylab2f.preparation import Preparation, prepare

SIZE = (64, 64)


def plate(number, *, spot=False, size=(96, 96)):
    """A grey plate (H, W, 3) with noise of its own; one in ten has another shade, a spotted one is defective."""
    generator = np.random.default_rng(number)
    picture = generator.normal(generator.uniform(90, 150), 12, (*size, 3))
    if spot:
        row, column = generator.integers(size[0] // 5, size[0] * 4 // 5, 2)
        cv2.circle(picture, (int(column), int(row)), size[0] // 8, (250, 30, 30), -1)
    return picture.clip(0, 255).astype(np.uint8)


def small_judge(detector="mahalanobis", *, members=1, level="object", angles=(0.0,), fit="stretch", **changes):
    """A model in memory, its threshold between 20 good plates and 6 spotted ones.

    Arguments:
        changes: settings of the detector's `fast` preset, and `low_threshold`, a share of the threshold.
    """
    low = changes.pop("low_threshold", None)
    # CS-Flow halves its maps twice.
    deep = {"layers": ["blocks.4"]} if detector == "csflow" else {}
    values = {**config_to_dict(preset_config(detector, "fast")), "size": list(SIZE), **deep, **changes}
    config = config_from_dict(detector, values)
    preparation = Preparation(SIZE, fit)
    good = np.stack([prepare(plate(number), preparation).picture for number in range(20)])
    bad = np.stack([prepare(plate(100 + number, spot=True), preparation).picture for number in range(6)])
    cls = detector_class(detector)
    backbones = [create_backbone(backbone_spec(request)) for request in cls.feature_requests(config)]

    def features(pictures):
        found = []
        for backbone, request in zip(backbones, cls.feature_requests(config), strict=True):
            found += backbone_features(backbone, torch.from_numpy(pictures), request.size)
        return [maps.half().float() for maps in found]

    shapes = [tuple(maps.shape[1:]) for maps in features(good[:1])]
    detectors = []
    for number in range(members):
        own = config_from_dict(detector, {**values, "init_seed": number})
        made = cls(own, shapes, backbones[0] if cls.trains_on_pictures else None)
        # Without its epochs: what a test needs is a detector, not a good one.
        pictures = torch.from_numpy(good) if cls.trains_on_pictures else None
        made.begin(Samples(features(good), pictures), seed=number)
        detectors.append(made.eval())
    pooled = features(good)[len(cls.feature_requests(config)[0].layers) - 1].mean(dim=(2, 3)).numpy()
    statistics = np.stack([statistics_of(picture, (96, 96)) for picture in good])
    familiarity, components, _ = fit_familiarity(statistics, pooled, [str(n) for n in range(len(good))], seed=0)
    record = ModelRecord(
        name="plates",
        origin={"way": "ensemble" if members > 1 else "refit", "run": "plates", "folds": [0, 1], "seed": 0},
        dataset={"name": "plates", "fingerprint": "0", "pictures": 26, "objects": 26, "anomalous_objects": 6},
        preparation=preparation.to_dict(),
        angles=angles,
        detector=detector,
        config=config_to_dict(config),
        feature_shapes=tuple(shapes),
        feature_dtype="float16",
        members=tuple((number, float(number), 1.0 + number) for number in range(members)),
        backbone_digests=tuple(backbone.weights_digest for backbone in backbones),
        normalisations=(),
        decision=Decision(level, "max", "youden", 0.0, None, "mean, from 2 folds"),
        map_level=0.0,
        familiarity=familiarity.to_dict(),
        expected={"of": "2 folds", "prevalence": None, "estimates": [], "acceptance": None},
    )
    judge = Judge(record, detectors, backbones, familiarity, components)
    scores = judge.score(np.concatenate([good, bad]))
    threshold = float(scores.scores[:20].max() + scores.scores[20:].min()) / 2
    decision = Decision(level, "max", "youden", threshold, None if low is None else low * threshold, "mean")
    judge.record = replace(
        record, decision=decision, map_level=float(np.quantile(judge.upsample(scores.maps[:20]), 0.999))
    )
    return judge


def write_small_model(folder, judge=None, **options):
    """The folder of `small_judge(**options)`, or of a judge that was made so; returns it."""
    judge = judge or small_judge(**options)
    pictures = np.stack([prepare(plate(number), judge.preparation).picture for number in range(4)])
    scores = judge.score(pictures).scores
    encoded = [cv2.imencode(".png", cv2.cvtColor(one, cv2.COLOR_RGB2BGR))[1].tobytes() for one in pictures]
    names = [f"plate {number}.png" for number in range(4)]
    reference = pa.table({"image_id": names, "object_id": names, "label": [0] * 4, "picture": encoded, "score": scores})
    numbers = range(40)
    seen = judge.look([plate(number, spot=number >= 36) for number in numbers])
    evaluation = pa.table(
        {
            "image_id": [f"evaluated {number}" for number in numbers],
            "object_id": [f"evaluated {number}" for number in numbers],
            "label": [int(number >= 36) for number in numbers],
            "condition": pa.nulls(40, pa.string()),
            "score": [float(opinion.scores[0]) for opinion in seen],
            "strangeness": [opinion.strangeness for opinion in seen],
            "verdict": [judge.record.decision.verdict(float(opinion.scores[0])) for opinion in seen],
        }
    )
    states = [detector.state_dict() for detector in judge.detectors]
    write_model(folder, judge.record, states, judge.components, reference, evaluation, "# plates\n")
    return folder
