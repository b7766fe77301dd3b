import json
import shutil
from collections import Counter
from pathlib import Path

import published_trees as trees
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raylab2f.datasets import load_dataset
from raylab2f.datasets.entries import LayoutOptions
from raylab2f.datasets.layouts import LAYOUTS, read_layout
from raylab2f.errors import UserError

KOLEKTORSDD = Path(__file__).parents[3] / "shared" / "data" / "kolektorsdd"

NOTHING_SAID = LayoutOptions()
MARKED = {"kolektorsdd": {"kos02/Part1.jpg"}, "kolektorsdd2": {"train/10301.png", "test/20001.png"}}
WITH_CATEGORIES = [p for p in trees.PUBLISHED if p.category is not None]


def read(root, layout="auto", category=None):
    return read_layout(root, layout, LayoutOptions(category=category))


def by_id(found):
    return {entry.image_id: entry for entry in found.entries}


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def check(found, published, base):
    """Everything that the tree was built to hold."""
    entries = found.entries
    assert Counter((entry.label, entry.given_split) for entry in entries) == published.pictures
    assert {entry.defect_type for entry in entries if entry.label == 1} == published.defect_types
    assert {entry.defect_type for entry in entries if entry.label == 0} <= {"good"}
    assert sum(entry.mask_path is not None for entry in entries) == published.masks
    objects = {entry.object_id for entry in entries}
    assert (objects == {None}) if published.objects is None else (len(objects - {None}) == published.objects)
    assert published.objects is None or None not in objects
    assert {entry.view for entry in entries} == published.views
    assert {entry.condition for entry in entries} == published.conditions
    assert found.strays == ()
    # Whatever is not used is left out by a rule that is told.
    assert len(found.warnings) == bool(found.left_out)
    for entry in entries:
        assert Path(entry.path) == base / entry.image_id
        assert Path(entry.path).is_file()
        assert entry.mask_path is None or Path(entry.mask_path).exists()


@pytest.mark.parametrize("upper", [False, True], ids=["lower", "upper"])
@pytest.mark.parametrize("published", trees.PUBLISHED, ids=lambda p: p.build.__name__)
class TestEveryTree:
    def test_is_recognised_by_its_layout_alone(self, tmp_path, published, upper):
        published.build(trees.Tree(tmp_path, upper))
        claimed = {name for name, layout in LAYOUTS.items() if layout.recognises(tmp_path, NOTHING_SAID)}
        # The general shape is tried last, and is told from the others by that.
        assert claimed - {"mvtec"} == {published.layout} - {"mvtec"}
        assert read(tmp_path) == read(tmp_path, published.layout)

    def test_holds_what_was_put_in(self, tmp_path, published, upper):
        published.build(trees.Tree(tmp_path, upper))
        check(read(tmp_path), published, tmp_path / published.base)

    def test_is_found_further_down_and_from_within(self, tmp_path, published, upper):
        top = tmp_path / "unpacked"
        root = top / "data set"
        published.build(trees.Tree(root, upper))
        for place in (top, root / published.base):
            check(read(place), published, root / published.base)


@pytest.mark.parametrize("published", WITH_CATEGORIES, ids=lambda p: p.build.__name__)
class TestCategories:
    def test_of_several_one_must_be_named(self, tmp_path, published):
        other = "Class2" if published.layout == "dagm" else "zz other"
        for category in (published.category, other):
            published.build(trees.Tree(tmp_path), category)
        with pytest.raises(UserError, match=f"--category: {published.category}, {other}"):
            read(tmp_path)
        with pytest.raises(UserError, match=rf"--category screw: .*{published.category}, {other}"):
            read(tmp_path, category="screw")
        found = read(tmp_path, category=published.category)
        assert found.name == published.category
        check(found, published, tmp_path / published.base)

    def test_by_name_of_the_layout_where_it_is_not(self, tmp_path, published):
        trees.mtd(trees.Tree(tmp_path))
        with pytest.raises(UserError, match=published.layout):
            read(tmp_path, published.layout)


