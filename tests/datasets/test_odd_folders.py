"""Folders as people have them: what is read is right, and what cannot be is said with its mend."""

import os
import unicodedata

import pytest

from raylab2f.datasets import load_dataset
from raylab2f.errors import UserError

OPTIONS = {"nominal": ["good"], "anomalous": ["bad"]}


@pytest.fixture
def pictures(tmp_path, save):
    for folder in ("good", "bad"):
        for number in range(2):
            save(tmp_path / folder / f"{number}.png")
    return tmp_path


class TestMessages:
    """A folder in which no layout is recognised: the sentence says what this one holds."""

    def test_folders_are_named(self, pictures):
        with pytest.raises(UserError, match=r"name the folders of good pictures with --nominal .*there is bad, good\)"):
            load_dataset(pictures)

    def test_a_table_is_named(self, pictures):
        (pictures / "labels.csv").write_text("path,label\n")
        with pytest.raises(UserError, match=r"or give a manifest itself, if one of labels\.csv is one"):
            load_dataset(pictures)

    def test_all_pictures_in_one_folder(self, pictures):
        with pytest.raises(UserError, match="all pictures lie in the folder itself; put good and defective ones into"):
            load_dataset(pictures / "good")

    def test_pictures_of_kinds_that_are_not_read(self, tmp_path, save):
        save(tmp_path / "good" / "a.png").rename(tmp_path / "good" / "a.gif")
        with pytest.raises(UserError, match=r"no pictures in this folder that can be read \(good/a\.gif cannot\)"):
            load_dataset(tmp_path)
        save(tmp_path / "bad" / "a.png")
        with pytest.raises(UserError, match=r"--nominal good: .* of a kind that is read \(a\.gif\); convert them"):
            load_dataset(tmp_path, **OPTIONS)

    @pytest.mark.parametrize("name", ["a.json", "a.zip", "good/0.png"])
    def test_a_file_that_is_no_manifest(self, pictures, name):
        (pictures / name).touch()
        with pytest.raises(UserError, match="is neither a folder nor a manifest; give the folder of the pictures"):
            load_dataset(pictures / name)

    @pytest.mark.parametrize("name", ["GOOD", "good2", "x\\good", "good,bad", "good*"])
    def test_a_folder_that_is_not_there(self, pictures, name):
        with pytest.raises(UserError, match=r"there is no such folder in .*; beside it there is bad, good"):
            load_dataset(pictures, nominal=[name], anomalous=["bad"])

    def test_a_pointer_of_git_lfs(self, pictures):
        (pictures / "good" / "2.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        with pytest.raises(UserError, match=r"good/2\.png: Git LFS left a pointer .* run git lfs pull"):
            load_dataset(pictures, **OPTIONS)

    def test_a_pipe_called_like_a_picture(self, pictures):
        os.mkfifo(pictures / "good" / "2.png")
        with pytest.raises(UserError, match=r"good/2\.png: it is no file but a pipe"):
            load_dataset(pictures, **OPTIONS)


class TestLetters:
    """Accents as one letter or as two are the same name."""

    @pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
    def test_folders(self, pictures, forms):
        here, said = (unicodedata.normalize(form, "schön") for form in forms)
        (pictures / "good").rename(pictures / here)
        assert load_dataset(pictures, nominal=[said], anomalous=["bad"]).manifest.num_rows == 4

    @pytest.mark.parametrize("place", ["masks/bad/{}.png", "bad/{}_mask.png", "bad/masks/{}.png"])
    @pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
    def test_masks(self, pictures, save, save_mask, forms, place):
        picture, mask = (unicodedata.normalize(form, "Überschlag é") for form in forms)
        save(pictures / "bad" / f"{picture}.png")
        save_mask(pictures / place.format(mask))
        manifest = load_dataset(pictures, **OPTIONS).manifest
        assert manifest.num_rows == 5
        assert manifest["mask_path"].null_count == 4


class TestCase:
    """Names of folders in upper or lower case, as docs/datasets.md says."""

    def test_masks_of_a_defect_type(self, mvtec_folder):
        (mvtec_folder / "test" / "dent").rename(mvtec_folder / "test" / "Dent")
        masks = load_dataset(mvtec_folder).manifest["mask_path"].to_pylist()
        assert sum(mask is not None for mask in masks) == 2

    @pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
    def test_magnetic_tiles(self, tmp_path, save, save_mask, change):
        for kind in ("MT_Free", "MT_Blowhole"):
            for number in range(2):
                path = tmp_path / change(kind) / change("Imgs") / f"exp1_num_{1000 * len(kind) + number}.jpg"
                save(path)
                save_mask(path.with_suffix(".png"))
        rows = load_dataset(tmp_path).manifest.to_pylist()
        assert sorted(row["defect_type"] for row in rows) == ["blowhole", "blowhole", "good", "good"]

    def test_the_list_of_visa(self, tmp_path, save):
        lines = ["object,split,label,image,mask"]
        for kind, split in (("Normal", "test"), ("Anomaly", "test")):
            save(tmp_path / "nut" / "Data" / "Images" / kind / "0.JPG")
            lines.append(f"nut,{split},{kind.lower()},nut/Data/Images/{kind}/0.JPG,")
        (tmp_path / "Split_CSV").mkdir()
        (tmp_path / "Split_CSV" / "1CLS.csv").write_text("\n".join(lines))
        assert set(load_dataset(tmp_path).manifest["given_split"].to_pylist()) == {"test"}

    def test_categories_that_differ_in_case(self, tmp_path, save):
        for number, name in enumerate(("nut", "Nut"), start=1):
            for index in range(number):
                save(tmp_path / name / "train" / "good" / f"{index}.png")
            save(tmp_path / name / "test" / "dent" / "0.png")
        assert load_dataset(tmp_path, category="nut").manifest.num_rows == 2
        assert load_dataset(tmp_path, category="Nut").manifest.num_rows == 3
