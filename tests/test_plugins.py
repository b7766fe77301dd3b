"""Detectors, layouts and diagnoses of other packages: found by name, refused with a sentence where they are amiss."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch
from added_packages import write_package, write_parts

from raylab2f import plugins
from raylab2f.cluster.operations.doctor import NodeFacts, judge
from raylab2f.datasets import load_dataset
from raylab2f.datasets.entries import LayoutOptions
from raylab2f.datasets.layouts import LAYOUTS, layout_names, read_layout
from raylab2f.detectors.base import Batch
from raylab2f.detectors.checkpoint import load_detector, save_detector
from raylab2f.detectors.glass import Glass
from raylab2f.detectors.registry import config_from_dict, detector_class, preset_config
from raylab2f.diagnostics import Bounds, Estimate, Measure, conclude
from raylab2f.errors import UserError
from raylab2f.options.detector_settings import configure
from raylab2f.pitfalls import PITFALLS, parse_codes
from raylab2f.workflows.added_diagnoses import choose_diagnoses, make_added
from raylab2f.workflows.diagnosis import DIAGNOSES

SAID = LayoutOptions()
ANY_FOLDER = """
from raylab2f.datasets.entries import Entry, Found
from raylab2f.datasets.layouts import GENERAL_SHAPE, OWN_SHAPE, Layout
from raylab2f.errors import UserError

def read(root, options):
    return Found(root.name, tuple(Entry(p.name, str(p), 0, "good", "train") for p in sorted(root.glob("*.png"))))

def broken(root, options):
    return {}["category"]

def refuses(root, options):
    raise UserError("part 7 has no picture; take it out of the list.")

LAYOUT = Layout("anything", lambda root, options: True, read)
GENERAL = Layout("anything", lambda root, options: True, read, rank=GENERAL_SHAPE)
FAILS = Layout("anything", broken, broken)
REFUSES = Layout("anything", refuses, refuses)
NOT_FOUND = Layout("anything", lambda root, options: True, lambda root, options: [])
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """installed(folder) or installed(name=..., source=..., detectors={...}): in reach of this process, for one test."""
    before = set(sys.modules)

    def install(folder=None, *, name="some-package", source="", **points):
        if folder is None:
            folder = write_package(tmp_path / "packages" / name, name, source, **points)
        monkeypatch.syspath_prepend(str(folder))
        return folder

    yield install
    for module in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")) or module == "raylab2f_tiny":
            del sys.modules[module]


@pytest.fixture
def parts(tmp_path):
    """A folder that none of raylab2f's own layouts recognises."""
    return write_parts(tmp_path / "parts")


class TestTheExampleOfTheGuide:
    def test_its_layout_is_read_by_name_and_recognised(self, example, installed, parts):
        with pytest.raises(UserError, match="no known layout"):
            read_layout(parts, "auto", SAID)
        installed(example)
        assert layout_names() == (*LAYOUTS, "tiny")
        assert read_layout(parts, "auto", SAID) == read_layout(parts, "tiny", SAID)
        rows = load_dataset(parts).manifest.to_pylist()
        assert [(row["label"], row["object_id"], row["view"]) for row in rows] == [
            *((1, part, "top") for part in ("03", "04")),
            *((0, part, "top") for part in ("00", "01", "02")),
        ]

    def test_what_its_layout_does_not_use_is_named(self, example, installed, parts):
        installed(example)
        (parts / "ok-00-top.png").rename(parts / "good.png")
        [warning] = read_layout(parts, "tiny", SAID).warnings
        assert "good.png" in warning
        with pytest.raises(UserError, match="--category does not belong to layout tiny"):
            read_layout(parts, "auto", LayoutOptions(category="screws"))

    def test_its_detector_has_settings_and_checkpoints(self, example, installed, tmp_path):
        installed(example)
        config = configure("tiny", "fast", {"epochs": 3}, ["learning_rate=0.5"])
        config = config_from_dict("tiny", json.loads(json.dumps(config)))
        assert (config.schedule.epochs, config.learning_rate, config.size) == (3, 0.5, (64, 64))
        assert preset_config("tiny", "fast").learning_rate == 1.0
        detector = detector_class("tiny")(config, [(5, 4, 4)])
        torch.nn.init.normal_(detector.mean)
        save_detector(tmp_path, detector, [(5, 4, 4)])
        batch = Batch(torch.arange(2), [torch.randn(2, 5, 4, 4)])
        again = load_detector(tmp_path)
        torch.testing.assert_close(again.predict(batch).scores, detector.predict(batch).scores)
        with pytest.raises(UserError, match="tiny has no setting called colour"):
            config_from_dict("tiny", {"colour": 1})

    def test_its_diagnosis_is_chosen_by_name_and_for_all(self, example, installed):
        installed(example)
        assert choose_diagnoses(["shift"], DIAGNOSES) == (("shift",), ())
        own, [tiny] = choose_diagnoses(None, DIAGNOSES)
        assert own == DIAGNOSES
        assert choose_diagnoses(["tiny"], DIAGNOSES) == ((), (tiny,))
        split = pa.table({"partition": ["train", "train", "inference"]})
        finding = make_added(tiny, SimpleNamespace(splits={0: split}), seed=0)
        assert (finding.verdict, finding.code, finding.figure.estimate.value) == ("fail", "TINY1", 2)

    def test_a_node_without_it_is_named(self, example, installed):
        installed(example)
        here = {"python": "3", "raylab2f": "1", "ray": "1", "torch": "1", **plugins.plugin_packages()}
        assert here["raylab2f-tiny"] == "1.0"
        there = {name: version for name, version in here.items() if name != "raylab2f-tiny"}
        nodes = [NodeFacts("one", 1, 0, versions=here), NodeFacts("two", 1, 0, versions=there)]
        found = {f.check: f for f in judge(here, nodes, driver_storage_errors={}, storages=[])}["versions are equal"]
        assert not found.ok
        assert found.detail == "raylab2f-tiny missing on two, 1.0 here"


