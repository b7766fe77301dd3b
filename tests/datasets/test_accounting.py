import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raylab2f.datasets import load_dataset
from raylab2f.datasets.entries import LayoutOptions
from raylab2f.datasets.layouts import read_layout
from raylab2f.errors import UserError

RULE = "(?P<object>.+)"


def rl205(dataset):
    return [warning for warning in dataset.warnings if warning.code == "RL205"]


class TestWhatIsNotUsedIsNamed:
    def test_nothing_is_said_where_all_is_used(self, mvtec_folder, save_mask):
        save_mask(mvtec_folder / "fg_mask" / "000.png")
        for name in (".hidden/a.png", "@eaDir/a.png", "train/good/.ipynb_checkpoints/000.png", "notes.txt"):
            path = mvtec_folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        assert rl205(load_dataset(mvtec_folder)) == []

    def test_number_and_first_few_in_one_warning(self, mvtec_folder, save):
        for number in range(7):
            save(mvtec_folder / "raw" / f"{number}.png")
        (mvtec_folder / "overview.heic").write_bytes(b"x")
        (warning,) = rl205(load_dataset(mvtec_folder))
        assert warning.startswith(
            "8 picture files are used neither as picture nor as mask: overview.heic, raw/0.png, raw/1.png, raw/2.png, "
            "raw/3.png and 3 more. Layout mvtec"
        )

    def test_folders_that_were_not_named(self, tmp_path, save):
        for name in ("good/1.png", "bad/2.png", "other/3.png"):
            save(tmp_path / name)
        (warning,) = rl205(load_dataset(tmp_path, nominal=["good"], anomalous=["bad"]))
        assert warning.startswith("1 picture files are used neither as picture nor as mask: other/3.png.")

    def test_masks_flat_in_their_folder_are_not_passed_over(self, mvtec_folder, save_mask):
        save_mask(mvtec_folder / "ground_truth" / "002_mask.png")
        (warning,) = rl205(load_dataset(mvtec_folder))
        assert "ground_truth/002_mask.png" in warning

    def test_other_categories_are_left_out_by_the_user(self, mvtec_folder, save):
        save(mvtec_folder.parent / "bolt" / "train" / "good" / "0.png")
        save(mvtec_folder.parent / "bolt" / "test" / "dent" / "0.png")
        save(mvtec_folder / "extra.png")
        (warning,) = rl205(load_dataset(mvtec_folder.parent, category="nut"))
        assert warning.startswith("1 picture files are used neither as picture nor as mask: extra.png.")

    def test_pictures_around_the_only_category(self, mvtec_folder, save):
        save(mvtec_folder.parent / "raw" / "0.png")
        (warning,) = rl205(load_dataset(mvtec_folder.parent))
        assert ": raw/0.png." in warning

    def test_a_manifest_says_itself_what_is_used(self, tmp_path, save):
        for name in "abc":
            save(tmp_path / f"{name}.png")
        (tmp_path / "manifest.csv").write_text("path,label\na.png,0\nb.png,1\n", encoding="utf-8")
        assert rl205(load_dataset(tmp_path)) == []

    def test_what_is_told_as_a_stray_is_not_told_again(self, mvtec_folder, save_mask):
        save_mask(mvtec_folder / "ground_truth" / "dent" / "007_mask.png")
        dataset = load_dataset(mvtec_folder, skip_unreadable=True)
        assert rl205(dataset) == []
        assert len(dataset.skipped) == 1


