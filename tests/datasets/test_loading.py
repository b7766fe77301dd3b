import numpy as np
import pytest

from raylab2f.datasets import load_dataset
from raylab2f.datasets.objects import NO_OBJECTS_WARNING
from raylab2f.errors import UserError


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


class TestUnusableFiles:
    @pytest.fixture
    def broken(self, mvtec_folder, save, save_mask):
        """Six usable pictures and five that are not."""
        train = mvtec_folder / "train" / "good"
        (train / "empty.png").write_bytes(b"")
        truncate(save(train / "truncated ö.jpg", size=(50, 50)))
        (train / "text.png").write_text("no picture", encoding="utf-8")
        save(mvtec_folder / "test" / "dent" / "other_size.png")
        save_mask(mvtec_folder / "ground_truth" / "dent" / "other_size_mask.png", size=(7, 7))
        save(mvtec_folder / "test" / "dent" / "no_mask.png")
        (mvtec_folder / "ground_truth" / "dent" / "no_mask_mask.png").write_bytes(b"")
        return mvtec_folder

    def test_are_listed_with_the_way_out(self, broken):
        with pytest.raises(UserError) as caught:
            load_dataset(broken)
        message = str(caught.value)
        assert "5 files cannot be used" in message
        assert "and 2 more" in message
        assert "--skip-unreadable" in message

    def test_are_skipped_and_recorded_on_demand(self, broken):
        dataset = load_dataset(broken, skip_unreadable=True)
        assert dataset.manifest.num_rows == 6
        reasons = dict(dataset.skipped)
        assert reasons.keys() == {
            "train/good/empty.png",
            "train/good/truncated ö.jpg",
            "train/good/text.png",
            "test/dent/other_size.png",
            "test/dent/no_mask.png",
        }
        assert "empty" in reasons["train/good/empty.png"]
        assert "truncated" in reasons["train/good/truncated ö.jpg"]
        assert "other_size_mask.png has 7 x 7 pixels, but the picture 8 x 6" in reasons["test/dent/other_size.png"]
        assert "no_mask_mask.png: the file is empty" in reasons["test/dent/no_mask.png"]

    def test_skipping_nothing_records_nothing(self, mvtec_folder):
        assert load_dataset(mvtec_folder, skip_unreadable=True).skipped == ()

    def test_nothing_left_of_a_kind(self, mvtec_folder):
        for number in range(2):
            (mvtec_folder / "test" / "dent" / f"{number:03}.png").write_bytes(b"")
        with pytest.raises(UserError, match="no anomalous pictures that can be read"):
            load_dataset(mvtec_folder, skip_unreadable=True)

    def test_above_the_pixel_limit(self, mvtec_folder, save):
        save(mvtec_folder / "train" / "good" / "large.png", size=(20, 10))
        with pytest.raises(UserError, match=r"train/good/large\.png: 10 x 20 = 200 pixels .*--pixel-limit 100"):
            load_dataset(mvtec_folder, pixel_limit=100)
        assert load_dataset(mvtec_folder, pixel_limit=200).manifest.num_rows == 7

    @pytest.mark.parametrize("content", [b"", None])
    def test_a_nominal_picture_outlives_its_mask(self, mvtec_folder, save_mask, content):
        mask = save_mask(mvtec_folder / "ground_truth" / "good" / "000.png", size=(3, 3))
        if content is not None:
            mask.write_bytes(content)
        dataset = load_dataset(mvtec_folder)
        assert dataset.manifest.num_rows == 6
        (warning,) = [warning for warning in dataset.warnings if warning.code == "RL207"]
        assert warning.startswith("1 nominal pictures have a mask that cannot be used")
        assert "test/good/000.png: its mask" in warning
        (mvtec_folder / "test" / "good" / "000.png").write_bytes(b"")
        with pytest.raises(UserError, match=r"1 files cannot be used \(test/good/000\.png: the file is empty"):
            load_dataset(mvtec_folder)

    def test_a_foreground_of_another_size(self, mvtec_folder, save_mask):
        save_mask(mvtec_folder / "fg_mask" / "001.png", size=(3, 3))
        with pytest.raises(UserError, match=r"train/good/001\.png: its foreground .* has 3 x 3 pixels"):
            load_dataset(mvtec_folder)


