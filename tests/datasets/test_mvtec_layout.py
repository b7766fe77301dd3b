from pathlib import Path

import pytest

from raylab2f.datasets import load_dataset
from raylab2f.datasets.layouts.nominal_names import is_nominal_name
from raylab2f.errors import UserError

CASTING = Path(__file__).parents[3] / "shared" / "data" / "casting"


def by_id(dataset, column):
    return {row["image_id"]: row[column] for row in dataset.manifest.to_pylist()}


def codes(dataset):
    return [warning.code for warning in dataset.warnings if warning.code != "RL201"]


class TestNominalFolders:
    @pytest.mark.parametrize(
        "name", ["good", "Good", "ok", "OK", "normal", "Nominal", "ok_front", "normal-2", "good 3", "ok2", "OK.side"]
    )
    def test_names_of_nominal_folders(self, name):
        assert is_nominal_name(name)

    @pytest.mark.parametrize(
        "name",
        [
            *(
                "okay_scratch",
                "not_ok",
                "not ok",
                "notok",
                "nok",
                "n_ok",
                "no_good",
                "abnormal",
                "goods",
                "oké",
                "2_ok",
            ),
            *(
                "ok_not",
                "ok-ng",
                "good_but_scratched",
                "normal_defect",
                "scratch_good",
                "_ok",
                "def_front",
                "",
                "anormal",
            ),
        ],
    )
    def test_names_of_other_folders(self, name):
        assert not is_nominal_name(name)

    def test_which_were_taken_so_is_said(self, tmp_path, save):
        for name in ("train/ok_front/0", "train/good/1", "test/normal/0", "test/okay_scratch/0", "test/not_ok/0"):
            save(tmp_path / f"{name}.png")
        dataset = load_dataset(tmp_path)
        assert by_id(dataset, "defect_type") == {
            "train/ok_front/0.png": "good",
            "train/good/1.png": "good",
            "test/normal/0.png": "good",
            "test/okay_scratch/0.png": "okay_scratch",
            "test/not_ok/0.png": "not_ok",
        }
        (warning,) = [warning for warning in dataset.warnings if warning.code == "RL211"]
        assert warning.startswith("test/normal, train/ok_front: taken as nominal because of the folder's name;")

    def test_a_doubtful_name_counts_as_defective_and_is_said(self, tmp_path, save):
        for name in ("train/good/0", "test/ok_defect/0"):
            save(tmp_path / f"{name}.png")
        dataset = load_dataset(tmp_path)
        assert by_id(dataset, "label")["test/ok_defect/0.png"] == 1
        assert any(w.startswith("test/ok_defect: taken as defective") for w in dataset.warnings if w.code == "RL211")

    def test_nothing_is_said_of_good(self, mvtec_folder):
        assert codes(load_dataset(mvtec_folder)) == []

    def test_defective_pictures_in_train_are_anomalous(self, tmp_path, save):
        for name in ("train/ok_front/0", "train/def_front/1", "test/ok_front/2", "test/def_front/3"):
            save(tmp_path / f"{name}.png")
        dataset = load_dataset(tmp_path)
        assert by_id(dataset, "label")["train/def_front/1.png"] == 1
        assert by_id(dataset, "given_split")["train/def_front/1.png"] == "train"

    def test_a_train_folder_without_nominal_names_is_refused(self, tmp_path, save):
        for name in ("train/day1/0", "train/day2/0", "test/good/0", "test/dent/0"):
            save(tmp_path / f"{name}.png")
        with pytest.raises(UserError, match=r"no folder in train is called good, ok, normal or nominal \(day1, day2\)"):
            load_dataset(tmp_path)

    @pytest.mark.skipif(not CASTING.is_dir(), reason="the casting pictures are not in ../shared/data/casting")
    def test_the_casting_set_is_read_without_an_option(self):
        labels = load_dataset(CASTING).manifest["label"].to_pylist()
        assert (labels.count(0), labels.count(1)) == (520, 200)


