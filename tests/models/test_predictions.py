"""From pictures to verdicts: parts together, nothing unreadable or unfamiliar accepted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_models import plate, small_judge

from raylab2f.datasets.unlabelled import Unlabelled
from raylab2f.models.predictions import judge_portion, portions
from raylab2f.models.regions import find_regions, overlay_png


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pictures of three parts, one of them spotted in its second view, and what is no picture."""
    folder = tmp_path_factory.mktemp("line")
    for number in range(3):
        for view in range(2):
            Image.fromarray(plate(10 + number, spot=number == 1 and view == 1)).save(folder / f"{number} {view}.png")
    (folder / "text.png").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "0 0.png").read_bytes()[:400])
    Image.fromarray((plate(3) * 0.2).astype(np.uint8)).save(folder / "dark.png")
    return folder


def wanted(files, *names, part=None):
    return [Unlabelled(name, str(files / name), part) for name in names]


def judged(judge, pictures, **options):
    return judge_portion(judge, pictures, pixel_limit=10**6, **options)


def test_a_part_is_rejected_for_one_of_its_pictures(judge, files):
    found = judged(
        judge, [*wanted(files, "0 0.png", "0 1.png", part="0"), *wanted(files, "1 0.png", "1 1.png", part="1")]
    )
    assert [row["verdict"] for row in found.parts] == ["accept", "reject"]
    assert [row["verdict"] for row in found.pictures] == ["accept", "accept", "reject", "reject"]
    low, high = (row["score"] for row in found.pictures[2:])
    assert low < judge.record.decision.threshold <= high == found.parts[1]["score"]
    assert found.parts[1]["margin"] == high - judge.record.decision.threshold


def test_without_parts_each_picture_stands_for_itself(judge, files):
    found = judged(judge, wanted(files, "1 0.png", "1 1.png"))
    assert [row["verdict"] for row in found.pictures] == ["accept", "reject"]
    assert [row["object_id"] for row in found.parts] == ["1 0.png", "1 1.png"]


def test_what_cannot_be_read_is_a_row_with_the_reason(judge, files):
    missing = Unlabelled("gone", str(files / "gone.png"))
    found = judged(judge, [*wanted(files, "0 0.png", "text.png", "cut.png"), missing])
    assert [row["verdict"] for row in found.pictures] == ["accept", "review", "review", "review"]
    assert [bool(row["error"]) for row in found.pictures] == [False, True, True, True]
    assert all(str(files) not in row["error"] for row in found.pictures[1:])
    assert [row["unreadable"] for row in found.parts] == [0, 1, 1, 1]


def test_a_part_with_an_unreadable_view_is_not_accepted_but_may_be_rejected(judge, files):
    good = judged(judge, wanted(files, "0 0.png", "text.png", part="0"))
    bad = judged(judge, wanted(files, "1 1.png", "text.png", part="1"))
    assert (good.parts[0]["verdict"], bad.parts[0]["verdict"]) == ("review", "reject")


def test_a_picture_of_too_many_pixels_is_not_decoded(judge, files):
    found = judge_portion(judge, wanted(files, "0 0.png"), pixel_limit=96 * 95)
    assert "--pixel-limit" in found.pictures[0]["error"]


def test_the_unfamiliar_is_not_accepted_unless_that_is_ignored(judge, files):
    row = judged(judge, wanted(files, "dark.png")).pictures[0]
    assert "brightness" in row["unfamiliar"]
    assert row["strangeness"] > 0
    assert row["verdict"] != "accept"
    lenient = judged(judge, wanted(files, "dark.png"), unfamiliar="ignore").pictures[0]
    assert lenient["verdict"] == judge.record.decision.verdict(lenient["part_score"])
    assert lenient["unfamiliar"] == row["unfamiliar"]


def test_between_two_thresholds_a_person_looks(files):
    judge = small_judge(low_threshold=0.0)
    found = judged(judge, wanted(files, "0 0.png", "1 1.png"))
    assert [row["verdict"] for row in found.parts] == ["review", "reject"]


def test_a_model_that_turns_pictures_counts_every_turn(files):
    plain, turning = small_judge(), small_judge(angles=(0.0, 90.0))
    one = plain.look([plate(10)])[0].scores
    both = turning.look([plate(10)])[0].scores
    assert both[0] == pytest.approx(one[0], rel=1e-5)
    turned = plain.look([np.ascontiguousarray(np.rot90(plate(10)))])[0].scores
    assert both[1] == pytest.approx(turned[0], rel=1e-3)
    only = small_judge(angles=(90.0,)).look([plate(10)])[0].scores
    assert only == pytest.approx(both[1:], rel=1e-5)


def test_a_model_of_pictures_decides_them_one_by_one(files):
    judge = small_judge(level="image")
    found = judged(judge, wanted(files, "1 0.png", "1 1.png", part="1"))
    assert found.parts[0]["score"] == max(row["score"] for row in found.pictures)


def test_overlays_and_regions_show_where(judge, files):
    found = judged(judge, wanted(files, "1 1.png"), overlays=True)
    (name, png), best = found.overlays[0], found.regions[0]
    assert name == "1 1.png"
    assert png.startswith(b"\x89PNG")
    red = plate(11, spot=True)[..., 0].astype(int) - plate(11, spot=True)[..., 2]
    row, column = (place.mean() * 64 / 96 for place in np.nonzero(red > 150))
    assert abs(best["peak_x"] - column) < 16
    assert abs(best["peak_y"] - row) < 16
    assert best["peak"] >= judge.record.map_level


def test_regions_are_what_a_loop_over_pixels_finds():
    map_ = np.zeros((12, 12), np.float32)
    map_[1:3, 1:4], map_[2, 3] = 2, 5
    map_[8:10, 8:9] = 3
    found = find_regions(map_, 2.0)
    assert [(r.left, r.top, r.width, r.height, r.area, r.peak, r.peak_x, r.peak_y) for r in found] == [
        (1, 1, 3, 2, 6, 5.0, 3, 2),
        (8, 8, 1, 2, 2, 3.0, 8, 8),
    ]
    assert find_regions(map_, 6.0) == []
    assert overlay_png(np.zeros((12, 12, 3), np.uint8), map_, 6.0).startswith(b"\x89PNG")


@given(st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(0, 99)), unique=True))
def test_portions_hold_whole_parts_and_everything_once(rows):
    pictures = sorted(
        (Unlabelled(f"{part} {number}", "", part) for part, number in rows),
        key=lambda one: (one.object_id or one.image_id, one.image_id),
    )
    made = list(portions(pictures))
    assert [one for portion in made for one in portion] == pictures
    for part in "abc":
        assert sum(any(one.object_id == part for one in portion) for portion in made) <= 1