def test_no_anomalous_pictures(tmp_path, save):
    save(tmp_path / "train" / "good" / "0.png")
    save(tmp_path / "test" / "good" / "0.png")
    with pytest.raises(UserError, match="no anomalous pictures"):
        load_dataset(tmp_path)


def test_no_nominal_pictures(tmp_path, save):
    save(tmp_path / "test" / "dent" / "0.png")
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match="no nominal pictures"):
        load_dataset(tmp_path)


def test_duplicate_ids(tmp_path, save):
    for name in "abc":
        save(tmp_path / f"{name}.png")
    (tmp_path / "m.csv").write_text("path,label,image_id\na.png,0,x\nb.png,1,x\nc.png,1,c\n", encoding="utf-8")
    with pytest.raises(UserError, match="more than once: x"):
        load_dataset(tmp_path / "m.csv")


def test_non_ascii_and_spaced_names_work(tmp_path, save, save_mask):
    root = tmp_path / "größe 日本"
    save(root / "train" / "good" / "bild 1 ä.png")
    save(root / "test" / "kratzer groß" / "日本 2.png")
    save_mask(root / "ground_truth" / "kratzer groß" / "日本 2_mask.png")
    dataset = load_dataset(root)
    assert dataset.name == "größe 日本"
    assert dataset.manifest["image_id"].to_pylist() == ["test/kratzer groß/日本 2.png", "train/good/bild 1 ä.png"]
    assert dataset.manifest["mask_path"].to_pylist()[0].endswith("日本 2_mask.png")


def test_progress_counts_up_to_all(mvtec_folder):
    calls = []
    load_dataset(mvtec_folder, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(1, 7)]


class TestWarnings:
    RULE = r"(?P<object>.+)\.png"

    def test_one_warning_without_an_object_rule(self, mvtec_folder):
        assert load_dataset(mvtec_folder).warnings == (NO_OBJECTS_WARNING,)
        assert "--object-id" in NO_OBJECTS_WARNING

    def test_none_with_a_rule(self, mvtec_folder):
        assert load_dataset(mvtec_folder, object_id=self.RULE).warnings == ()

    def test_the_same_file_under_two_objects(self, mvtec_folder):
        copy = mvtec_folder / "test" / "good" / "009.png"
        copy.write_bytes((mvtec_folder / "train" / "good" / "000.png").read_bytes())
        (warning,) = load_dataset(mvtec_folder, object_id=self.RULE).warnings
        assert "1 files occur under more than one object" in warning
        assert load_dataset(mvtec_folder, object_id="(?P<object>good|dent)").warnings == ()

    def test_12_bits_in_16(self, tmp_path, save):
        for name, peak in (("train/good/0.png", 900), ("test/dent/0.png", 4095)):
            save(tmp_path / name, np.full((4, 4), peak, np.uint16))
        (warning,) = load_dataset(tmp_path, object_id=self.RULE).warnings
        assert "4095" in warning
        save(tmp_path / "train" / "good" / "1.png", np.full((4, 4), 4096, np.uint16))
        assert load_dataset(tmp_path, object_id=self.RULE).warnings == ()


class TestRules:
    def test_objects_and_views(self, tmp_path, save):
        for name in ("train/good/link7_30.png", "train/good/link7_60.png", "test/dent/link8_30.png"):
            save(tmp_path / name)
        dataset = load_dataset(tmp_path, object_id=r"(?P<object>link\d+)", views=r"_(?P<view>\d+)\.png$")
        assert dataset.manifest["object_id"].to_pylist() == ["link8", "link7", "link7"]
        assert dataset.manifest["view"].to_pylist() == ["30", "30", "60"]

    @pytest.mark.parametrize(
        ("rules", "message"),
        [
            ({"object_id": "(?P<object>"}, r"--object-id \(\?P<object>: this is no regular expression"),
            ({"object_id": r"(\d+)"}, r"--object-id .*no group \(\?P<object>"),
            ({"object_id": r"(?P<object>train)"}, r"finds no object in test/dent/000\.png"),
            ({"object_id": r"(?P<object>x?)"}, r"finds no object in test/dent/000\.png"),
            ({"views": r"(?P<object>\d+)"}, r"--views .*no group \(\?P<view>"),
            ({"views": r"good/(?P<view>\d+)"}, r"--views .*finds no view in test/dent/000\.png"),
        ],
    )
    def test_bad_rules(self, mvtec_folder, rules, message):
        with pytest.raises(UserError, match=message):
            load_dataset(mvtec_folder, **rules)