class TestLinks:
    @pytest.fixture
    def root(self, tmp_path, save):
        for number in range(3):
            for folder in ("store/line2", "set/good", "set/bad"):
                save(tmp_path / folder / f"{number}.png")
        return tmp_path / "set"

    def load(self, root, **options):
        return load_dataset(root, nominal=["good"], anomalous=["bad"], object_id=RULE, **options)

    def test_linked_folders_are_read(self, root):
        (root / "good" / "line2").symlink_to("../../store/line2")
        dataset = self.load(root)
        assert dataset.manifest["label"].to_pylist().count(0) == 6
        assert "good/line2/0.png" in dataset.manifest["image_id"].to_pylist()
        assert dataset.warnings == ()

    def test_the_named_folder_may_be_a_link(self, root):
        (root / "good").rename(root.parent / "store" / "good")
        (root / "good").symlink_to("../store/good")
        assert self.load(root).manifest.num_rows == 6

    def test_links_without_a_target_are_missing_files(self, root):
        (root / "good" / "gone.png").symlink_to("../../store/gone.png")
        (root / "bad" / "line3").symlink_to("../../store/line3")
        with pytest.raises(UserError, match=r"2 files cannot be used \(.*good/gone\.png: the file does not exist"):
            self.load(root)
        dataset = self.load(root, skip_unreadable=True)
        assert dataset.manifest.num_rows == 6
        assert {name for name, _ in dataset.skipped} == {"good/gone.png", "bad/line3"}

    def test_outside_of_what_is_read_they_are_only_named(self, root):
        (root / "gone.png").symlink_to("nowhere.png")
        (warning,) = self.load(root).warnings
        assert warning.startswith("1 picture files are used neither as picture nor as mask: gone.png.")

    def test_loops_double_nothing(self, root):
        for place, target in (("good/all", ".."), ("good/self", "."), ("twin", "good"), ("bad/again", "../bad")):
            (root / place).symlink_to(target)
        dataset = self.load(root)
        assert dataset.manifest.num_rows == 6
        assert dataset.warnings == ()

    def test_a_picture_of_both_kinds_by_a_link_is_refused(self, root):
        (root / "good" / "more").symlink_to("../bad")
        with pytest.raises(UserError, match="are one picture, which would be both nominal and anomalous"):
            self.load(root)

    def test_a_picture_in_two_splits_by_a_link_counts_where_it_lies(self, mvtec_folder):
        (mvtec_folder / "test" / "good" / "again.png").symlink_to("../../train/good/000.png")
        dataset = load_dataset(mvtec_folder)
        assert dataset.manifest.num_rows == 6
        assert "train/good/000.png" in dataset.manifest["image_id"].to_pylist()

    @pytest.mark.parametrize("layout", ["auto", "mvtec"])
    def test_categories_by_links_and_in_circles_are_one(self, mvtec_folder, layout):
        root = mvtec_folder.parent
        (root / "twin").symlink_to("nut")
        (root / "nut" / "loop").symlink_to("..")
        dataset = load_dataset(root, layout=layout)
        assert dataset.name == "nut"
        assert dataset.manifest.num_rows == 6
        assert rl205(dataset) == []


class TestNames:
    def write(self, root, name):
        path = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), len(name), np.uint8)).save(path)

    def test_not_utf8_is_one_sentence_or_skipped(self, tmp_path):
        for name in (b"good/a.png", b"good/\xc4\xe3.png", b"bad/b.png", b"bad/\xff/c.png"):
            self.write(tmp_path, name)
        with pytest.raises(UserError) as caught:
            load_dataset(tmp_path, nominal=["good"], anomalous=["bad"])
        assert r"good/\xc4\xe3.png: the file's name is not UTF-8; rename it" in str(caught.value)
        assert str(caught.value).isprintable()
        dataset = load_dataset(tmp_path, nominal=["good"], anomalous=["bad"], skip_unreadable=True)
        assert dataset.manifest["image_id"].to_pylist() == ["bad/b.png", "good/a.png"]
        assert {name for name, _ in dataset.skipped} == {r"good/\xc4\xe3.png", r"bad/\xff/c.png"}

    def test_the_only_picture_of_a_kind_is_named_too(self, tmp_path):
        for name in (b"good/\xc4.png", b"bad/b.png"):
            self.write(tmp_path, name)
        with pytest.raises(UserError, match=r"good/\\xc4\.png: the file's name is not UTF-8"):
            load_dataset(tmp_path, nominal=["good"], anomalous=["bad"])
        with pytest.raises(UserError, match="no nominal pictures that can be read"):
            load_dataset(tmp_path, nominal=["good"], anomalous=["bad"], skip_unreadable=True)

    def test_nor_may_the_folder_be(self, tmp_path):
        root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
        for name in (b"good/a.png", b"bad/b.png"):
            self.write(root, name)
        with pytest.raises(UserError, match=r"/\\xff: this name is not UTF-8"):
            load_dataset(root, nominal=["good"], anomalous=["bad"])

    @pytest.mark.parametrize("name", ["a\nb", "[bold]x[/bold]", "%2e", " ", "x" * 240, "\u202eabc", "日本", "'\""])
    def test_odd_names_are_read(self, tmp_path, name):
        for folder in (b"good/", b"bad/"):
            self.write(tmp_path, folder + os.fsencode(name) + b".png")
        (tmp_path / "good" / f"{name}.png").write_bytes(b"")
        self.write(tmp_path, b"good/plain.png")
        with pytest.raises(UserError) as caught:
            load_dataset(tmp_path, nominal=["good"], anomalous=["bad"])
        assert str(caught.value).isprintable()
        dataset = load_dataset(tmp_path, nominal=["good"], anomalous=["bad"], skip_unreadable=True)
        assert f"bad/{name}.png" in dataset.manifest["image_id"].to_pylist()