@pytest.mark.parametrize("published", trees.PUBLISHED, ids=lambda p: p.build.__name__)
class TestLoaded:
    """With every file read."""

    def test_labels_masks_and_conditions(self, tmp_path, published):
        published.build(trees.Tree(tmp_path))
        dataset = load_dataset(tmp_path)
        rows = dataset.manifest.to_pylist()
        if None in {label for label, _ in published.pictures}:
            assert {row["image_id"] for row in rows if row["label"]} == MARKED[published.layout]
        else:
            assert Counter((row["label"], row["given_split"]) for row in rows) == published.pictures
        assert {row.get("condition") for row in rows} == published.conditions
        assert all((row["mask_path"] is not None) == (row["label"] == 1) for row in rows)
        assert dataset.skipped == ()
        codes = {caution.code for caution in dataset.warnings}
        assert ("RL201" in codes) == (published.objects is None)

    def test_pictures_of_no_use_are_named(self, tmp_path, published):
        tree = trees.Tree(tmp_path)
        published.build(tree)
        before = read(tmp_path)
        tree.picture("overview.png", "notes/figure.jpg")
        after = read(tmp_path)
        assert after.entries == before.entries
        [warning] = set(after.warnings) - set(before.warnings)
        assert warning.code == "RL205"
        assert warning.startswith(
            "2 picture files are used neither as picture nor as mask: notes/figure.jpg, overview.png"
        )


def test_data_sets_of_several_layouts_are_not_taken_for_one(tmp_path):
    trees.btad(trees.Tree(tmp_path / "btad"))
    trees.kolektorsdd(trees.Tree(tmp_path / "kolektor"))
    with pytest.raises(UserError, match=r"several layouts \(kolektorsdd, btad\)"):
        read(tmp_path)
    assert read(tmp_path, "btad").name == "01"


@pytest.mark.parametrize("layout", ["kolektorsdd", "kolektorsdd2"])
def test_a_data_set_without_categories_that_is_there_twice(tmp_path, layout):
    for copy in ("one", "two"):
        getattr(trees, layout)(trees.Tree(tmp_path / copy))
    with pytest.raises(UserError, match=r"more than once; choose .*one or .*two"):
        read(tmp_path)
    with pytest.raises(UserError, match="--category does not belong to layout kolektorsdd"):
        read(tmp_path / "one", category="one")


