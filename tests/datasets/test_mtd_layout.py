import shutil
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.datasets import load_dataset
from raylab2f.datasets.layouts.mtd import Shot, same_tile
from raylab2f.errors import UserError

# Below these numbers no tile is known to have been photographed again.
FREE_NUMBERS = 1_000_000


def shots(kind, *pairs):
    return [Shot(number, exposure, kind) for exposure, number in pairs]


def grouped(*lists):
    return {frozenset(tile) for tile in same_tile({shot for own in lists for shot in own})}


def whole_tile(start, kind="Free", steps=(20, 15, 15, 20, 35)):
    numbers = [start]
    for step in steps:
        numbers.append(numbers[-1] + step)
    return shots(kind, *enumerate(numbers, start=1))


@st.composite
def tiles(draw):
    """Whole tiles one after the other, each of one class, as they are mostly photographed."""
    number = FREE_NUMBERS
    result = []
    for _ in range(draw(st.integers(1, 8))):
        number += draw(st.integers(1, 3000))
        steps = draw(st.lists(st.integers(1, 300), min_size=5, max_size=5))
        tile = whole_tile(number, draw(st.sampled_from(["Free", "Blowhole", "Break"])), steps)
        number = tile[-1].number
        result.append(tile)
    return result


@settings(deadline=None)
@given(tiles())
def test_whole_runs_of_rising_exposure_are_tiles_however_close(expected):
    assert grouped(*expected) == {frozenset(tile) for tile in expected}


@st.composite
def any_shots(draw):
    numbers = draw(st.lists(st.integers(0, 4000), max_size=40))
    return {
        Shot(FREE_NUMBERS + n, draw(st.integers(0, 6)), draw(st.sampled_from(["Free", "Fray", "Crack"])))
        for n in numbers
    }


@settings(deadline=None)
@given(any_shots())
def test_every_picture_has_one_tile_and_tiles_are_told_apart_by_their_first_number(pictures):
    groups = same_tile(pictures)
    assert Counter(shot for group in groups for shot in group) == Counter(pictures)
    first = [group[0].number for group in groups]
    assert len(set(first)) == len(first)
    assert all(a.number <= b.number for group in groups for a, b in pairwise(group))


@settings(deadline=None)
@given(any_shots())
def test_a_run_within_a_class_is_never_torn(pictures):
    """Whoever looks at one class alone, for rising exposure in steps of up to 400, finds no run in two groups."""
    owner = {shot: index for index, group in enumerate(same_tile(pictures)) for shot in group}
    classes = defaultdict(list)
    for shot in sorted(pictures, key=lambda shot: (shot.number, shot.exposure)):
        classes[shot.kind].append(shot)
    for own in classes.values():
        for before, after in pairwise(own):
            if after.exposure > before.exposure and after.number - before.number <= 400:
                assert owner[before] == owner[after]


class TestRule:
    def test_single_exposures_in_another_class_belong_to_the_tile(self):
        run = whole_tile(FREE_NUMBERS)
        mixed = [*run[:2], Shot(run[2].number, run[2].exposure, "Break"), *run[3:]]
        assert grouped(mixed) == {frozenset(mixed)}

    def test_interleaved_tiles_of_two_classes_are_apart(self):
        one, other = whole_tile(FREE_NUMBERS), whole_tile(FREE_NUMBERS + 7, "Blowhole")
        assert grouped(one, other) == {frozenset(one), frozenset(other)}

    def test_interleaved_tiles_of_one_class_stay_together(self):
        both = whole_tile(FREE_NUMBERS) + whole_tile(FREE_NUMBERS + 7)
        assert grouped(both) == {frozenset(both)}

    def test_a_run_may_begin_in_the_middle_of_the_exposures(self):
        base = FREE_NUMBERS
        cycle = shots("Free", (3, base), (4, base + 12), (5, base + 23), (6, base + 34), (1, base + 44), (2, base + 56))
        assert grouped(cycle) == {frozenset(cycle)}

    def test_a_broken_run_continues_the_whole_one_before_it(self):
        run = whole_tile(FREE_NUMBERS)
        again = shots("Free", (1, run[-1].number + 77), (2, run[-1].number + 110))
        assert grouped(run, again) == {frozenset(run + again)}

    def test_a_large_step_parts_unless_the_next_exposure_follows(self):
        base = FREE_NUMBERS
        near = shots("Free", (1, base), (2, base + 600))
        assert len(grouped(near)) == 1
        far = shots("Free", (1, base), (2, base + 601))
        assert len(grouped(far)) == 2
        skipping = shots("Free", (1, base), (3, base + 401))
        assert len(grouped(skipping)) == 2

    def test_the_same_number_in_two_classes_is_one_photograph(self):
        run = whole_tile(FREE_NUMBERS)
        copies = [Shot(shot.number, shot.exposure, "Uneven") for shot in run]
        assert grouped(run, copies) == {frozenset(run + copies)}

    def test_tiles_photographed_again_are_one(self):
        first, later = whole_tile(306586), whole_tile(309352)
        assert grouped(first, later) == {frozenset(first + later)}
        assert grouped(later) == {frozenset(later)}


