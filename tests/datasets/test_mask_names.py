import numpy as np
import pytest

from raylab2f.datasets import load_dataset
from raylab2f.datasets.mask_names import find_masks_by_contents
from raylab2f.errors import UserError

SIZE = (40, 40)


def pairs(folder, stem_of=lambda path: path.stem):
    found = find_masks_by_contents(sorted(folder.rglob("*.png")), stem_of)
    return {
        mask.relative_to(folder).as_posix(): picture.relative_to(folder).as_posix() for mask, picture in found.items()
    }


class TestByContents:
    @pytest.mark.parametrize(
        ("picture", "mask"),
        [
            ("{}", "mask_{}"),
            ("{}", "GT-{}"),
            ("{}", "{}_mask_1"),
            ("{}", "{}_mask1"),
            ("{}", "{}_defect"),
            ("{}", "{}m"),
            ("{}", "m{}"),
            ("{}_rgb", "{}_bw"),
            ("img{}", "msk{}"),
            ("img_{}", "msk_{}"),
            ("part_{}_left", "part_{}_left seg2"),
            ("teil-{}", "маска-teil-{}"),
        ],
    )
    def test_a_word_is_added_to_the_core(self, tmp_path, save, save_mask, picture, mask):
        for k in range(7):
            save(tmp_path / f"{picture.format(k)}.png", size=SIZE)
        for k in range(4):
            save_mask(tmp_path / f"{mask.format(k)}.png", size=SIZE)
        assert pairs(tmp_path) == {f"{mask.format(k)}.png": f"{picture.format(k)}.png" for k in range(4)}

    def test_photographs_with_additions_are_no_masks(self, tmp_path, save):
        for k in range(4):
            for name in (f"{k}", f"{k}_label", f"mask_{k}", f"{k}_1", f"{k}b"):
                save(tmp_path / f"{name}.png", size=SIZE)
        assert pairs(tmp_path) == {}

    def test_nor_are_flat_pictures_among_flat_ones(self, tmp_path, save_mask):
        for k in range(4):
            save_mask(tmp_path / f"{k}.png", size=SIZE)
            save_mask(tmp_path / f"{k}_b.png", size=SIZE)
        assert pairs(tmp_path) == {}

    def test_kinds_of_which_some_hold_few_values_are_left_alone(self, tmp_path, save, save_mask):
        for k in range(4):
            save(tmp_path / f"{k}.png", size=SIZE)
            (save if k else save_mask)(tmp_path / f"{k}_dark.png", size=SIZE)
        assert pairs(tmp_path) == {}

    def test_only_in_one_folder(self, tmp_path, save, save_mask):
        save(tmp_path / "a" / "0.png", size=SIZE)
        save_mask(tmp_path / "b" / "0_mask.png", size=SIZE)
        assert pairs(tmp_path) == {}

    def test_a_file_that_cannot_be_read_says_nothing(self, tmp_path, save, save_mask):
        for k in range(4):
            save(tmp_path / f"{k}.png", size=SIZE)
            save_mask(tmp_path / f"{k}_bw.png", size=SIZE)
        (tmp_path / "0_bw.png").write_bytes(b"")
        assert pairs(tmp_path)["0_bw.png"] == "0.png"