class TestMasks:
    @pytest.mark.parametrize(
        ("build", "mask", "picture"),
        [
            (trees.mvtec_loco, "breakfast_box/ground_truth/logical_anomalies/000", "test/logical_anomalies/000.png"),
            (trees.mvtec_ad2, "can/test_public/ground_truth/bad/000_regular_mask.png",
             "test_public/bad/000_regular.png"),
            (trees.mvtec_3d, "bagel/test/hole/gt/001.png", "test/hole/rgb/001.png"),
            (trees.btad, "01/ground_truth/ko/0001.png", "test/ko/0001.bmp"),
            (trees.visa_without_split, "candle/Data/Masks/Anomaly/001.png", "Data/Images/Anomaly/001.jpg"),
            (trees.dagm, "Class1/Class1/Test/Label/0003_label.png", "Test/0003.png"),
        ],
    )  # fmt: skip
    def test_a_missing_one_leaves_the_picture_defective(self, tmp_path, build, mask, picture):
        build(trees.Tree(tmp_path))
        assert by_id(read(tmp_path))[picture].mask_path is not None
        remove(tmp_path / mask)
        entry = by_id(read(tmp_path))[picture]
        assert (entry.label, entry.mask_path) == (1, None)

    def test_without_a_list_of_labels_the_mask_of_dagm_decides(self, tmp_path):
        trees.dagm_without_list(trees.Tree(tmp_path))
        (tmp_path / "Class1/Class1/Test/Label/0003_label.png").unlink()
        assert by_id(read(tmp_path))["Test/0003.png"].label == 0

    @pytest.mark.parametrize(
        ("build", "mask", "picture"),
        [
            (trees.kolektorsdd, "kos02/Part1_label.bmp", "kos02/Part1.jpg"),
            (trees.kolektorsdd2, "train/10302_GT.png", "train/10302.png"),
        ],
    )
    def test_one_that_decides_the_label_must_be_there(self, tmp_path, build, mask, picture):
        build(trees.Tree(tmp_path))
        (tmp_path / mask).unlink()
        found = read(tmp_path)
        assert picture not in by_id(found)
        assert [name for name, _ in found.strays] == [picture]

    @pytest.mark.parametrize(
        ("build", "mask"),
        [
            (trees.mvtec_loco, "breakfast_box/ground_truth/logical_anomalies/007/000.png"),
            (trees.mvtec_ad2, "can/test_public/ground_truth/bad/007_regular_mask.png"),
            (trees.mvtec_3d, "bagel/test/hole/gt/007.png"),
            (trees.btad, "01/ground_truth/ko/0007.png"),
            (trees.visa, "candle/Data/Masks/Anomaly/007.png"),
            (trees.dagm, "Class1/Class1/Test/Label/0007_label.png"),
            (trees.kolektorsdd, "kos02/Part7_label.bmp"),
            (trees.kolektorsdd2, "train/10307_GT.png"),
        ],
    )
    def test_one_without_its_picture_is_told(self, tmp_path, build, mask):
        tree = trees.Tree(tmp_path)
        build(tree)
        before = read(tmp_path)
        tree.mask(mask)
        found = read(tmp_path)
        assert found.entries == before.entries
        [(name, reason)] = found.strays
        assert mask.endswith(name)
        assert reason.startswith("the mask has no picture of its name")

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(counts=st.lists(st.integers(0, 3), min_size=1, max_size=4), data=st.data())
    def test_several_of_one_picture_are_its_folder(self, tmp_path_factory, counts, data):
        root = tmp_path_factory.mktemp("loco")
        tree = trees.Tree(root)
        suffixes = st.sampled_from([".png", ".bmp", ".tif", ".PNG"])
        tree.picture("train/good/000.png", "test/good/000.png")
        for n, count in enumerate(counts):
            tree.picture(f"test/logical_anomalies/{n:03}.png")
            for k in range(count):
                tree.mask(f"ground_truth/logical_anomalies/{n:03}/{k:03}{data.draw(suffixes)}")
        entries = by_id(read(root))
        folder = root / "ground_truth" / "logical_anomalies"
        for n, count in enumerate(counts):
            expected = str(folder / f"{n:03}") if count else None
            assert entries[f"test/logical_anomalies/{n:03}.png"].mask_path == expected

    def test_masks_of_pictures_in_deeper_folders(self, tmp_path):
        tree = trees.Tree(tmp_path)
        trees.mvtec_loco(tree, "bag")
        tree.picture("bag/test/structural_anomalies/day 2/000.png", "bag/train/good/day 2/000.png")
        tree.mask("bag/ground_truth/structural_anomalies/day 2/000/000.png")
        entries = by_id(read(tmp_path))
        assert entries["train/good/day 2/000.png"].label == 0
        mask = entries["test/structural_anomalies/day 2/000.png"].mask_path
        assert mask == str(tmp_path / "bag/ground_truth/structural_anomalies/day 2/000")

    def test_folders_of_masks_under_other_names(self, tmp_path):
        tree = trees.Tree(tmp_path)
        tree.picture("train/good/0.png", "test/good/0.png", "test/scratch/0.png")
        tree.mask("ground_truth/scratch/0/0.png", "ground_truth/scratch/0/1.png")
        assert by_id(read(tmp_path))["test/scratch/0.png"].mask_path == str(tmp_path / "ground_truth/scratch/0")


class TestLeftOut:
    @pytest.mark.parametrize(
        ("build", "left_out"),
        [
            (trees.mvtec_ad2, ["test_private", "test_private_mixed"]),
            (trees.mvtec_3d, ["train/good/xyz", "validation/good/xyz", "test/good/xyz", "test/hole/xyz"]),
            (trees.kolektorsdd2, ["train/10301 (copy).png", "train/10301_GT (copy).png"]),
            (trees.btad, []),
        ],
    )
    def test_what_a_rule_leaves_out_is_recorded(self, tmp_path, build, left_out):
        build(trees.Tree(tmp_path))
        found = read(tmp_path)
        assert [place for place, _ in found.left_out] == left_out
        assert [warning.code for warning in found.warnings] == ["RL205"] * bool(left_out)
        for place, reason in found.left_out:
            assert f"{place}: {reason}" in found.warnings[0]

    def test_a_copy_without_its_original_is_a_picture(self, tmp_path):
        trees.kolektorsdd2(trees.Tree(tmp_path))
        (tmp_path / "train/10301.png").unlink()
        assert [place for place, _ in read(tmp_path).left_out] == ["train/10301_GT (copy).png"]


