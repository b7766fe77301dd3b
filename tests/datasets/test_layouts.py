import shutil

import pytest

from raylab2f.datasets import load_dataset
from raylab2f.errors import UserError

RULE = r"(?P<object>.+)\.png"


def column(dataset, name):
    return dict(zip(dataset.manifest["image_id"].to_pylist(), dataset.manifest[name].to_pylist(), strict=True))


class TestMvtec:
    def test_labels_splits_and_masks(self, mvtec_folder):
        dataset = load_dataset(mvtec_folder)
        assert dataset.name == "nut"
        assert column(dataset, "label") == {
            "test/dent/000.png": 1,
            "test/dent/001.png": 1,
            "test/good/000.png": 0,
            "train/good/000.png": 0,
            "train/good/001.png": 0,
            "train/good/002.png": 0,
        }
        assert column(dataset, "defect_type")["test/dent/000.png"] == "dent"
        assert column(dataset, "given_split")["test/good/000.png"] == "test"
        assert column(dataset, "given_split")["train/good/000.png"] == "train"
        masks = column(dataset, "mask_path")
        assert masks["test/dent/001.png"] == str(mvtec_folder / "ground_truth" / "dent" / "001_mask.png")
        assert masks["test/good/000.png"] is None
        assert set(column(dataset, "foreground_path").values()) == {None}

    def test_auto_is_the_same_as_by_name(self, mvtec_folder):
        assert load_dataset(mvtec_folder, layout="mvtec").manifest.equals(load_dataset(mvtec_folder).manifest)

    def test_masks_called_like_their_pictures_in_visa_style(self, tmp_path, save, save_mask):
        save(tmp_path / "train" / "good" / "0000.JPG")
        save(tmp_path / "test" / "bad" / "0001.JPG")
        mask = save_mask(tmp_path / "ground_truth" / "bad" / "0001.png")
        assert column(load_dataset(tmp_path), "mask_path")["test/bad/0001.JPG"] == str(mask)

    def test_masks_of_nominal_pictures_are_not_kept(self, mvtec_folder, save_mask):
        save_mask(mvtec_folder / "ground_truth" / "good" / "000_mask.png", value=0)
        assert column(load_dataset(mvtec_folder), "mask_path")["test/good/000.png"] is None

    @pytest.mark.parametrize("place", ["fg_mask/nut", "nut/fg_mask"])
    def test_foregrounds_of_training_pictures(self, mvtec_folder, save_mask, place):
        mask = save_mask(mvtec_folder.parent / place / "000.png")
        foregrounds = column(load_dataset(mvtec_folder), "foreground_path")
        assert foregrounds["train/good/000.png"] == str(mask)
        assert foregrounds["test/good/000.png"] is None
        assert foregrounds["test/dent/000.png"] is None

    def test_of_several_categories_one_must_be_named(self, mvtec_folder):
        root = mvtec_folder.parent
        shutil.copytree(mvtec_folder, root / "bolt m8")
        with pytest.raises(UserError, match="--category: bolt m8, nut"):
            load_dataset(root)
        with pytest.raises(UserError, match=r"--category screw.*bolt m8, nut"):
            load_dataset(root, category="screw")
        dataset = load_dataset(root, category="bolt m8")
        assert dataset.name == "bolt m8"
        assert dataset.manifest.drop_columns(["path", "mask_path"]).equals(
            load_dataset(mvtec_folder).manifest.drop_columns(["path", "mask_path"])
        )

    def test_a_single_category_below_needs_no_name(self, mvtec_folder, tmp_path):
        (tmp_path / "wrapped" / "archive").mkdir(parents=True)
        mvtec_folder.rename(tmp_path / "wrapped" / "archive" / "nut")
        assert load_dataset(tmp_path / "wrapped").name == "nut"

    def test_categories_of_one_name_are_told_apart_by_their_folders(self, mvtec_folder, tmp_path):
        root = tmp_path / "both"
        shutil.copytree(mvtec_folder, root / "old" / "nut")
        shutil.copytree(mvtec_folder, root / "new" / "nut")
        assert load_dataset(root, category="old/nut").manifest.num_rows == 6

    def test_hidden_files_and_notes_are_no_pictures(self, mvtec_folder):
        (mvtec_folder / "train" / "good" / "._000.png").write_bytes(b"x")
        (mvtec_folder / "train" / "good" / "notes.txt").write_bytes(b"x")
        assert load_dataset(mvtec_folder).manifest.num_rows == 6

    def test_a_mask_without_its_picture(self, mvtec_folder, save_mask):
        save_mask(mvtec_folder / "ground_truth" / "dent" / "007_mask.png")
        with pytest.raises(UserError, match=r"ground_truth/dent/007_mask\.png: the mask has no picture"):
            load_dataset(mvtec_folder)
        dataset = load_dataset(mvtec_folder, skip_unreadable=True)
        assert dataset.manifest.num_rows == 6
        assert [name for name, _ in dataset.skipped] == ["ground_truth/dent/007_mask.png"]

    def test_two_masks_for_one_picture(self, mvtec_folder, save_mask):
        save_mask(mvtec_folder / "ground_truth" / "dent" / "000.png")
        with pytest.raises(UserError, match=r"ground_truth/dent/000\.png"):
            load_dataset(mvtec_folder)

    def test_a_picture_outside_the_folders_of_defect_types(self, mvtec_folder, save):
        save(mvtec_folder / "train" / "lost.png")
        with pytest.raises(UserError, match=r"train/lost\.png: the picture lies in train itself"):
            load_dataset(mvtec_folder)

    def test_some_masks_missing_is_said(self, mvtec_folder):
        (mvtec_folder / "ground_truth" / "dent" / "001_mask.png").unlink()
        warnings = load_dataset(mvtec_folder, object_id=RULE).warnings
        assert len(warnings) == 1
        assert "test/dent/001.png" in warnings[0]

    def test_no_masks_at_all_is_fine(self, mvtec_folder):
        shutil.rmtree(mvtec_folder / "ground_truth")
        assert load_dataset(mvtec_folder, object_id=RULE).warnings == ()


