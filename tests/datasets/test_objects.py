import dataclasses

import pytest

from raylab2f.datasets import load_dataset
from raylab2f.datasets.entries import Entry
from raylab2f.datasets.objects import apply_rules, equal_files_warnings, mixed_objects_warnings
from raylab2f.errors import UserError


def entry(image_id, label=0, object_id=None, sha256=None):
    kind = "dent" if label else "good"
    return Entry(image_id, f"/{image_id}", label, kind, "train", object_id, sha256=sha256 or image_id)


class TestNames:
    @pytest.mark.parametrize("name", ["nan", "NaN", "none", "None", "null", "NULL", "NA", " ", "  nan "])
    def test_what_means_that_there_is_no_name_is_missing(self, name):
        with pytest.raises(UserError, match=r"--object-id .*finds .* in .*; make it match every picture"):
            apply_rules([entry(f"{name}_1.png")], object_id="^(?P<object>.*)_")

    @pytest.mark.parametrize("option", ["views", "conditions"])
    def test_for_views_and_conditions_too(self, option):
        with pytest.raises(UserError, match=f"--{option} .*finds only nan, which means that there is none"):
            apply_rules([entry("nan_1.png")], **{option: f"^(?P<{option[:-1]}>.*)_"})

    def test_spaces_around_a_name_are_no_part_of_it(self):
        entries, known = apply_rules([entry("7 _a.png"), entry("7_b.png")], object_id="^(?P<object>.*)_")
        assert known
        assert {e.object_id for e in entries} == {"7"}

    def test_other_names_stay_as_they_are(self):
        names = ["nancy", "nonesuch", "007", "blank", "NA7"]
        entries, _ = apply_rules([entry(f"{name}_1") for name in names], object_id="^(?P<object>.*)_")
        assert [e.object_id for e in entries] == names

    def test_conditions(self):
        entries, _ = apply_rules([entry("morning/a.png"), entry("night/a.png")], conditions="^(?P<condition>[^/]+)/")
        assert [e.condition for e in entries] == ["morning", "night"]
        assert [e.view for e in entries] == [None, None]
        with pytest.raises(UserError, match=r"--conditions .*no group \(\?P<condition>"):
            apply_rules([entry("a")], conditions="(?P<view>a)")


class TestMixedObjects:
    def test_names_that_restart_in_each_folder(self, tmp_path, save):
        for number in range(4):
            for folder in ("train/good", "test/good", "test/dent"):
                save(tmp_path / folder / f"{number:03}.png")
        (warning,) = load_dataset(tmp_path, object_id=r"(?P<object>\d+)\.png$").warnings
        assert warning.code == "RL210"
        assert warning.startswith("4 of 4 objects hold both good and defective pictures (000, 001, 002 and 1 more)")
        assert "names restart in each folder" in warning
        assert load_dataset(tmp_path, object_id=r"(?P<object>.+)\.png$").warnings == ()

    def test_the_rule_that_it_proposes_tells_the_parts_apart(self):
        entries = [entry("good/7.png"), entry("dent/7.png", 1)]
        (warning,) = mixed_objects_warnings([dataclasses.replace(e, object_id="7") for e in entries])
        proposed = warning.partition("such as '")[2].partition("'")[0]
        assert mixed_objects_warnings(apply_rules(entries, object_id=proposed)[0]) == []

    def test_only_those_that_hold_both_count(self):
        entries = [entry("a", 0, "x"), entry("b", 1, "x"), entry("c", 0, "y"), entry("d", 1, "z")]
        (warning,) = mixed_objects_warnings(entries)
        assert warning.startswith("1 of 3 objects hold both good and defective pictures (x)")


class TestEqualFiles:
    def test_says_which_and_names_each_object_once(self):
        entries = [
            entry("kos1/0", 0, "kos1", "A"),
            entry("kos2/0", 0, "kos2", "A"),
            entry("kos1/1", 0, "kos1", "B"),
            entry("kos2/1", 0, "kos2", "B"),
            entry("kos3/0", 0, "kos3", "C"),
            entry("kos3/1", 0, "kos3", "C"),
        ]
        (warning,) = equal_files_warnings(entries)
        assert warning.code == "RL204"
        assert warning.startswith(
            "2 files occur under more than one object, 2 objects in all (kos1, kos2), so the same picture can land in "
            "training and in evaluation: kos1/0 = kos2/0, kos1/1 = kos2/1. "
        )

    def test_of_many_copies_a_few_are_named(self):
        (warning,) = equal_files_warnings([entry(f"{number:02}.png", 0, None, "A") for number in range(56)])
        assert "00.png = 01.png = 02.png = 03.png = 52 more. " in warning

    def test_without_objects_the_files_are_enough(self):
        (warning,) = equal_files_warnings([entry("a", sha256="A"), entry("b", sha256="A"), entry("c", sha256="A")])
        assert warning.startswith("1 files occur under more than one object, so the same picture")
        assert ": a = b = c." in warning


def test_equal_files_with_both_labels_are_named():
    entries = [
        Entry("bad/a", "/bad/a", 1, "dent", "test", sha256="A"),
        Entry("good/a", "/good/a", 0, "good", "train", sha256="A"),
        Entry("good/b", "/good/b", 0, "good", "train", sha256="B"),
        Entry("good/c", "/good/c", 0, "good", "train", sha256="B"),
    ]
    (warning,) = equal_files_warnings(entries)
    assert warning.endswith("1 of them count as good and as defective (bad/a = good/a); decide which they are.")
    assert "good and as defective" not in equal_files_warnings(entries[2:])[0]