class TestLayouts:
    """Whatever the layout and the name: a mask is no picture, or it is said."""

    def read(self, folder, **options):
        manifest = load_dataset(folder, **options).manifest
        return manifest.num_rows, sum(mask is not None for mask in manifest["mask_path"].to_pylist())

    @pytest.mark.parametrize(
        "mask", ["{}_mask", "mask_{}", "{}_defect", "masks/{}", "Segmentation/{}", "masks/mask_{}"]
    )
    @pytest.mark.parametrize(
        ("good", "bad"),
        [
            ("good", "bad"),
            ("train/good", "test/dent"),
            ("train/ok", "test/ko"),
            ("train/good", "test/logical_anomalies"),
            ("train/good", "test_public/bad"),
            ("train/good/rgb", "test/hole/rgb"),
        ],
    )
    def test_masks_beside_pictures_are_used(self, tmp_path, save, save_mask, good, bad, mask):
        for k in range(4):
            save(tmp_path / good / f"{k}.png", size=SIZE)
            save(tmp_path / bad / f"{k}.png", size=SIZE)
            save_mask(tmp_path / bad / f"{mask.format(k)}.png", size=SIZE)
        (tmp_path / "test").mkdir(exist_ok=True)
        options = {"nominal": ["good"], "anomalous": ["bad"]} if good == "good" else {}
        assert self.read(tmp_path, **options) == (8, 4)

    @pytest.mark.parametrize(
        "mask", ["ground_truth/dent/{}_mask", "masks/{}", "dent_mask/{}", "segmentations/{}", "GT/dent/{}"]
    )
    def test_masks_in_the_place_of_a_defect_type(self, mvtec_folder, save, save_mask, mask):
        kind = mvtec_folder / "test" / "cut"
        for k in range(10, 14):
            save(kind / f"{k}.png", size=SIZE)
            save_mask(mvtec_folder / "test" / f"{mask.replace('dent', 'cut').format(k)}.png", size=SIZE)
        rows = load_dataset(mvtec_folder).manifest.to_pylist()
        assert {row["defect_type"] for row in rows} == {"good", "dent", "cut"}
        assert all(row["mask_path"] for row in rows if row["label"])

    def test_which_defect_type_they_belong_to_is_told_by_the_name_where_names_restart(self, tmp_path, save, save_mask):
        for kind in ("train/good", "test/good", "test/cut", "test/dent", "test/deep dent"):
            for k in range(3):
                save(tmp_path / kind / f"{k}.png", size=SIZE)
        for k in range(3):
            save_mask(tmp_path / "test" / "deep dent_seg" / f"{k}.png", size=SIZE)
        rows = load_dataset(tmp_path).manifest.to_pylist()
        assert {row["defect_type"] for row in rows if row["mask_path"]} == {"deep dent"}
        (tmp_path / "test" / "deep dent_seg").rename(tmp_path / "test" / "regions")
        dataset = load_dataset(tmp_path)
        assert dataset.manifest["mask_path"].null_count == dataset.manifest.num_rows
        assert any("test/regions/0.png" in warning for warning in dataset.warnings if warning.code == "RL217")

    def test_several_masks_of_one_picture_in_its_folder_are_refused(self, tmp_path, save, save_mask):
        for k in range(3):
            save(tmp_path / "good" / f"{k}.png", size=SIZE)
            save(tmp_path / "bad" / f"{k}.png", size=SIZE)
            for number in (1, 2):
                save_mask(tmp_path / "bad" / f"{k}_mask_{number}.png", size=SIZE)
        with pytest.raises(UserError, match=r"0_mask_1\.png and .*0_mask_2\.png are several masks of .* masks/bad/0"):
            load_dataset(tmp_path, nominal=["good"], anomalous=["bad"])
        for k in range(3):
            (tmp_path / "masks" / "bad" / str(k)).mkdir(parents=True)
            for path in sorted((tmp_path / "bad").glob(f"{k}_mask_*.png")):
                path.rename(tmp_path / "masks" / "bad" / str(k) / path.name)
        assert self.read(tmp_path, nominal=["good"], anomalous=["bad"]) == (6, 3)

    def test_a_mask_and_another_of_the_same_core_are_refused(self, tmp_path, save, save_mask):
        for k in range(3):
            for name in (f"good/{k}", f"bad/{k}", f"bad/{k}_side"):
                save(tmp_path / f"{name}.png", size=SIZE)
            save_mask(tmp_path / "bad" / f"{k}_mask.png", size=SIZE)
            save_mask(tmp_path / "bad" / f"{k}_roi.png", size=SIZE)
        with pytest.raises(UserError, match=r"bad/0_mask\.png and bad/0_roi\.png are several masks of bad/0\.png"):
            load_dataset(tmp_path, nominal=["good"], anomalous=["bad"])

    def test_a_folder_of_any_name_beside_that_of_the_pictures(self, tmp_path, save, save_mask):
        for k in range(3):
            save(tmp_path / "good" / f"{k}.png", size=SIZE)
            save(tmp_path / "bad" / f"{k}.png", size=SIZE)
            save(tmp_path / "worse" / f"{k}.png", size=SIZE)
            save_mask(tmp_path / "bad_seg" / f"{k}_mask.png", size=SIZE)
        dataset = load_dataset(tmp_path, nominal=["good"], anomalous=["bad"])
        masks = {row["image_id"]: row["mask_path"] for row in dataset.manifest.to_pylist()}
        named = [warning for warning in dataset.warnings if warning.code == "RL205"]
        assert all("worse/0.png" in warning for warning in named)
        # By its files bad_seg fits good and bad, by its name only bad.
        assert {name for name, mask in masks.items() if mask} == {f"bad/{k}.png" for k in range(3)}
        (tmp_path / "bad_seg").rename(tmp_path / "regions")
        dataset = load_dataset(tmp_path, nominal=["good"], anomalous=["bad"])
        assert dataset.manifest["mask_path"].null_count == 6
        assert any("regions/0_mask.png" in warning for warning in dataset.warnings if warning.code == "RL205")

    def test_masks_without_any_relation_are_told(self, tmp_path, save, save_mask):
        for k in range(4):
            save(tmp_path / "good" / f"{k}.png", size=SIZE)
            save(tmp_path / "bad" / f"{k}.png", size=SIZE)
            save_mask(tmp_path / "bad" / f"{k + 10}.png", size=SIZE)
        dataset = load_dataset(tmp_path, nominal=["good"], anomalous=["bad"])
        (warning,) = [warning for warning in dataset.warnings if warning.code == "RL217"]
        assert warning.startswith("4 of 12 pictures hold next to nothing but a few values")
        assert "bad/10.png" in warning

    @pytest.mark.parametrize("kinds", [("photograph",), ("flat",), ("photograph", "flat", "between")])
    def test_pictures_of_one_kind_or_of_many_are_not(self, tmp_path, save, save_mask, kinds):
        for folder in ("good", "bad"):
            for k in range(3):
                for kind in kinds:
                    path = tmp_path / folder / f"{k}{kind}x.png"
                    if kind == "flat":
                        save_mask(path, size=SIZE, value=200 + k + 10 * (folder == "bad"))
                    else:
                        array = np.random.default_rng(k).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
                        array[: 34 if kind == "between" else 0] = 0
                        save(path, array)
        warnings = load_dataset(tmp_path, nominal=["good"], anomalous=["bad"]).warnings
        assert "RL217" not in [warning.code for warning in warnings]