class TestReading:
    @pytest.fixture
    def root(self, tmp_path, save, save_mask):
        for kind, name in (("Free", "exp1_num_100"), ("Free", "exp2_num_120"), ("Blowhole", "exp1_num_9000")):
            save(tmp_path / f"MT_{kind}" / "Imgs" / f"{name}.jpg")
            save_mask(tmp_path / f"MT_{kind}" / "Imgs" / f"{name}.png", value=0 if kind == "Free" else 255)
        return tmp_path

    def test_columns(self, root):
        dataset = load_dataset(root)
        rows = dataset.manifest.to_pylist()
        assert dataset.warnings == ()
        assert [row["image_id"] for row in rows] == [
            "MT_Blowhole/Imgs/exp1_num_9000.jpg",
            "MT_Free/Imgs/exp1_num_100.jpg",
            "MT_Free/Imgs/exp2_num_120.jpg",
        ]
        assert [row["object_id"] for row in rows] == ["tile-009000", "tile-000100", "tile-000100"]
        assert [row["defect_type"] for row in rows] == ["blowhole", "good", "good"]
        assert [row["given_split"] for row in rows] == ["test", "train", "train"]
        assert [row["view"] for row in rows] == ["1", "1", "2"]
        assert [row["mask_path"] is None for row in rows] == [False, True, True]

    def test_a_folder_around_the_classes_is_looked_into(self, root, tmp_path_factory):
        around = tmp_path_factory.mktemp("around")
        shutil.copytree(root, around / "Magnetic tiles")
        dataset = load_dataset(around)
        assert dataset.manifest["image_id"].equals(load_dataset(root).manifest["image_id"])
        shutil.copytree(root, around / "copy")
        with pytest.raises(UserError, match="more than once"):
            load_dataset(around)

    def test_a_mask_without_its_picture(self, root, save_mask):
        save_mask(root / "MT_Free" / "Imgs" / "exp3_num_140.png")
        with pytest.raises(UserError, match=r"MT_Free/Imgs/exp3_num_140\.png: the mask has no picture"):
            load_dataset(root)

    def test_a_mask_of_another_size(self, root, save_mask):
        save_mask(root / "MT_Blowhole" / "Imgs" / "exp1_num_9000.png", size=(3, 3))
        with pytest.raises(UserError, match=r"exp1_num_9000\.png has 3 x 3 pixels"):
            load_dataset(root)

    def test_a_picture_of_another_name(self, root, save):
        save(root / "MT_Free" / "Imgs" / "IMG 1.jpg")
        with pytest.raises(UserError, match=r"IMG 1\.jpg: pictures of layout mtd are called"):
            load_dataset(root)

    def test_a_rule_of_the_user_goes_first(self, root):
        objects = load_dataset(root, object_id=r"num_(?P<object>\d+)").manifest["object_id"].to_pylist()
        assert objects == ["9000", "100", "120"]


@pytest.fixture(scope="module")
def rows(mtd_folder):
    return load_dataset(mtd_folder).manifest.to_pylist()


class TestPublishedPictures:
    def test_counts(self, rows):
        assert Counter(row["defect_type"] for row in rows) == {"good": 952, "blowhole": 115, "break": 85, "fray": 32}
        assert all((row["mask_path"] is None) == (row["label"] == 0) for row in rows)

    def test_objects(self, rows):
        objects = defaultdict(list)
        for row in sorted(rows, key=lambda row: int(row["image_id"].split("_num_")[1].removesuffix(".jpg"))):
            objects[row["object_id"]].append(int(row["view"]))
        assert len(objects) == 186
        # Most tiles were photographed once at each exposure, from the lowest to the highest.
        usual = [views for views in objects.values() if views == [1, 2, 3, 4, 5, 6]]
        assert len(usual) == 171
        assert max(map(len, objects.values())) == 16

    def test_runs_within_a_class_have_one_object(self, rows):
        classes = defaultdict(list)
        for row in rows:
            number = int(row["image_id"].split("_num_")[1].removesuffix(".jpg"))
            classes[row["defect_type"]].append((number, int(row["view"]), row["object_id"]))
        sizes = []
        for pictures in classes.values():
            run = []
            for picture in sorted(pictures):
                if run and (picture[1] <= run[-1][1] or picture[0] - run[-1][0] > 1000):
                    sizes.append(len(run))
                    run = []
                run.append(picture)
                assert len({object_id for _, _, object_id in run}) == 1
            sizes.append(len(run))
        assert sum(sizes) == 1184
        assert max(sizes) <= 7