STEMS = st.sampled_from(["0", "1", "0_mask", "1_label", "2-gt", "ok"])
SUFFIXES = st.sampled_from([".png", ".JPG", ".jpg", ".bmp", ".gif", ".txt"])
FOLDERS = {
    "mvtec": [
        *("train/good", "train/good/day1", "train/normal-2", "test/good", "test/dent", "test/dent/masks", "test"),
        *("test/dent/0", "ground_truth", "ground_truth/dent", "ground_truth/dent/0", "ground_truth/good", "val/ok"),
        *("fg_mask", "raw", "raw/deep", ".git", "test/dent/@eaDir", "train/Thumbs", "train/not_ok"),
    ],
    "folder": [
        *("OK", "OK/a", "OK/images", "OK/masks", "NG/dent", "NG/dent/0", "NG/dent/gt", "NG/masks/dent", "masks/NG"),
        *("NG", "other", ".hidden", "OK/__MACOSX"),
    ],
}
OPTIONS = {"mvtec": LayoutOptions(), "folder": LayoutOptions(None, ("OK",), ("NG/dent",))}
HIDDEN = {".git", "@eaDir", "Thumbs", ".hidden", "__MACOSX"}
PICTURES = {".png", ".jpg", ".bmp", ".gif"}


@pytest.mark.parametrize("layout", FOLDERS)
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_every_picture_file_is_used_ruled_out_or_named_once(tmp_path_factory, layout, data):
    root = tmp_path_factory.mktemp(layout)
    fixed = {"mvtec": ["train/good/x.png", "test/dent/x.png"], "folder": ["OK/x.png", "NG/dent/x.png"]}[layout]
    files = data.draw(st.sets(st.tuples(st.sampled_from(FOLDERS[layout]), STEMS, SUFFIXES), max_size=14))
    for name in [*fixed, *(f"{folder}/{stem}{suffix}" for folder, stem, suffix in files)]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    try:
        found = read_layout(root, layout, OPTIONS[layout])
    except UserError as error:
        assert re.search("cannot be told|masks of the same name", str(error))  # noqa: PT017
        return
    pictures = {entry.path for entry in found.entries}
    assert len(pictures) == len(found.entries)
    masks = set()
    for entry in found.entries:
        if entry.mask_path is not None:
            path = Path(entry.mask_path)
            own = list(path.iterdir()) if path.is_dir() else [path]
            masks |= {str(file) for file in own if file.suffix.lower() in PICTURES - {".gif"}}
    foregrounds = {entry.foreground_path for entry in found.entries} - {None}
    strays = {str(root / name) for name, _ in found.strays}
    used = pictures | masks | foregrounds
    assert not pictures & masks
    assert not used & strays
    there = {
        str(path)
        for path in root.rglob("*")
        if path.suffix.lower() in PICTURES and path.is_file() and not HIDDEN & set(path.relative_to(root).parts)
    }
    assert used | strays <= there
    unused = there - used - strays
    said = [warning for warning in found.warnings if warning.code == "RL205"]
    assert len(said) == bool(unused)
    for warning in said:
        assert warning.startswith(f"{len(unused)} picture files")
        listed = warning.partition(": ")[2].partition(". Layout")[0].partition(" and ")[0].split(", ")
        assert listed == sorted(os.path.relpath(path, root) for path in unused)[:5]
