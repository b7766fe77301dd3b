import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.preparation import Preparation, PreparationSettings, prepare, shard_address


@pytest.fixture(scope="module")
def scene():
    """A bright object of 20x10 pixels off the centre of a grey picture, with a defect of 2x2 in its corner."""
    picture = np.full((60, 90, 3), 90, np.uint8)
    foreground, defect = np.zeros((60, 90), bool), np.zeros((60, 90), bool)
    foreground[5:25, 70:80] = True
    defect[5:7, 70:72] = True
    picture[foreground] = 200
    picture[defect] = (250, 0, 0)
    return picture, foreground, defect


def test_without_steps_only_the_size_changes(scene):
    picture, foreground, defect = scene
    prepared = prepare(picture, Preparation((60, 90)), foreground=foreground, defect=defect)
    np.testing.assert_array_equal(prepared.picture, picture)
    np.testing.assert_array_equal(prepared.foreground, foreground)
    np.testing.assert_array_equal(prepared.defect, defect)


def test_absent_masks_mean_all_foreground_and_no_defect(scene):
    prepared = prepare(scene[0], Preparation((30, 30)))
    assert prepared.foreground.all()
    assert not prepared.defect.any()


def test_masking_blackens_the_background_and_nothing_else(scene):
    picture, foreground, defect = scene
    prepared = prepare(picture, Preparation((60, 90), mask_background=True), foreground=foreground, defect=defect)
    assert not prepared.picture[~foreground].any()
    np.testing.assert_array_equal(prepared.picture[foreground], picture[foreground])


@given(size=st.tuples(st.integers(16, 150), st.integers(16, 150)), fit=st.sampled_from(["stretch", "pad"]))
def test_at_any_size_what_is_not_foreground_is_black(scene, size, fit):
    picture, foreground, _ = scene
    prepared = prepare(picture, Preparation(size, fit, mask_background=True), foreground=foreground)
    assert not prepared.picture[~prepared.foreground].any()
    assert prepared.picture[prepared.foreground].any()


def test_embedding_centres_the_object_and_its_masks_follow(scene):
    picture, foreground, defect = scene
    prepared = prepare(picture, Preparation((40, 30), "pad", canvas=(40, 30)), foreground=foreground, defect=defect)
    expected = np.zeros((40, 30), bool)
    expected[10:30, 10:20] = True
    np.testing.assert_array_equal(prepared.foreground, expected)
    np.testing.assert_array_equal(prepared.picture[expected], picture[foreground])
    assert not prepared.picture[~expected].any()
    assert np.argwhere(prepared.defect).tolist() == [[10, 10], [10, 11], [11, 10], [11, 11]]


def test_an_embedded_object_keeps_its_aspect_on_a_square_picture(scene):
    picture, foreground, _ = scene
    prepared = prepare(picture, Preparation((64, 64), "pad", canvas=(20, 40)), foreground=foreground)
    rows, columns = np.flatnonzero(prepared.foreground.any(axis=1)), np.flatnonzero(prepared.foreground.any(axis=0))
    assert (len(rows), len(columns)) == (32, 16)


