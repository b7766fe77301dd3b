import numpy as np
import pytest

from raylab2f.datasets import load_dataset
from raylab2f.datasets.mask_pairing import key_of, match_masks, pair_masks
from raylab2f.errors import UserError


def relative(root, paired):
    return (
        sorted(path.relative_to(root).as_posix() for path in paired.pictures),
        {
            picture.relative_to(root).as_posix(): mask.relative_to(root).as_posix()
            for picture, mask in paired.masks.items()
        },
        sorted(path.relative_to(root).as_posix() for path in paired.strays),
    )


class TestBesideThePicture:
    @pytest.mark.parametrize("ending", ["_mask", "-mask", "_gt", "_GT", "_label", "_ground_truth", " mask", "_seg"])
    @pytest.mark.parametrize("suffix", ["png", "bmp", "PNG", "jpg"])
    def test_by_an_ending(self, tmp_path, save, save_mask, ending, suffix):
        for stem in ("a", "b"):
            save(tmp_path / f"{stem}.jpg")
        save_mask(tmp_path / f"a{ending}.{suffix}")
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path)) == (
            ["a.jpg", "b.jpg"],
            {"a.jpg": f"a{ending}.{suffix}"},
            [],
        )

    @pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm"])
    def test_by_its_stem(self, tmp_path, save, save_mask, suffix):
        for stem in ("a", "b", "c"):
            save(tmp_path / "x" / f"{stem}.jpg", size=(40, 40))
        for stem in ("a", "b"):
            save_mask(tmp_path / "x" / f"{stem}.{suffix}", size=(40, 40))
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path)) == (
            ["x/a.jpg", "x/b.jpg", "x/c.jpg"],
            {"x/a.jpg": f"x/a.{suffix}", "x/b.jpg": f"x/b.{suffix}"},
            [],
        )

    def test_of_a_photograph_without_loss_by_what_they_hold(self, tmp_path, save, save_mask):
        save(tmp_path / "a.png", size=(40, 40))
        save_mask(tmp_path / "a.jpg", size=(40, 40))
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path))[1] == {"a.png": "a.jpg"}
        save(tmp_path / "b.bmp", size=(40, 40))
        save_mask(tmp_path / "b.png", size=(40, 40))
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path))[1] == {"a.png": "a.jpg", "b.bmp": "b.png"}

    def test_of_flat_pictures_by_how_they_were_saved(self, tmp_path, save_mask):
        save_mask(tmp_path / "a.jpg", value=90)
        save_mask(tmp_path / "a.png")
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path))[1] == {"a.jpg": "a.png"}

    def test_the_same_photograph_saved_twice_is_refused(self, tmp_path, save):
        for suffix in ("jpg", "png"):
            save(tmp_path / "good" / f"7.{suffix}", size=(40, 40))
            save(tmp_path / "bad" / f"a.{suffix}", size=(40, 40))
        with pytest.raises(UserError, match=r"which of good/7\.jpg and good/7\.png is the picture .* cannot be told"):
            load_dataset(tmp_path, nominal=["good"], anomalous=["bad"])

    def test_one_photograph_among_masks_is_refused(self, tmp_path, save, save_mask):
        for stem in "abc":
            save(tmp_path / f"{stem}.jpg", size=(40, 40))
        save_mask(tmp_path / "a.png", size=(40, 40))
        save(tmp_path / "b.png", size=(40, 40))
        with pytest.raises(UserError, match="cannot be told"):
            pair_masks(tmp_path, tmp_path)

    @pytest.mark.parametrize(
        "names",
        [
            ("a.jpg", "a_mask.png", "a_gt.png"),
            ("a.jpg", "a_mask.png", "a_mask.bmp"),
            ("a.jpg", "a.jpeg", "a_mask.png"),
            ("a.jpg", "a.png", "a.bmp"),
            ("a.jpg", "a_mask.png", "a_mask_mask.png"),
        ],
    )
    def test_more_than_one_picture_or_mask_of_a_name_is_refused(self, tmp_path, save, names):
        for name in names:
            save(tmp_path / name, size=(40, 40))
        with pytest.raises(UserError, match="cannot be told"):
            pair_masks(tmp_path, tmp_path)

    def test_a_mask_without_its_picture_is_a_stray(self, tmp_path, save, save_mask):
        save(tmp_path / "a.jpg")
        for stem in "ab":
            save_mask(tmp_path / f"{stem}_mask.png")
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path))[2] == ["b_mask.png"]

    def test_where_none_has_a_picture_the_ending_is_part_of_the_name(self, tmp_path, save):
        for name in ("bottle_label.png", "can_label.png", "lid.png"):
            save(tmp_path / name)
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path)) == (
            ["bottle_label.png", "can_label.png", "lid.png"],
            {},
            [],
        )

    def test_other_folders_have_nothing_to_do_with_it(self, tmp_path, save):
        for name in ("x/a.jpg", "y/a.png", "y/b_mask.png", "x/b.png"):
            save(tmp_path / name)
        assert len(pair_masks(tmp_path, tmp_path).pictures) == 4

    def test_a_mask_called_like_the_whole_file(self, tmp_path, save, save_mask):
        save(tmp_path / "a.jpg", size=(40, 40))
        save_mask(tmp_path / "a.jpg.png", size=(40, 40))
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path)) == (["a.jpg"], {"a.jpg": "a.jpg.png"}, [])


