"""`raylab2f advise`, from its command line, from Python, and the warning of a run."""

import json

import cv2
import numpy as np
import published_trees as trees
import pyarrow as pa
import pytest
from in_process import raylab2f

import raylab2f as package
from raylab2f.api.advice import ADVICE_SCHEMA
from raylab2f.errors import UserError
from raylab2f.preparation import Preparation
from raylab2f.runs.small_defects import small_defects_cautions

SHAPES = [(40, 8, 8), (112, 4, 4)]


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    """Builds a data set in MVTec AD's layout: 400 x 400 pixels, with square defects of these sides, by type."""

    def build(**sides):
        root = tmp_path_factory.mktemp("plates")

        def write(name, values):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), values)

        generator = np.random.default_rng(0)
        for number in range(3):
            write(f"train/good/{number}.png", generator.integers(0, 255, (400, 400, 3), dtype=np.uint8))
        for kind, many in sides.items():
            for number, side in enumerate(many):
                mask = np.zeros((400, 400), np.uint8)
                mask[100 : 100 + side, 100 : 100 + side] = 255
                write(f"test/{kind}/{number}.png", generator.integers(0, 255, (400, 400, 3), dtype=np.uint8))
                write(f"ground_truth/{kind}/{number}_mask.png", mask)
        return root

    return build


def asked(root, *options):
    done = raylab2f("advise", root, "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_smallest_size_that_keeps_enough_is_named(plates):
    root = plates(dent=[40] * 9, scratch=[16])
    told = asked(root)
    # 40 pixels of 400 are 8 at 80; 16 are 8 at 200.
    assert told["suggestion"]["kind"] == "size"
    assert told["suggestion"]["size"] == [128, 128]
    assert asked(root, "--keep", 1)["suggestion"]["size"] == [256, 256]
    rows = {(tuple(row["size"] or ()), row["defect_type"]): row for row in told["rows"]}
    assert rows[(128, 128), None]["kept"] == pytest.approx(0.9)
    assert rows[(128, 128), "scratch"]["kept"] == 0
    assert rows[(128, 128), None]["patch"] == [8, 8]
    assert rows[(), "dent"]["area_median"] == 1600
    assert (told["masked"], told["unmasked"]) == (10, 0)


def test_tiles_are_named_where_no_size_keeps_enough(plates):
    found = asked(plates(dent=[9] * 10), "--size", 128, "--size", 160)["suggestion"]
    assert found["kind"] == "tiles"
    assert found["size"] == [160, 160]
    [side, same] = found["tiles"]
    # 9 pixels must be 8 at least: tiles of at most 180 pixels, in which a defect lies whole by their overlap.
    assert side == same == 176
    assert found["overlap"] >= 12
    assert f"--tiles {side}x{side}+{found['overlap']} --size 160x160" in found["sentence"]


def test_what_nothing_helps_is_said(plates):
    found = asked(plates(dent=[3] * 10))["suggestion"]
    assert found["kind"] == "none"
    assert "Even as they were taken only 0% of the defects" in found["sentence"]
    larger = asked(plates(dent=[100] * 3), "--size", 16)["suggestion"]
    assert larger["kind"] == "none"
    assert "look at larger ones, such as --size" in larger["sentence"]


def test_pictures_as_they_were_taken_that_keep_enough_are_not_said_to_lose_it(plates):
    root = plates(dent=[100] * 3)
    for sizes in (("--size", "native"), ("--size", 16, "--size", "native")):
        found = asked(root, *sizes)["suggestion"]
        # 100 pixels of 400 are 8 at 32.
        assert found["sentence"].endswith("keep 90% of the defects (100%); look at other sizes, such as --size 32x32.")


def test_the_table_has_all_sizes_and_types_and_python_says_the_same(plates):
    root = plates(dent=[40] * 3, scratch=[16] * 3)
    done = raylab2f("advise", root, "--size", "100x200", "--size", "native", "--detector", "csflow")
    assert done.returncode == 0, done.stderr
    assert "100x200" in done.stdout
    assert "impossible" in done.stdout
    assert "Kept, by type" in done.stdout
    result = package.advise(data=root, size=["256", "native"])
    assert result.table.schema == ADVICE_SCHEMA
    assert result.table["height"].to_pylist() == [256] * 3 + [None] * 3
    assert result.advice.suggestion.sentence in result._repr_html_()


@pytest.mark.parametrize("published", trees.PUBLISHED, ids=lambda p: p.build.__name__)
def test_every_layout_is_read(tmp_path, published):
    published.build(trees.Tree(tmp_path))
    chosen = {} if published.category is None else {"category": published.category}
    if not published.masks:
        with pytest.raises(UserError, match="no masks: none of the"):
            package.advise(data=tmp_path, size=["64"], **chosen)
        return
    advice = package.advise(data=tmp_path, size=["64"], **chosen).advice
    assert 0 < advice.masked <= published.masks


def test_without_masks_one_sentence_says_so(tmp_path, plates):
    root = plates(dent=[5] * 3)
    for mask in (root / "ground_truth" / "dent").iterdir():
        mask.unlink()
    done = raylab2f("advise", root)
    assert done.returncode == 2
    assert "no masks: none of the 3 defective pictures" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--size", "big"], "--size big"),
        (["--keep", "2"], "keep"),
        (["--detector", "none"], "none"),
        (["--layers", "nowhere"], "nowhere"),
        (["--preset", "paper-vit"], "paper-vit"),
    ],
)
def test_mistakes_are_sentences(plates, options, said):
    done = raylab2f("advise", plates(dent=[5]), *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("sides", "warned"), [([20] * 3 + [60] * 2, True), ([20] * 2 + [60] * 2, False), ([], False)])
def test_a_run_is_warned_where_most_defects_are_smaller_than_a_patch(plates, sides, warned):
    from raylab2f.datasets import load_dataset

    root = plates(dent=sides or [10])
    manifest = load_dataset(root).manifest
    if not sides:
        manifest = manifest.set_column(
            manifest.column_names.index("mask_path"), "mask_path", pa.nulls(manifest.num_rows, pa.string())
        )
    # At 64 pixels 20 of 400 are 3.2, and 60 are 9.6: a patch has 8.
    found = small_defects_cautions(manifest, Preparation((64, 64)), SHAPES)
    assert [caution.code for caution in found] == ["RL222"] * warned
    if warned:
        assert "At --size 64x64 3 of 5 defects that masks show" in found[0]
        assert "raylab2f advise" in found[0]
    assert small_defects_cautions(manifest, Preparation((400, 400)), SHAPES * 0) == []
    if warned:
        # A tile of 64 pixels stays as it was taken, and one of 20 in it; a tile of 256 is brought to a quarter.
        assert small_defects_cautions(manifest, Preparation((64, 64), tiles="64x64+8"), SHAPES) == []
        [caution] = small_defects_cautions(manifest, Preparation((64, 64), tiles="256x256"), SHAPES)
        assert "At --tiles 256x256 and --size 64x64 3 of 5 defects" in caution


def test_nobody_knows_the_patch_of_a_class_that_somebody_wrote(plates, tmp_path, monkeypatch):
    (tmp_path / "patchless.py").write_text(
        "class Own:\n    def fit(self, p, f, s): ...\n    def predict(self, p): ...\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    done = raylab2f("advise", plates(dent=[5]), "--detector", "patchless:Own")
    assert done.returncode == 2
    assert "--detector patchless:Own: how many pixels make one patch of somebody's own class" in done.stderr