@given(angle=st.sampled_from([90.0, 180.0, 270.0, -90.0, 450.0]))
def test_quarter_turns_move_pixels_and_change_none(angle):
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    mask = picture[..., 0] > 128
    prepared = prepare(picture, Preparation((20, 20)), foreground=mask, defect=mask, angle=angle)
    turns = int(angle // 90) % 4
    np.testing.assert_array_equal(prepared.picture, np.rot90(picture, turns))
    np.testing.assert_array_equal(prepared.defect, np.rot90(mask, turns))


@given(angle=st.floats(-180, 180), row=st.integers(20, 39), column=st.integers(20, 39))
def test_turning_keeps_small_defects_and_leaves_no_black_corners(angle, row, column):
    picture = np.full((60, 60, 3), 77, np.uint8)
    defect = np.zeros((60, 60), bool)
    defect[row, column] = True
    prepared = prepare(picture, Preparation((60, 60)), defect=defect, angle=angle)
    assert 1 <= prepared.defect.sum() <= 9
    assert (prepared.picture == 77).all()
    assert prepared.foreground.all()


@given(angle=st.floats(0, 360))
def test_an_object_is_turned_before_it_is_embedded_and_nothing_of_it_is_lost(angle):
    foreground = np.zeros((60, 90), bool)
    foreground[0:20, 60:90] = True
    picture = np.where(foreground[..., None], 200, 90).repeat(3, axis=2).astype(np.uint8)
    preparation = Preparation((60, 60), "pad", mask_background=True, canvas=(60, 60))
    prepared = prepare(picture, preparation, foreground=foreground, angle=angle)
    rows, columns = (np.flatnonzero(prepared.foreground.any(axis=axis)) for axis in (1, 0))
    assert abs((rows[0] + rows[-1]) / 2 - 29.5) <= 0.5
    assert abs((columns[0] + columns[-1]) / 2 - 29.5) <= 0.5
    assert 600 <= prepared.foreground.sum() <= 600 + 4 * 60


def test_the_box_spans_several_objects():
    foreground = np.zeros((50, 50), bool)
    foreground[10:14, 10:14] = foreground[30:34, 40:44] = True
    prepared = prepare(
        np.full((50, 50, 3), 9, np.uint8), Preparation((40, 40), "pad", canvas=(40, 40)), foreground=foreground
    )
    assert prepared.foreground.sum() == 32


def test_masks_that_cannot_be_used_are_named():
    picture = np.zeros((50, 60, 3), np.uint8)
    embedded = Preparation((40, 40), "pad", canvas=(20, 20))
    with pytest.raises(UserError, match="raylab2f segment"):
        prepare(picture, embedded)
    with pytest.raises(UserError, match="empty"):
        prepare(picture, embedded, foreground=np.zeros((50, 60), bool))
    with pytest.raises(UserError, match="does not fit"):
        prepare(picture, embedded, foreground=np.ones((50, 60), bool))
    with pytest.raises(UserError, match="defect mask has 60x50 pixels, but its picture 50x60"):
        prepare(picture, Preparation((40, 40)), defect=np.zeros((60, 50), bool))


def test_mistakes_name_the_option():
    with pytest.raises(UserError, match="--fit"):
        Preparation((64, 64), "crop")
    with pytest.raises(UserError, match="--size"):
        Preparation((8, 64))
    with pytest.raises(UserError, match="--fit stretch"):
        Preparation((64, 64), canvas=(64, 64))
    with pytest.raises(UserError, match="--train-angles"):
        PreparationSettings(train_angles=(0, 360))
    with pytest.raises(UserError, match="--eval-angles"):
        PreparationSettings(eval_angles=())
    with pytest.raises(UserError, match="--eval-angles"):
        PreparationSettings(eval_angles=(float("nan"),))
    with pytest.raises(UserError, match="--centre-embed"):
        PreparationSettings(centre_embed="large")


def test_every_step_changes_the_address():
    plain = {"size": (64, 64), "fit": "pad"}
    steps = [{}, {"mask_background": True}, {"canvas": (9, 9)}, {"canvas": (9, 8)}, {"angles": (90.0,)}]
    addresses = {shard_address("data", Preparation(**plain, **step).to_dict()) for step in steps}
    assert len(addresses) == len(steps)


def test_angles_are_the_same_however_they_are_written():
    written = PreparationSettings(train_angles=(-90, 360, 450), eval_angles=(-1e-20,))
    assert written == PreparationSettings(train_angles=(270, 0, 90), eval_angles=(0,))
    assert written.angles == (90.0, 270.0)


def test_settings_survive_json():
    settings = PreparationSettings(
        keep_views="0:30",
        train_angles=(0, 90),
        eval_angles=(-5.0, 0),
        mask_background=True,
        centre_embed=(60, 80),
        fit="pad",
    )
    assert PreparationSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert settings.angles == (90.0, 355.0)
    assert settings.resolve((64, 64)).canvas == (60, 80)
