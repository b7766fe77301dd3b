import dataclasses
import random
import shutil
import string

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.datasets import load_dataset
from raylab2f.datasets.entries import Entry
from raylab2f.datasets.manifest import (
    MANIFEST_SCHEMA,
    fingerprint,
    manifest_table,
    read_manifest,
    validate_manifest,
    write_manifest,
)
from raylab2f.errors import UserError

NAMES = st.text(st.sampled_from(string.ascii_letters + " äß/_.é日"), min_size=1, max_size=12)


@st.composite
def entries(draw):
    names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=12))
    result = []
    for name in names:
        label = draw(st.integers(0, 1))
        masked = label == 1 and draw(st.booleans())
        result.append(
            Entry(
                image_id=name,
                path=f"/data/{name}",
                label=label,
                defect_type=draw(st.sampled_from(["dent", "scratch"])) if label else "good",
                given_split=draw(st.sampled_from(["train", "test"])),
                object_id=draw(NAMES),
                view=draw(st.none() | NAMES),
                mask_path=f"/masks/{name}" if masked else None,
                width=8,
                height=6,
                sha256=draw(st.sampled_from("abc")) * 64,
                mask_sha256=draw(st.sampled_from("abc")) * 64 if masked else None,
            )
        )
    return result


@settings(deadline=None)
@given(entries(), st.randoms(use_true_random=False))
def test_the_fingerprint_ignores_row_order_and_place(rows, rng: random.Random):
    moved = [
        dataclasses.replace(row, path="elsewhere", mask_path=None if row.mask_path is None else "x") for row in rows
    ]
    rng.shuffle(moved)
    mark = fingerprint(manifest_table(rows))
    assert len(mark) == 16
    assert set(mark) <= set(string.hexdigits.lower())
    assert fingerprint(manifest_table(moved)) == mark


@settings(deadline=None)
@given(entries(), st.data())
def test_the_fingerprint_sees_every_other_change(rows, data):
    index = data.draw(st.integers(0, len(rows) - 1))
    row = rows[index]
    changes = {
        "image_id": row.image_id + "2",
        "object_id": row.object_id + "2",
        "view": (row.view or "") + "2",
        "given_split": "train" if row.given_split == "test" else "test",
        "sha256": "d" * 64,
        "width": 9,
    }
    if row.mask_sha256:
        changes["mask_sha256"] = "d" * 64
    if row.label:
        changes["defect_type"] = "hole"
    name = data.draw(st.sampled_from(sorted(changes)))
    changed = [*rows[:index], dataclasses.replace(row, **{name: changes[name]}), *rows[index + 1 :]]
    if len({entry.image_id for entry in changed}) == len(changed):
        assert fingerprint(manifest_table(changed)) != fingerprint(manifest_table(rows))


@settings(deadline=None)
@given(entries())
def test_neighbouring_columns_do_not_run_together(rows):
    row = dataclasses.replace(rows[0], object_id="ab", view="c")
    other = dataclasses.replace(rows[0], object_id="a", view="bc")
    assert fingerprint(manifest_table([row])) != fingerprint(manifest_table([other]))


class TestFilesBehindTheFingerprint:
    def mark(self, folder):
        return fingerprint(load_dataset(folder).manifest)

    def test_stays_when_the_folder_moves(self, mvtec_folder, tmp_path):
        before = self.mark(mvtec_folder)
        other = tmp_path / "far away" / "ünüt"
        shutil.copytree(mvtec_folder, other)
        assert self.mark(other) == before

    def test_changes_with_content_label_and_mask(self, mvtec_folder, save, save_mask):
        marks = [self.mark(mvtec_folder)]
        save(mvtec_folder / "train" / "good" / "000.png", size=(5, 5))
        marks.append(self.mark(mvtec_folder))
        save_mask(mvtec_folder / "ground_truth" / "dent" / "000_mask.png", value=128)
        marks.append(self.mark(mvtec_folder))
        (mvtec_folder / "test" / "good" / "000.png").rename(mvtec_folder / "test" / "dent" / "002.png")
        marks.append(self.mark(mvtec_folder))
        assert len(set(marks)) == 4


def test_what_is_written_is_read_back(mvtec_folder, tmp_path):
    table = load_dataset(mvtec_folder).manifest
    assert table.schema.equals(MANIFEST_SCHEMA)
    write_manifest(tmp_path / "out" / "manifest.parquet", table)
    assert read_manifest(tmp_path / "out" / "manifest.parquet").equals(table)