class TestObjects:
    def test_ad2_shows_a_part_of_one_folder_under_several_lights(self, tmp_path):
        trees.mvtec_ad2(trees.Tree(tmp_path))
        entries = by_id(read(tmp_path))
        one, other = entries["test_public/bad/001_shift_1.png"], entries["test_public/bad/001_regular.png"]
        assert one.object_id == other.object_id
        assert (one.condition, other.condition) == ("shift_1", "regular")
        assert entries["test_public/good/000_regular.png"].object_id != entries["train/good/000_regular.png"].object_id

    def test_ad2_pictures_whose_names_tell_no_light(self, tmp_path):
        tree = trees.Tree(tmp_path)
        trees.mvtec_ad2(tree)
        tree.picture("can/train/good/900.png")
        entry = by_id(read(tmp_path))["train/good/900.png"]
        assert (entry.object_id, entry.condition) == ("train/good/900", None)

    def test_real_iad_numbers_start_anew_in_each_folder(self, tmp_path):
        trees.real_iad(trees.Tree(tmp_path))
        sides = Counter(entry.object_id for entry in read(tmp_path).entries)
        assert sides == {"OK/S0001": 5, "OK/S0002": 5, "OK/S0003": 5, "NG/BX/S0001": 5}

    def test_a_side_of_a_defective_part_on_which_nothing_is_seen_is_good(self, tmp_path):
        trees.real_iad(trees.Tree(tmp_path))
        labels = {entry.view: entry.label for entry in read(tmp_path).entries if entry.object_id == "NG/BX/S0001"}
        assert labels == {"C1": 1, "C2": 1, "C3": 1, "C4": 1, "C5": 0}