def ask(group, name, parts):
    """As a command asks for it."""
    if group == "detectors":
        detector_class(name)
    elif group == "layouts":
        read_layout(parts, name, SAID)
    else:
        _, chosen = choose_diagnoses([name], DIAGNOSES)
        return [make_added(plugin, None, seed=0) for plugin in chosen]


GROUPS = ("detectors", "layouts", "diagnoses")
OWN = {"detectors": "glass", "layouts": "mvtec", "diagnoses": "leakage"}


@pytest.mark.parametrize("group", GROUPS)
class TestWhatIsAmissIsASentence:
    def test_a_name_of_raylab2fs_own(self, group, installed, parts):
        installed(name="some-package", source="x = 1", **{group: {OWN[group]: "x"}})
        with pytest.raises(UserError, match=rf"some-package adds {OWN[group]} to .*uninstall some-package"):
            ask(group, OWN[group], parts)

    def test_a_name_of_two_packages(self, group, installed, parts):
        for name in ("one-package", "other-package"):
            installed(name=name, source="x = 1", **{group: {"new": "x", name: "x"}})
        with pytest.raises(UserError, match="one-package and other-package both add new"):
            ask(group, "new", parts)

    def test_a_name_that_leads_out_of_a_folder(self, group, installed, parts):
        installed(source="x = 1", **{group: {"../new": "x"}})
        with pytest.raises(UserError, match=r"some-package adds '\.\./new'"):
            ask(group, "../new", parts)

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("import a_module_that_is_not_there", "ModuleNotFoundError: .*some_package.py line 1"),
            ("raise SystemExit('no licence')", "SystemExit: no licence"),
            ("y = 1", "AttributeError"),
        ],
    )
    def test_a_package_that_cannot_be_imported(self, group, installed, parts, source, reason):
        installed(source=source, **{group: {"new": "x"}})
        sentence = rf"new: the package some-package that adds it cannot be loaded \({reason}.*; mend or uninstall it\."
        if group == "diagnoses":
            # Others go on.
            [finding] = ask(group, "new", parts)
            assert finding.verdict == "skip"
            assert re.search(sentence, finding.why)
        else:
            with pytest.raises(UserError, match=sentence):
                ask(group, "new", parts)

    def test_an_object_of_the_wrong_kind(self, group, installed, parts):
        installed(source="x = {1: 2}", **{group: {"new": "x"}})
        if group == "diagnoses":
            [finding] = ask(group, "new", parts)
            assert "some-package adds fails (TypeError: 'dict' object is not callable" in finding.why
        else:
            with pytest.raises(UserError, match=r"--(detector|layout) new: .*some-package.*dict; ask its authors"):
                ask(group, "new", parts)

    def test_a_name_that_nobody_has(self, group, installed, parts):
        installed(source="x = 1", **{group: {"new": "x"}})
        with pytest.raises(UserError, match=rf"no such .*{OWN[group]}.*new"):
            ask(group, "neu", parts)