def test_a_whole_manifest_is_read_without_its_pictures(mvtec_folder, tmp_path):
    table = load_dataset(mvtec_folder).manifest
    write_manifest(tmp_path / "manifest.parquet", table)
    shutil.rmtree(mvtec_folder)
    assert fingerprint(read_manifest(tmp_path / "manifest.parquet")) == fingerprint(table)


def test_sizes_and_checksums_are_found_when_absent(mvtec_folder, tmp_path):
    table = load_dataset(mvtec_folder).manifest
    user_made = table.drop_columns(["width", "height", "sha256", "mask_sha256", "foreground_sha256"])
    pq.write_table(user_made, tmp_path / "mine.parquet")
    assert read_manifest(tmp_path / "mine.parquet").equals(table)


def test_reading_names_a_picture_that_has_to_be_read_and_cannot(tmp_path):
    (tmp_path / "m.csv").write_text("path,label\nabsent.png,0\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"absent\.png: the file does not exist"):
        read_manifest(tmp_path / "m.csv")


def test_manifests_are_written_as_parquet_only(mvtec_folder, tmp_path):
    with pytest.raises(UserError, match=r"\.parquet"):
        write_manifest(tmp_path / "manifest.csv", load_dataset(mvtec_folder).manifest)


def replaced(table, name, values):
    field = table.schema.field(name).with_nullable(True)
    return table.set_column(table.column_names.index(name), field, pa.array(values, field.type))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", 2, "label must be 0 or 1"),
        ("label", None, "label must have a value"),
        ("given_split", "validation", "given_split"),
        ("defect_type", "dent", "defect_type"),
        ("object_id", "", "object_id"),
        ("width", 0, "width and height"),
        ("mask_path", "/m.png", "mask_sha256"),
        ("sha256", None, "sha256 must have a value"),
    ],
)
def test_a_broken_rule_is_named(column, value, message):
    row = Entry("a", "/a", 0, "good", "train", "o", width=1, height=1, sha256="0")
    table = manifest_table([row])
    validate_manifest(table)
    with pytest.raises(UserError, match=message):
        validate_manifest(replaced(table, column, [value]))


def test_other_broken_tables_are_refused():
    table = manifest_table([Entry("a", "/a", 0, "good", "train", "o", width=1, height=1, sha256="0")])
    with pytest.raises(UserError, match="column view is missing"):
        validate_manifest(table.drop_columns(["view"]))
    with pytest.raises(UserError, match="must be int8, not int64"):
        validate_manifest(table.set_column(3, "label", pa.array([0], pa.int64())))
    with pytest.raises(UserError, match="no pictures"):
        validate_manifest(table.slice(0, 0))
    with pytest.raises(UserError, match="more than once: a"):
        validate_manifest(pa.concat_tables([table, table]))


class TestConditions:
    def test_an_older_manifest_without_the_column_is_the_same_data_set(self, mvtec_folder, tmp_path):
        table = load_dataset(mvtec_folder).manifest
        older = table.drop_columns(["condition"])
        validate_manifest(older)
        assert fingerprint(older) == fingerprint(table)
        write_manifest(tmp_path / "older.parquet", older)
        assert read_manifest(tmp_path / "older.parquet").equals(table)

    def test_the_fingerprint_is_that_of_versions_without_conditions(self):
        row = Entry(
            "a", "/a", 1, "dent", "test", "o", "v", "/m", width=3, height=2, sha256="0" * 64, mask_sha256="1" * 64
        )
        assert fingerprint(manifest_table([row])) == "9aa5325acc9cdc57"

    def test_are_read_written_and_part_of_the_fingerprint(self, mvtec_folder, tmp_path):
        table = load_dataset(mvtec_folder, conditions=r"(?P<condition>\d)\.png$").manifest
        assert table["condition"].to_pylist() == ["0", "1", "0", "0", "1", "2"]
        assert fingerprint(table) != fingerprint(load_dataset(mvtec_folder).manifest)
        write_manifest(tmp_path / "m.parquet", table)
        assert read_manifest(tmp_path / "m.parquet").equals(table)
        assert load_dataset(tmp_path / "m.parquet").manifest["condition"].equals(table["condition"])

    def test_a_column_of_another_type_is_refused(self):
        table = manifest_table([Entry("a", "/a", 0, "good", "train", "o", width=1, height=1, sha256="0")])
        index = table.column_names.index("condition")
        with pytest.raises(UserError, match="column condition must be string"):
            validate_manifest(table.set_column(index, "condition", pa.array([1])))
