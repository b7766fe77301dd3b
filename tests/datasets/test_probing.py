import dataclasses
import threading
import time

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from raylab2f.datasets import load_dataset
from raylab2f.datasets.entries import Entry
from raylab2f.datasets.file_warnings import file_warnings
from raylab2f.datasets.memory import MemoryBudget
from raylab2f.datasets.probing import probe_entries

LIMIT = 10**6


@pytest.fixture
def entry(tmp_path, save):
    """An entry whose picture and mask are written from arrays."""
    count = 0

    def make(mask=None, label=1, size=(12, 16), orientation=None, **fields):
        nonlocal count
        count += 1
        path = save(tmp_path / f"{count}.png", size=size)
        if orientation is not None:
            exif = Image.Exif()
            exif[0x0112] = orientation
            Image.open(path).save(path, exif=exif)
        mask_path = None if mask is None else str(save(tmp_path / f"{count}_mask.png", np.asarray(mask, np.uint8)))
        kind = {1: "dent", 0: "good", None: ""}[label]
        return Entry(path.name, str(path), label, kind, "test", mask_path=mask_path, **fields)

    return make


def spot(size=(12, 16), value=255):
    mask = np.zeros(size, np.uint8)
    mask[2:6, 3:7] = value
    return mask


def codes(probed):
    return [warning.code for warning in file_warnings(probed)]


class TestLabelsFromMasks:
    def test_marks_make_a_picture_anomalous(self, entry):
        (found,) = probe_entries([dataclasses.replace(entry(spot(), None), given_split=None)], LIMIT)
        assert (found.entry.label, found.entry.defect_type, found.entry.given_split) == (1, "defect", "test")
        assert found.entry.mask_sha256 is not None

    def test_an_empty_mask_makes_it_nominal(self, entry):
        (found,) = probe_entries([dataclasses.replace(entry(spot(value=0), None), given_split=None)], LIMIT)
        assert (found.entry.label, found.entry.defect_type, found.entry.given_split) == (0, "good", "train")
        assert (found.entry.mask_path, found.entry.mask_sha256) == (None, None)
        assert codes([found]) == []

    def test_what_the_layout_said_stays(self, entry):
        open_entry = dataclasses.replace(entry(spot(), None), defect_type="crack", given_split="train")
        (found,) = probe_entries([open_entry], LIMIT)
        assert (found.entry.defect_type, found.entry.given_split) == ("crack", "train")

    def test_without_a_mask_nothing_decides(self, entry):
        (found,) = probe_entries([entry(None, None)], LIMIT)
        assert "it has none" in found.problem


class TestWarnings:
    def test_masks_that_contradict_labels(self, entry):
        probed = probe_entries([entry(spot(value=0)), entry(spot(), 0), entry(spot()), entry(spot(value=0), 0)], LIMIT)
        empty, marked = file_warnings(probed)
        assert (empty.code, marked.code) == ("RL207", "RL207")
        assert "1 anomalous pictures have a mask in which nothing is marked (1.png)" in empty
        assert "1 nominal pictures have a mask in which something is marked (2.png)" in marked

    def test_several_classes(self, entry):
        mask = spot(value=85)
        mask[8:11, 3:7] = 255
        (warning,) = file_warnings(probe_entries([entry(spot()), entry(mask)], LIMIT))
        assert warning.code == "RL208"
        assert "1 masks hold more than one value beside the background, up to 2 (2.png)" in warning

    def test_inverted_masks_and_those_without_black(self, entry):
        probed = probe_entries([entry(255 - spot()), entry(spot(value=100) + 100)], LIMIT)
        assert codes(probed) == ["RL216", "RL216"]

    def test_sound_masks_are_not_warned_of(self, entry):
        assert codes(probe_entries([entry(spot()), entry(spot(value=1)), entry(None, 0)], LIMIT)) == []