DETECTOR = """
from dataclasses import dataclass, field
from raylab2f.detectors.base import Detector, Schedule

@dataclass(frozen=True)
class Config:
    backbone: str = "tf_efficientnet_lite0"
    weights: str = "bundled"
    layers: tuple[str, ...] = ("blocks.2",)
    size: tuple[int, int] = (64, 64)
    schedule: Schedule = Schedule(1, 1)
    init_seed: int = 0
    whiten: bool = True
    nested: tuple = ()
    table: dict = field(default_factory=dict)

@dataclass(frozen=True)
class Short:
    backbone: str = "tf_efficientnet_lite0"

class Whole(Detector):
    name = "whole"
    config_class = Config
    presets = {"fast": Config()}
    __init__ = feature_requests = begin = optimizers = forward = predict = upsample = lambda self: None

class Unfinished(Detector):
    name = "unfinished"
    config_class = Config
    presets = {"fast": Config()}

class Misnamed(Whole):
    pass

class Bare(Whole):
    name = "bare"
    presets = {}

class Briefly(Whole):
    name = "briefly"
    config_class = Short
    presets = {"fast": Short()}

class Nested(Whole):
    name = "nested"
    presets = {"fast": Config(nested=((1, 2), (3, 4)))}
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unfinished", "a class without .*begin, .*upsample"),
        ("misnamed", "a class whose name is 'whole'"),
        ("bare", "a class without presets"),
        ("briefly", "no init_seed, layers, schedule, size, weights"),
        ("nested", "the preset fast, which is not the same once written"),
    ],
)
def test_a_detector_that_could_not_train_or_be_found_again_is_refused_at_once(name, reason, installed):
    points = {"whole": "Whole", "unfinished": "Unfinished", "misnamed": "Misnamed", "bare": "Bare"}
    installed(source=DETECTOR, detectors=points | {"briefly": "Briefly", "nested": "Nested"})
    assert detector_class("whole").name == "whole"
    with pytest.raises(UserError, match=rf"--detector {name}: the package some-package adds .*{reason}"):
        detector_class(name)


def test_settings_of_every_kind_are_read_or_refused(installed):
    installed(source=DETECTOR, detectors={"whole": "Whole"})
    for text, value in (("false", False), ("True", True)):
        assert configure("whole", "fast", {}, [f"whiten={text}"])["whiten"] is value
    with pytest.raises(UserError, match="--set whiten: 'no' does not fit; give true or false"):
        configure("whole", "fast", {}, ["whiten=no"])
    with pytest.raises(UserError, match="--set table: a setting of this kind"):
        configure("whole", "fast", {}, ["table=1"])


def test_own_detectors_and_layouts_do_not_ask_packages_that_they_do_not_need(installed, tmp_path):
    """Somebody else's mistake stops nobody who does not use it."""
    broken = dict.fromkeys(("zzz", "a-layout"), "x")
    installed(source="raise RuntimeError", detectors=broken, layouts=broken, diagnoses=broken)
    assert detector_class("glass") is Glass
    folder = tmp_path / "screws"
    for name in ("train/good/0.png", "test/scratch/1.png"):
        (folder / name).parent.mkdir(parents=True)
        cv2.imwrite(str(folder / name), np.zeros((64, 64, 3), np.uint8))
    assert len(read_layout(folder, "auto", SAID).entries) == 2
    assert choose_diagnoses(["leakage"], DIAGNOSES) == (("leakage",), ())


