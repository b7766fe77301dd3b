"""Background shortcut and silhouette."""

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.diagnostics import diagnose_background, diagnose_silhouette
from raylab2f.diagnostics.maps import correlation, masks_on_grid, region_columns, region_scores
from raylab2f.diagnostics.silhouette import averages, mean_maps

LABELS = np.repeat([0, 1], [40, 20])


def test_a_detector_that_sees_the_defect_passes(make_maps):
    finding = diagnose_background([make_maps(defect=6.0)], seed=0)
    assert finding.verdict == "pass"
    assert finding.measure("peak-in-defect").estimate.value > 0.9
    assert finding.measure("foreground-auroc").estimate.value > 0.95
    # Noise is everywhere alike: the background's share of the mass is about its share of the area, 108 of 144 cells.
    assert finding.measure("mass-outside-nominal").estimate.value == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_detector_that_sees_the_background_fails_even_when_it_inverts_the_classes(make_maps, sign):
    maps = make_maps(background=8.0)
    if sign < 0:
        labels = 1 - maps.labels
        maps = type(maps)(**{**vars(maps), "labels": labels})
    finding = diagnose_background([maps], seed=0)
    assert finding.verdict == "fail"
    assert finding.figure.name == "background-auroc"
    assert finding.figure.estimate.value > 0.95


def test_without_foregrounds_it_says_so(make_maps):
    finding = diagnose_background([make_maps(masks=False)], seed=0)
    assert finding.verdict == "skip"
    assert "segment" in finding.why


@pytest.mark.parametrize("label", [0, 1])
def test_masks_of_one_class_alone_tell_nothing(make_maps, label):
    finding = diagnose_background([make_maps(background=8.0, masks=label == LABELS)], seed=0)
    assert finding.verdict == "skip"
    assert ("40 good and 0 defective" if label == 0 else "0 good and 20 defective") in finding.why


def test_only_pictures_whose_mask_is_known_are_judged(make_maps):
    finding = diagnose_background([make_maps(background=8.0, masks=np.arange(60) % 3 != 0)], seed=0)
    assert finding.verdict == "fail"
    assert finding.figure.estimate.value > 0.95
    assert finding.evidence.num_rows == 40
    assert finding.measure("mass-outside-nominal").estimate.value == pytest.approx(0.75, abs=0.02)
    assert "20 of 60" in finding.seen_on[0]


def test_masks_that_show_no_background_are_not_called_missing(make_maps):
    maps = make_maps()
    whole = type(maps)(**{**vars(maps), "foregrounds": np.ones_like(maps.foregrounds)})
    finding = diagnose_background([whole], seed=0)
    assert finding.verdict == "skip"
    assert "no background" in finding.why


def test_the_average_object_is_that_of_known_masks(make_maps):
    good_only = diagnose_silhouette([make_maps(outline=5.0, masks=(LABELS == 0) & (np.arange(60) % 2 == 0))], seed=0)
    assert good_only.figure.estimate == diagnose_silhouette([make_maps(outline=5.0)], seed=0).figure.estimate
    defective_only = diagnose_silhouette([make_maps(outline=5.0, masks=LABELS == 1)], seed=0)
    assert [measure.name for measure in defective_only.measures] == ["average-map-correlation"]


def test_a_fall_with_other_backgrounds_fails(make_maps):
    maps = make_maps(defect=6.0)
    rng = np.random.default_rng(0)
    rows = []
    for alteration, scores in (("none", maps.scores), ("background-swap", rng.normal(size=60))):
        rows += [
            {"fold": 0, "image_id": i, "object_id": o, "label": int(label), "alteration": alteration, "score": float(s)}
            for i, o, label, s in zip(maps.image_ids, maps.objects, maps.labels, scores, strict=True)
        ]
    finding = diagnose_background([maps], pa.Table.from_pylist(rows), seed=0)
    assert finding.verdict == "fail"
    assert finding.figure.name == "background-swap-loss"


def test_the_rule_is_the_detectors_own(make_maps):
    maps = make_maps(defect=6.0)
    assert region_scores([region_columns(maps)]).rule == "max"
    means = maps.maps.reshape(60, -1).mean(axis=1).astype(float)
    assert region_scores([region_columns(type(maps)(**{**vars(maps), "scores": means}))]).rule == "mean"


def test_maps_that_draw_the_outline_fail(make_maps):
    finding = diagnose_silhouette([make_maps(outline=5.0)], seed=0)
    assert finding.verdict == "fail"
    assert finding.figure.name == "outline-correlation"
    assert diagnose_silhouette([make_maps(defect=5.0)], seed=0).verdict == "pass"


def test_maps_that_are_always_the_same_warn(make_maps):
    maps = make_maps()
    usual = np.random.default_rng(1).normal(0, 5, maps.maps.shape[1:])
    finding = diagnose_silhouette([type(maps)(**{**vars(maps), "maps": maps.maps + usual.astype(np.float32)})], seed=0)
    assert finding.verdict == "warn"
    assert finding.figure.name == "average-map-correlation"


def test_mean_maps_are_of_good_pictures(make_maps):
    maps = make_maps(background=50.0)
    usual = mean_maps([averages(maps), averages(maps)])
    np.testing.assert_allclose(usual["map_mean"], maps.maps[maps.labels == 0].mean(axis=0), rtol=1e-5)
    assert usual["foreground_std"].max() == 0


def test_masks_become_shares_of_cells():
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[0, :2, :3] = 1
    np.testing.assert_allclose(masks_on_grid(mask, (2, 2))[0], [[6 / 16, 0], [0, 0]])


def test_a_constant_tells_nothing():
    assert correlation(np.ones(5), np.arange(5)) == 0
    assert correlation(np.arange(5), 3 - 2 * np.arange(5)) == pytest.approx(-1)