class TestOrientation:
    def test_a_mask_drawn_on_the_unturned_picture_is_refused_with_the_reason(self, entry):
        probed = probe_entries([entry(spot(), orientation=6)], LIMIT)
        assert "has 16 x 12 pixels, but the picture 12 x 16" in probed[0].problem
        assert "EXIF orientation 6" in probed[0].problem
        (warning,) = file_warnings(probed)
        assert (warning.code, "(1.png)" in warning) == ("RL209", True)

    def test_a_mask_drawn_on_the_turned_picture_fits(self, entry):
        probed = probe_entries([entry(spot().T, orientation=6)], LIMIT)
        assert probed[0].problem is None
        assert codes(probed) == []

    @pytest.mark.parametrize(("size", "orientation"), [((12, 12), 6), ((12, 16), 3), ((12, 16), 2)])
    def test_what_sizes_cannot_tell_is_told(self, entry, size, orientation):
        probed = probe_entries([entry(spot(size), size=size, orientation=orientation)], LIMIT)
        assert probed[0].problem is None
        assert codes(probed) == ["RL209"]

    def test_a_quarter_turn_without_orientation(self, entry):
        (found,) = probe_entries([entry(spot().T)], LIMIT)
        assert found.problem.endswith("turn the mask")


def test_a_folder_of_masks_is_read_and_loaded(mvtec_folder, save_mask):
    mask = mvtec_folder / "ground_truth" / "dent" / "000_mask.png"
    folder = mvtec_folder / "masks"
    folder.mkdir()
    mask.rename(folder / "1.png")
    save_mask(folder / "2.png", value=9)
    lines = [f"{path},{int('dent' in str(path))},{folder if path.stem == '000' and 'dent' in str(path) else ''}"
             for path in sorted(mvtec_folder.rglob("*/*/*.png")) if "ground_truth" not in str(path)]  # fmt: skip
    (mvtec_folder / "m.csv").write_text("\n".join(["path,label,mask_path", *lines]), encoding="utf-8")
    dataset = load_dataset(mvtec_folder / "m.csv")
    assert dataset.manifest["mask_path"].to_pylist().count(str(folder)) == 1
    assert dataset.manifest["mask_sha256"].null_count == dataset.manifest.num_rows - 1


class TestMemoryBudget:
    def test_threads_never_hold_more_than_all_together(self):
        budget = MemoryBudget(100)
        held, most, lock = 0, 0, threading.Lock()

        def work(count):
            nonlocal held, most
            with budget.hold() as hold:
                hold.take(count)
                with lock:
                    held += count
                    most = max(most, held)
                time.sleep(0.001)
                with lock:
                    held -= count

        threads = [threading.Thread(target=work, args=(count,)) for count in [60, 30, 100, 10, 45, 55, 70] * 8]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        assert 0 < most <= 100

    def test_more_than_all_is_served_alone(self):
        budget = MemoryBudget(100)
        served = threading.Event()

        def greedy():
            with budget.hold() as hold:
                hold.take(1000)
                served.set()

        with budget.hold() as hold:
            hold.take(1)
            thread = threading.Thread(target=greedy)
            thread.start()
            assert not served.wait(0.05)
        assert served.wait(10)
        thread.join(10)

    def test_what_is_held_can_be_lowered_and_comes_back_after_an_error(self):
        budget = MemoryBudget(100)

        def fail():
            with budget.hold() as hold:
                hold.take_all()
                hold.take(40)
                with budget.hold() as other:
                    other.take(60)
                raise KeyError("ours")

        with pytest.raises(KeyError, match="ours"):
            fail()
        with budget.hold() as hold:
            hold.take_all()


def test_probing_takes_large_pictures_one_by_one(tmp_path, monkeypatch, save):
    """At a bound of one and a half decoded pictures no two are decoded at the same time."""
    monkeypatch.setattr("raylab2f.datasets.probing.PROBING_BYTES", 6 * 300 * 300)
    entries = [Entry(f"{k}", str(save(tmp_path / f"{k}.png", size=(300, 300))), 0, "good", "train") for k in range(8)]
    running, most, lock = 0, 0, threading.Lock()
    load = PngImagePlugin.PngImageFile.load

    def counted(image):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return load(image)

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", counted, raising=False)
    assert all(item.problem is None for item in probe_entries(entries, LIMIT, workers=8))
    assert most == 1