class TestInFoldersOfOtherNames:
    @pytest.mark.parametrize(
        ("picture", "mask"),
        [("img1/{}.png", "binary/{}.png"), ("S{}/top.jpg", "S{}/msk/top.png"), ("x/{}.jpg", "y/{}_mask.png")],
    )
    def test_told_by_what_they_hold(self, tmp_path, save, save_mask, picture, mask):
        for number in range(12):
            save(tmp_path / picture.format(number), size=(40, 40))
        for number in range(9):
            save_mask(tmp_path / mask.format(number), size=(40, 40))
        pictures, masks, strays = relative(tmp_path, pair_masks(tmp_path, tmp_path))
        assert pictures == sorted(picture.format(number) for number in range(12))
        assert masks == {picture.format(number): mask.format(number) for number in range(9)}
        assert strays == []

    def test_photographs_of_the_same_names_stay_pictures(self, tmp_path, save):
        for number in range(4):
            for folder in ("day1", "day2"):
                save(tmp_path / folder / f"{number}.png", size=(40, 40))
        assert len(pair_masks(tmp_path, tmp_path).pictures) == 8

    def test_plain_pictures_without_a_counterpart_stay_pictures(self, tmp_path, save, save_mask):
        save(tmp_path / "day1" / "0.png", size=(40, 40))
        save_mask(tmp_path / "day2" / "1.png", size=(40, 40))
        assert len(pair_masks(tmp_path, tmp_path).pictures) == 2


class TestInFoldersOfMasks:
    @pytest.mark.parametrize(
        ("picture", "mask"),
        [
            ("a.png", "masks/a.png"),
            ("images/a.jpg", "masks/a_mask.png"),
            ("images/x/a.jpg", "Ground_Truth/x/a.png"),
            ("x/images/a.jpg", "x/labels/a.bmp"),
            ("x/a.jpg", "mask/a.png"),
        ],
    )
    def test_below_the_named_folder(self, tmp_path, save, save_mask, picture, mask):
        save(tmp_path / picture)
        save_mask(tmp_path / mask)
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path)) == ([picture], {picture: mask}, [])

    def test_several_masks_of_one_picture(self, tmp_path, save, save_mask):
        save(tmp_path / "a.jpg")
        for number in range(2):
            save_mask(tmp_path / "masks" / "a" / f"{number}.png")
        save_mask(tmp_path / "masks" / "b" / "0.png")
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path)) == (
            ["a.jpg"],
            {"a.jpg": "masks/a"},
            ["masks/b/0.png"],
        )

    def test_a_folder_of_that_name_without_masks_holds_pictures(self, tmp_path, save):
        for name in ("label/1.png", "cap/2.png"):
            save(tmp_path / name)
        assert relative(tmp_path, pair_masks(tmp_path, tmp_path)) == (["cap/2.png", "label/1.png"], {}, [])

    def test_a_stem_that_occurs_twice_gets_no_mask_from_another_folder(self, tmp_path, save, save_mask):
        pictures = {key_of(path, tmp_path): path for path in (save(tmp_path / n) for n in ("x/a.png", "y/a.png"))}
        mask = save_mask(tmp_path / "masks" / "a.png")
        assert match_masks(pictures, [(key_of(mask, tmp_path / "masks"), mask)]) == ({}, [mask])


class TestLayoutFolder:
    def test_a_photograph_and_its_mask_are_one_picture(self, tmp_path, save, save_mask):
        for number in range(4):
            save(tmp_path / "OK" / f"S{number}" / "view0.jpg", size=(40, 40))
            save(tmp_path / "NG" / "dent" / f"S1{number}" / "view0.jpg", size=(40, 40))
            save_mask(tmp_path / "NG" / "dent" / f"S1{number}" / "view0.png", size=(40, 40))
        dataset = load_dataset(tmp_path, nominal=["OK"], anomalous=["NG/dent"], object_id=r"(?P<object>S\d+)")
        rows = dataset.manifest.to_pylist()
        assert [row["label"] for row in rows] == [1] * 4 + [0] * 4
        assert [row["mask_path"] for row in rows if row["label"]] == [
            str(tmp_path / "NG" / "dent" / f"S1{number}" / "view0.png") for number in range(4)
        ]
        assert dataset.warnings == ()

    def test_empty_masks_of_nominal_pictures(self, tmp_path, save, save_mask):
        for name in ("OK/1", "NG/2"):
            save(tmp_path / f"{name}.jpg", size=(40, 40))
            save(tmp_path / f"{name}.png", np.zeros((40, 40), np.uint8))
        save_mask(tmp_path / "NG/2.png", size=(40, 40))
        rows = load_dataset(tmp_path, nominal=["OK"], anomalous=["NG"]).manifest.to_pylist()
        assert [(row["image_id"], row["mask_path"] is not None) for row in rows] == [
            ("NG/2.jpg", True),
            ("OK/1.jpg", False),
        ]

    @pytest.mark.parametrize("mask", ["ground_truth/NG/dent/1_mask.png", "NG/masks/dent/1.png", "masks/1.png"])
    def test_masks_beside_the_named_folder(self, tmp_path, save, save_mask, mask):
        save(tmp_path / "OK" / "0.png")
        save(tmp_path / "NG" / "dent" / "1.png")
        save_mask(tmp_path / mask)
        dataset = load_dataset(tmp_path, nominal=["OK"], anomalous=["NG/dent"], object_id="(?P<object>.+)")
        assert dataset.manifest["mask_path"].to_pylist() == [str(tmp_path / mask), None]
        assert dataset.warnings == ()