class TestFolder:
    @pytest.fixture
    def root(self, tmp_path, save):
        for name in ("Gut/a.png", "Gut/tray 1/a.png", "ok2/ß.png", "kratzer/a.png", "good/x.png"):
            save(tmp_path / name)
        return tmp_path

    def test_named_folders_are_read_to_any_depth(self, root):
        dataset = load_dataset(root, nominal=["Gut", "ok2"], anomalous=["kratzer", "good"])
        assert column(dataset, "defect_type") == {
            "Gut/a.png": "good",
            "Gut/tray 1/a.png": "good",
            "good/x.png": "defect",
            "kratzer/a.png": "kratzer",
            "ok2/ß.png": "good",
        }
        assert column(dataset, "label")["good/x.png"] == 1
        assert column(dataset, "given_split")["ok2/ß.png"] == "train"
        assert column(dataset, "given_split")["kratzer/a.png"] == "test"

    def test_absolute_folders_inside_are_fine(self, root):
        dataset = load_dataset(root, layout="folder", nominal=[str(root / "ok2")], anomalous=["kratzer"])
        assert dataset.manifest["image_id"].to_pylist() == ["kratzer/a.png", "ok2/ß.png"]

    @pytest.mark.parametrize(
        ("nominal", "anomalous", "message"),
        [
            (["Gut"], [], "at least one of each"),
            ([], ["kratzer"], "at least one of each"),
            (["Gut"], ["no such"], "--anomalous no such: there is no such folder"),
            (["../elsewhere"], ["kratzer"], "--nominal ../elsewhere: the folder must lie inside"),
            (["Gut"], ["Gut/tray 1"], "overlap: Gut/tray 1/a.png"),
            (["void"], ["kratzer"], "--nominal void: there are no pictures"),
        ],
    )
    def test_bad_names(self, root, nominal, anomalous, message):
        (root / "void").mkdir()
        with pytest.raises(UserError, match=message):
            load_dataset(root, nominal=nominal, anomalous=anomalous)


class TestRecognition:
    def test_nothing_there(self, tmp_path):
        with pytest.raises(UserError, match="no such folder or manifest"):
            load_dataset(tmp_path / "absent")

    @pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "loop"])
    def test_places_that_cannot_be(self, tmp_path, name):
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(UserError, match="no such folder or manifest"):
            load_dataset(tmp_path / name)

    def test_a_named_folder_with_too_long_a_name(self, mvtec_folder):
        with pytest.raises(UserError, match="there is no such folder"):
            load_dataset(mvtec_folder, nominal=["x" * 5000], anomalous=["test/dent"])

    def test_unknown_layout_name(self, mvtec_folder):
        with pytest.raises(UserError, match="--layout coco: no such layout is known; choose auto, folder, manifest"):
            load_dataset(mvtec_folder, layout="coco")

    def test_unknown_layout_says_what_was_looked_for(self, tmp_path, save):
        save(tmp_path / "some" / "a.png")
        with pytest.raises(UserError, match=r"--nominal and --anomalous; .*manifest.*; mtd .*; mvtec .*train/good"):
            load_dataset(tmp_path)

    @pytest.mark.parametrize("layout", ["auto", "mvtec", "mtd", "folder", "manifest"])
    def test_empty_folder(self, tmp_path, layout):
        with pytest.raises(UserError, match="the folder is empty"):
            load_dataset(tmp_path, layout=layout)

    def test_a_folder_without_pictures(self, tmp_path):
        (tmp_path / "some" / "where").mkdir(parents=True)
        with pytest.raises(UserError, match="no pictures"):
            load_dataset(tmp_path)

    def test_a_layout_without_pictures(self, tmp_path):
        (tmp_path / "train" / "good").mkdir(parents=True)
        with pytest.raises(UserError, match="no pictures"):
            load_dataset(tmp_path)

    @pytest.mark.parametrize("layout", ["mtd", "manifest", "folder"])
    def test_a_layout_that_is_not_there(self, mvtec_folder, layout):
        with pytest.raises(UserError, match=str(mvtec_folder)):
            load_dataset(mvtec_folder, layout=layout)

    def test_a_picture_is_no_dataset(self, mvtec_folder):
        for layout in ("auto", "mvtec", "mtd", "manifest", "folder"):
            with pytest.raises(UserError):
                load_dataset(mvtec_folder / "train" / "good" / "000.png", layout=layout)

    def test_options_of_other_layouts_are_refused(self, mvtec_folder):
        with pytest.raises(UserError, match="--nominal does not belong to layout mvtec"):
            load_dataset(mvtec_folder, layout="mvtec", nominal=["train"], anomalous=["test"])
        with pytest.raises(UserError, match="--category does not belong to layout folder"):
            load_dataset(mvtec_folder, category="nut", nominal=["train"], anomalous=["test/dent"])
