import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.datasets.pictures import read_mask, read_picture
from raylab2f.errors import UserError
from raylab2f.preparation.segmentation import NothingDetectedError, Segment
from raylab2f.preparation.segmented_set import (
    embed_picture,
    find_record,
    foreground_file,
    ingredients_digest,
    segment_picture,
)

PICTURE = np.random.default_rng(0).integers(1, 255, (40, 50, 3), dtype=np.uint8)


@pytest.fixture
def mask():
    mask = np.zeros((40, 50), bool)
    mask[5:15, 20:40] = True
    return mask


def test_outputs_of_one_picture(tmp_path, mask):
    truth = np.zeros_like(mask)
    truth[5:15, 20:30] = True
    segment_picture(tmp_path, "a/b.jpg", PICTURE, lambda picture: Segment(mask, 0.7), "digest", truth=truth)
    record = find_record(tmp_path, "segment", "a/b.jpg", "digest")
    assert record["failure"] is None
    assert (record["score"], record["iou"], record["share"]) == (0.7, 0.5, 0.1)
    assert record["box"] == {"top": 5, "left": 20, "height": 10, "width": 20}
    np.testing.assert_array_equal(read_mask(foreground_file(tmp_path, "a/b.jpg")), mask)
    np.testing.assert_array_equal(read_picture(tmp_path / "blanked" / "a" / "b.jpg.png"), PICTURE * mask[..., None])

    embed_picture(tmp_path, "a/b.jpg", PICTURE, mask, truth, record["box"], (20, 20), "centred")
    folder = tmp_path / "embedded"
    np.testing.assert_array_equal(read_picture(folder / "pictures/a/b.jpg.png")[5:15], PICTURE[5:15, 20:40])
    assert read_mask(folder / "foregrounds/a/b.jpg.png").sum() == 200
    assert read_mask(folder / "defects/a/b.jpg.png").sum() == 100
    assert read_picture(folder / "blanked/a/b.jpg.png")[:5].sum() == 0


@pytest.mark.parametrize("empty", [True, False])
def test_a_failure_is_recorded_with_its_reason_and_leaves_no_mask(tmp_path, mask, empty):
    def segmenter(picture):
        if empty:
            return Segment(np.zeros_like(mask))
        raise NothingDetectedError("nothing detected: no box fits the prompt")

    segment_picture(tmp_path, "a.jpg", PICTURE, segmenter, "digest")
    assert find_record(tmp_path, "segment", "a.jpg", "digest")["failure"].startswith("nothing detected")
    assert not foreground_file(tmp_path, "a.jpg").exists()


def test_a_mask_of_everything_is_kept_and_noted(tmp_path, mask):
    segment_picture(tmp_path, "a.jpg", PICTURE, lambda picture: Segment(np.ones_like(mask)), "digest")
    record = find_record(tmp_path, "segment", "a.jpg", "digest")
    assert record["share"] == 1
    assert "covers the whole picture" in record["note"]


def test_outputs_count_only_while_whole_and_of_the_same_ingredients(tmp_path, mask):
    def found(digest="digest"):
        return find_record(tmp_path, "segment", "a.jpg", digest) is not None

    assert not found()
    segment_picture(tmp_path, "a.jpg", PICTURE, lambda picture: Segment(mask), "digest")
    assert found()
    assert not found("another")
    foreground_file(tmp_path, "a.jpg").unlink()
    assert not found()
    segment_picture(tmp_path, "a.jpg", PICTURE, lambda picture: Segment(mask), "digest")
    record = next((tmp_path / "records").rglob("*.json"))
    record.write_text(record.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    assert not found()


def test_the_digest_names_files_and_method():
    row = {"sha256": "1", "mask_sha256": None, "foreground_sha256": None, "path": "x"}
    plain = ingredients_digest(row, {"method": "contrast"})
    assert plain == ingredients_digest({**row, "path": "elsewhere"}, {"method": "contrast"})
    others = [ingredients_digest(row, {"method": "other"})]
    others += [ingredients_digest({**row, name: "2"}, {"method": "contrast"}) for name in ("sha256", "mask_sha256")]
    assert len({plain, *others}) == 4


@given(ids=st.sets(st.text(st.sampled_from("ab./\\%é:"), min_size=1, max_size=6), min_size=2, max_size=8))
def test_every_id_has_a_file_of_its_own_inside_the_folder(ids, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "names"
    files = [foreground_file(folder, image_id) for image_id in ids]
    assert len({file.resolve() for file in files}) == len(ids)
    assert all(file.resolve().is_relative_to((folder / "foregrounds").resolve()) for file in files)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, mask):
    (tmp_path / "foregrounds").write_text(json.dumps("a file in the way"), encoding="utf-8")
    with pytest.raises(UserError, match=r"foregrounds.*cannot be written"):
        segment_picture(tmp_path, "a.jpg", PICTURE, lambda picture: Segment(mask), "digest")