class TestLists:
    """The lists that VisA, Real-IAD and DAGM bring along."""

    @pytest.mark.parametrize(
        ("pictures", "lists"), [("realiad_1024", "realiad_jsons"), (".", "realiad_jsons/realiad_jsons")]
    )
    def test_places_of_real_iad(self, tmp_path, pictures, lists):
        trees.real_iad(trees.Tree(tmp_path), pictures=pictures, lists=lists)
        assert len(read(tmp_path).entries) == 20
        assert len(read(tmp_path / pictures / "audiojack").entries) == 20

    def test_paths_of_real_iad_with_their_category_and_without_folders_of_samples(self, tmp_path):
        tree = trees.Tree(tmp_path)
        rows = []
        for number, view in ((1, 1), (1, 2), (2, 1)):
            name = f"mint/OK/mint_{number:04}_OK_C{view}_20231021.jpg"
            tree.picture(name)
            rows.append({"image_path": name, "anomaly_class": "OK", "mask_path": None})
        tree.text("realiad_jsons/mint.json", json.dumps({"train": rows, "test": []}))
        objects = {entry.image_id: (entry.object_id, entry.view) for entry in read(tmp_path).entries}
        assert objects == {
            "OK/mint_0001_OK_C1_20231021.jpg": ("OK/mint_0001_OK", "C1"),
            "OK/mint_0001_OK_C2_20231021.jpg": ("OK/mint_0001_OK", "C2"),
            "OK/mint_0002_OK_C1_20231021.jpg": ("OK/mint_0002_OK", "C1"),
        }

    def test_sizes_of_real_iad_are_told_apart(self, tmp_path):
        for size in (256, 512):
            trees.real_iad(trees.Tree(tmp_path), pictures=f"realiad_{size}")
        with pytest.raises(UserError, match="--category: realiad_256/audiojack, realiad_512/audiojack"):
            read(tmp_path)
        assert read(tmp_path, category="realiad_256/audiojack").name == "audiojack"
        assert read(tmp_path / "realiad_256").name == "audiojack"

    def test_real_iad_without_its_list(self, tmp_path):
        trees.real_iad(trees.Tree(tmp_path))
        (tmp_path / "realiad_jsons/realiad_jsons/audiojack.json").unlink()
        with pytest.raises(UserError, match=r"realiad_jsons/audiojack\.json is neither beside it nor above it"):
            read(tmp_path)

    @pytest.mark.parametrize(
        "content",
        ["", "[]", "{", '{"train": 1}', '{"test": [7]}', '{"train": [{"image_path": "OK/a.jpg"}]}', "[" * 100_000],
    )
    def test_a_damaged_list_of_real_iad(self, tmp_path, content):
        trees.real_iad(trees.Tree(tmp_path))
        (tmp_path / "realiad_jsons/realiad_jsons/audiojack.json").write_text(content)
        with pytest.raises(UserError, match=r"audiojack\.json"):
            read(tmp_path)

    @pytest.mark.parametrize("place", ["/etc/passwd", "../../secret.jpg", "..\\secret.jpg", "OK/../../a.jpg", "."])
    def test_lists_cannot_lead_out_of_their_category(self, tmp_path, place):
        trees.real_iad(trees.Tree(tmp_path / "real"))
        rows = [{"image_path": place, "anomaly_class": "OK"}]
        (tmp_path / "real/realiad_jsons/realiad_jsons/audiojack.json").write_text(json.dumps({"train": rows}))
        trees.visa(trees.Tree(tmp_path / "visa"))
        (tmp_path / "visa/split_csv/1cls.csv").write_text(
            f"object,split,label,image,mask\ncandle,train,normal,{place},\n"
        )
        for root in ("real", "visa"):
            with pytest.raises(UserError, match="is not a file below"):
                read(tmp_path / root)

    def test_a_listed_picture_that_is_absent_stays_in_the_list(self, tmp_path):
        # The reading of files names it.
        trees.visa(trees.Tree(tmp_path))
        (tmp_path / "candle/Data/Images/Normal/0003.jpg").unlink()
        assert by_id(read(tmp_path))["Data/Images/Normal/0003.jpg"].given_split == "test"

    def test_a_picture_that_the_list_of_visa_leaves_out_is_not_read(self, tmp_path):
        tree = trees.Tree(tmp_path)
        trees.visa(tree)
        before = read(tmp_path)
        tree.picture("candle/Data/Images/Normal/9999.jpg")
        after = read(tmp_path)
        assert after.entries == before.entries
        assert "Normal/9999.jpg" in " ".join(after.warnings)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("image,label\n", "names no pictures of candle"),
            ("object,split,label,image\ncandle,train,normal,a\n", "column mask is missing"),
            ("object,split,label,image,mask\ncandle,val,normal,candle/a.jpg,\n", "line 2 must have the split"),
            ("object,split,label,image,mask\ncandle,test,odd,candle/a.jpg,\n", "line 2 must have the split"),
            ("object,split,label,image,mask\nfryum,test,normal,fryum/a.jpg,\n", "names no pictures of candle"),
        ],
    )
    def test_a_damaged_list_of_visa(self, tmp_path, content, message):
        trees.visa(trees.Tree(tmp_path))
        (tmp_path / "split_csv/1cls.csv").write_text(content)
        with pytest.raises(UserError, match=message):
            read(tmp_path)

    def test_defect_types_of_visa_are_optional(self, tmp_path):
        trees.visa(trees.Tree(tmp_path))
        (tmp_path / "candle/image_anno.csv").unlink()
        assert {entry.defect_type for entry in read(tmp_path).entries} == {"good", "anomaly"}

    def test_the_list_of_dagm_decides(self, tmp_path):
        trees.dagm(trees.Tree(tmp_path))
        file = tmp_path / "Class1/Class1/Test/Label/Labels.txt"
        lines = file.read_text().splitlines()
        file.write_text("\n".join([*lines[:1], "1\t1\t0001.PNG\t0\t0", *lines[2:4]]))
        found = read(tmp_path)
        entry = by_id(found)["Test/0001.png"]
        assert (entry.label, entry.mask_path) == (1, None)
        assert found.strays == (("Test/0004.png", "Label/Labels.txt does not name the picture"),)

    def test_a_damaged_list_of_dagm(self, tmp_path):
        trees.dagm(trees.Tree(tmp_path))
        file = tmp_path / "Class1/Class1/Train/Label/Labels.txt"
        for content, message in ((b"1\n1\tyes\t0001.PNG", "line 2 must hold"), (b"\xff\xfe\x00", "UTF-8")):
            file.write_bytes(content)
            with pytest.raises(UserError, match=message):
                read(tmp_path)


def test_kolektorsdd_as_it_was_downloaded():
    if not KOLEKTORSDD.is_dir():
        pytest.skip("KolektorSDD is not in ../shared/data/kolektorsdd")
    dataset = load_dataset(KOLEKTORSDD)
    rows = dataset.manifest.to_pylist()
    assert Counter(row["object_id"] for row in rows) == {f"kos{n:02}": 8 for n in range(1, 51)}
    assert {row["view"] for row in rows} == {f"Part{k}" for k in range(8)}
    assert Counter((row["label"], row["given_split"]) for row in rows) == {(0, "train"): 348, (1, "test"): 52}
    assert len({row["object_id"] for row in rows if row["label"]}) == 50