class TestLayoutsOfOthers:
    def test_of_two_that_fit_none_is_taken(self, installed, parts):
        installed(source=ANY_FOLDER, layouts={"one": "LAYOUT", "other": "LAYOUT"})
        with pytest.raises(UserError, match=r"several layouts \(one, other\)"):
            read_layout(parts, "auto", SAID)

    def test_a_general_one_is_tried_last(self, installed, parts):
        installed(source=ANY_FOLDER, layouts={"a-general": "GENERAL", "special": "LAYOUT"})
        (parts / "deeper").mkdir()
        cv2.imwrite(str(parts / "deeper" / "9.png"), np.zeros((64, 64, 3), np.uint8))
        [warning] = read_layout(parts, "auto", SAID).warnings
        assert "Layout special has no place" in warning

    @pytest.mark.parametrize("layout", ["auto", "new"])
    def test_one_that_fails_is_named_with_the_place(self, installed, parts, layout):
        installed(source=ANY_FOLDER, layouts={"new": "FAILS"})
        line = ANY_FOLDER.splitlines().index('    return {}["category"]') + 1
        with pytest.raises(UserError, match=rf"--layout new: .*some-package.*'category', some_package.py line {line}"):
            read_layout(parts, layout, SAID)

    @pytest.mark.parametrize("layout", ["auto", "new"])
    def test_its_own_sentence_is_the_users(self, installed, parts, layout):
        installed(source=ANY_FOLDER, layouts={"new": "REFUSES"})
        with pytest.raises(UserError, match=r"^part 7 has no picture; take it out of the list\.$"):
            read_layout(parts, layout, SAID)

    def test_what_is_no_list_of_pictures_is_refused(self, installed, parts):
        installed(source=ANY_FOLDER, layouts={"new": "NOT_FOUND"})
        with pytest.raises(UserError, match="some-package adds reads no raylab2f"):
            read_layout(parts, "auto", SAID)


def measured(value=3.0, **more):
    return conclude("anything", [Measure("a", Estimate(value), "Three.", Bounds(1.0, None))], **more)


def raising(error):
    def diagnose(run, *, seed):
        raise error

    return diagnose


def diagnosis(function):
    """A plugin whose package gives a function."""
    return plugins.Plugin("new", "some-package", SimpleNamespace(load=lambda: function))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (raising(KeyError("object_id")), "some-package adds fails (KeyError: 'object_id', test_plugins.py line"),
        (raising(UserError("There are no views.")), "There are no views."),
        (raising(SystemExit(1)), "fails (SystemExit"),
        (lambda run: measured(), "unexpected keyword argument 'seed'"),
        (lambda run, seed: None, "no raylab2f.diagnostics.Finding, but NoneType"),
        (lambda run, seed: measured(own_code="RL101"), "its code is 'RL101'"),
        (lambda run, seed: measured(own_code="new 1"), "its code is 'new 1'"),
        (lambda run, seed: measured(np.float32(3)), "float32 is not JSON serializable"),
        (lambda run, seed: measured(evidence=pa.table({"a": [b"\xff"]})), "bytes is not JSON serializable"),
        (lambda run, seed: measured(evidence={"a": [1]}), "AttributeError"),
    ],
)
def test_a_diagnosis_that_fails_is_skipped_with_the_reason(function, reason):
    finding = make_added(diagnosis(function), None, seed=0)
    assert (finding.name, finding.verdict, finding.code) == ("new", "skip", None)
    assert reason in finding.why


def test_a_finding_has_the_name_and_code_of_its_package_and_no_other():
    """Even where it calls itself by the name of one of raylab2f's own."""
    finding = make_added(diagnosis(lambda run, seed: conclude("leakage", measured().measures)), None, seed=0)
    assert (finding.name, finding.verdict, finding.code) == ("new", "warn", None)
    coded = make_added(diagnosis(lambda run, seed: measured(own_code="NEW-1")), None, seed=0)
    assert coded.to_dict(mute=("NEW-1",))["muted"]
    assert not coded.to_dict(mute=("RL101",))["muted"]


def test_codes_of_others_are_taken_only_where_there_are_others():
    assert parse_codes(["new-1", "rl203"], of_others=True) == ("NEW-1", "RL203")
    for codes, of_others in ((["new-1"], False), (["RL999"], True), ([" "], True)):
        with pytest.raises(UserError, match=rf"no pitfall has this code; they are {next(iter(PITFALLS))}"):
            parse_codes(codes, of_others=of_others)


def test_help_names_what_packages_add(example):
    """As a program of its own: options are declared once."""
    program = Path(sys.executable).with_name("raylab2f")
    path = os.pathsep.join(filter(None, (str(example), os.environ.get("PYTHONPATH"))))
    for command in ("run-cv", "diagnose"):
        done = subprocess.run(
            [program, command, "--help"],
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "400"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.count("or tiny") == {"run-cv": 2, "diagnose": 1}[command]