class TestDeeperFolders:
    def test_pictures_and_masks(self, tmp_path, save, save_mask):
        save(tmp_path / "train" / "good" / "day1" / "0.png")
        save(tmp_path / "train" / "good" / "day2" / "0.png")
        save_mask(tmp_path / "fg_mask" / "day2" / "0.png")
        for batch in ("batch1", "batch2/late"):
            save(tmp_path / "test" / "dent" / batch / "0.png")
            save_mask(tmp_path / "ground_truth" / "dent" / batch / "0_mask.png")
        dataset = load_dataset(tmp_path)
        masks = by_id(dataset, "mask_path")
        for batch in ("batch1", "batch2/late"):
            expected = str(tmp_path / "ground_truth" / "dent" / batch / "0_mask.png")
            assert masks[f"test/dent/{batch}/0.png"] == expected
        foregrounds = by_id(dataset, "foreground_path")
        assert foregrounds["train/good/day1/0.png"] is None
        assert foregrounds["train/good/day2/0.png"] == str(tmp_path / "fg_mask" / "day2" / "0.png")
        assert codes(dataset) == []

    @pytest.mark.parametrize(("picture", "mask"), [("batch1/0.png", "0_mask.png"), ("0.png", "batch1/0.png")])
    def test_only_one_of_both_lies_deeper(self, mvtec_folder, save, save_mask, picture, mask):
        save(mvtec_folder / "test" / "hole" / picture)
        path = save_mask(mvtec_folder / "ground_truth" / "hole" / mask)
        assert by_id(load_dataset(mvtec_folder), "mask_path")[f"test/hole/{picture}"] == str(path)


class TestMasks:
    @pytest.mark.parametrize("ending", ["", "_mask", "_gt", "_label", "-mask"])
    @pytest.mark.parametrize("folder", ["ground_truth", "masks", "Ground_Truth"])
    def test_names(self, mvtec_folder, save, save_mask, ending, folder):
        (mvtec_folder / "ground_truth").rename(mvtec_folder / folder)
        save(mvtec_folder / "test" / "hole" / "5.JPG")
        mask = save_mask(mvtec_folder / folder / "hole" / f"5{ending}.BMP")
        assert by_id(load_dataset(mvtec_folder), "mask_path")["test/hole/5.JPG"] == str(mask)

    def test_beside_their_pictures(self, mvtec_folder, save, save_mask):
        save(mvtec_folder / "test" / "hole" / "5.jpg")
        mask = save_mask(mvtec_folder / "test" / "hole" / "5_mask.png")
        masks = by_id(load_dataset(mvtec_folder), "mask_path")
        assert len(masks) == 7
        assert masks["test/hole/5.jpg"] == str(mask)

    def test_a_folder_of_masks_for_one_picture(self, mvtec_folder, save, save_mask):
        from raylab2f.datasets.entries import LayoutOptions
        from raylab2f.datasets.layouts import read_layout

        for number in range(2):
            save(mvtec_folder / "test" / "holes" / f"{number}.png")
            for part in range(3):
                save_mask(mvtec_folder / "ground_truth" / "holes" / str(number) / f"{part:03}.png")
        found = read_layout(mvtec_folder, "mvtec", LayoutOptions())
        masks = {entry.image_id: entry.mask_path for entry in found.entries}
        assert masks["test/holes/1.png"] == str(mvtec_folder / "ground_truth" / "holes" / "1")
        assert found.strays == found.warnings == ()

    def test_of_defective_pictures_in_train(self, mvtec_folder, save, save_mask):
        save(mvtec_folder / "train" / "dent" / "900.png")
        mask = save_mask(mvtec_folder / "ground_truth" / "dent" / "900_mask.png")
        assert by_id(load_dataset(mvtec_folder), "mask_path")["train/dent/900.png"] == str(mask)


@pytest.mark.parametrize("name", ["validation", "val", "Valid"])
def test_validation_pictures_train(mvtec_folder, save, name):
    save(mvtec_folder / name / "good" / "7.png")
    dataset = load_dataset(mvtec_folder)
    assert by_id(dataset, "given_split")[f"{name}/good/7.png"] == "train"
    assert by_id(dataset, "label")[f"{name}/good/7.png"] == 0
    assert codes(dataset) == []
