"""Anybody's class as a detector: what it is given, what it may answer, and what is said of anything else."""

import random
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raylab2f import plugins
from raylab2f.detectors.base import Samples
from raylab2f.detectors.checkpoint import load_detector, save_detector
from raylab2f.detectors.pictures import PictureConfig, array_detector
from raylab2f.detectors.pictures.config import option_values
from raylab2f.detectors.registry import config_from_dict, config_to_dict, detector_class
from raylab2f.detectors.training import predict_batches
from raylab2f.errors import UserError
from raylab2f.options.detector import DetectorChoice

OWN = '''
import numpy as np

class Brightness:
    """How far a picture's brightness lies from that of good ones."""

    def __init__(self, power=1, name="plain"):
        self.power, self.name, self.mean = power, name, None

    def fit(self, pictures, foregrounds, seed):
        self.mean = np.array(pictures.mean())

    def predict(self, pictures):
        apart = np.abs(pictures.mean(axis=(1, 2, 3)) - self.mean) ** self.power
        return apart, np.broadcast_to(apart[:, None, None], (len(apart), 4, 5))

class Keeps(Brightness):
    def state(self):
        return {"mean": self.mean}

    def restore(self, state):
        self.mean = state["mean"]

class NoPredict:
    def fit(self, pictures, foregrounds, seed): ...

class OtherFit:
    def fit(self, pictures): ...
    def predict(self, pictures): ...
'''


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module in the folder in which the command is given."""
    (tmp_path / "own_detectors.py").write_text(OWN, encoding="utf-8")
    sys.modules.pop("own_detectors", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setenv(plugins.TRUST, "own_detectors:Brightness,own_detectors:Keeps")
    yield
    sys.modules.pop("own_detectors", None)


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3), np.uint8)


def made(name, **settings):
    cls = detector_class(name)
    return cls(cls.config_class(**settings), [])


def answering(answer):
    """A detector whose `predict` gives what `answer` makes of the pictures."""

    class Answers:
        def fit(self, pictures, foregrounds, seed):
            pass

        def predict(self, pictures):
            return answer(pictures)

    return array_detector("tests:Answers", Answers)(PictureConfig(), [])


def predicted(detector, pictures):
    return next(predict_batches(detector, Samples([], torch.from_numpy(pictures)), len(pictures)))


def test_a_class_with_fit_and_predict_is_a_detector(own_module, pictures):
    detector = made("own_detectors:Brightness", options=("power=2",))
    detector.begin(Samples([], torch.from_numpy(pictures[:4])), seed=1)
    scores, maps = predicted(detector, pictures)
    wanted = np.abs(pictures.mean(axis=(1, 2, 3)) - pictures[:4].mean()) ** 2
    np.testing.assert_allclose(scores, wanted, rtol=1e-5)
    assert maps.shape == (6, 4, 5)
    assert detector.upsample(maps, (16, 16)).shape == (6, 16, 16)


def test_what_a_class_draws_from_global_generators_descends_from_the_seed_and_disturbs_nobody():
    class Draws:
        def __init__(self):
            self.drawn = [random.random(), np.random.random(), float(torch.rand(()))]  # noqa: NPY002

        def fit(self, pictures, foregrounds, seed):
            self.drawn += [random.random(), np.random.random(), float(torch.rand(()))]  # noqa: NPY002

        def predict(self, pictures):
            return np.full(len(pictures), sum(self.drawn)), None

    def drawn(init_seed, seed):
        detector = array_detector("tests:Draws", Draws)(PictureConfig(init_seed=init_seed), [])
        detector.begin(Samples([], torch.zeros(2, 4, 4, 3, dtype=torch.uint8)), seed=seed)
        return detector.made.drawn

    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert drawn(0, 1) == drawn(0, 1)
    assert all(one != other for one, other in zip(drawn(0, 1), drawn(5, 2), strict=True))
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # noqa: NPY002


def test_a_class_that_keeps_its_state_can_be_loaded_and_another_says_why_not(own_module, pictures, tmp_path):
    for name in ("Keeps", "Brightness"):
        detector = made(f"own_detectors:{name}", options=("power=3",))
        detector.begin(Samples([], torch.from_numpy(pictures[:4])), seed=1)
        save_detector(tmp_path, detector, [])
        assert detector.keeps_model is (name == "Keeps")
        if name == "Keeps":
            assert torch.equal(predicted(load_detector(tmp_path), pictures)[0], predicted(detector, pictures)[0])
        else:
            with pytest.raises(UserError, match="keeps no model, for its class has no state"):
                load_detector(tmp_path)


def test_settings_that_no_detector_has_become_options_of_the_class(own_module):
    config = DetectorChoice(
        detector=("own_detectors:Brightness", "padim"),
        size="32",
        settings=(
            "own_detectors:Brightness/power=1",
            "own_detectors:Brightness/name=a/b",
            "padim/dimensions=7",
            "own_detectors:Brightness/power=2",
        ),
    ).config("own_detectors:Brightness", "fast")
    assert config["options"] == ["name=a/b", "power=2"]
    assert config["size"] == [32, 32]
    read = config_from_dict("own_detectors:Brightness", config)
    assert config_to_dict(read) == config


def test_a_setting_for_a_detector_that_is_not_asked_for_is_refused():
    with pytest.raises(UserError, match="no --detector glass is asked for"):
        DetectorChoice(detector=("padim",), settings=("glass/epochs=2",)).config("padim", "fast")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_detectors:NoPredict", r"has no predict\(pictures\); add it"),
        ("own_detectors:OtherFit", r"cannot be called as fit\(pictures, foregrounds, seed\)"),
        ("own_detectors:Missing", "has no class Missing; it has Brightness, Keeps, NoPredict, OtherFit"),
        ("own_detectors:np", "has no class np"),
        ("nowhere.at_all:Thing", "there is no module nowhere"),
        ("own_detectors.py:Keeps", "a module's name has no ending; give own_detectors:Keeps"),
        ("own_detectors:", "give package.module:Class"),
        (":Thing", "give package.module:Class"),
        ("own detectors:Thing", "give package.module:Class"),
        ("../own:Thing", "give package.module:Class"),
    ],
)
def test_what_is_no_such_class_is_refused_in_a_sentence(own_module, monkeypatch, name, said):
    monkeypatch.setenv(plugins.TRUST, name)
    with pytest.raises(UserError, match=said):
        detector_class(name)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_like_it", "needs nothing_like_it, which is not installed"),
        ("1 / 0", "cannot be imported .ZeroDivisionError"),
        ("raise SystemExit(3)", "cannot be imported .SystemExit"),
        ("class Thing(:", "cannot be imported .SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused_in_a_sentence(tmp_path, monkeypatch, source, said):
    (tmp_path / "broken_module.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv(plugins.TRUST, "broken_module:Thing")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    with pytest.raises(UserError, match=said):
        detector_class("broken_module:Thing")
    sys.modules.pop("broken_module", None)


def test_options_that_the_class_does_not_take_are_refused_before_anything_is_prepared(own_module):
    cls = detector_class("own_detectors:Brightness")
    with pytest.raises(UserError, match="cannot be made with size_of=3"):
        cls.check_config(PictureConfig(options=("size_of=3",)))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda p: (np.full(len(p), np.nan), None), "6 of 6 numbers in its scores are NaN or infinite"),
        (lambda p: (np.zeros(len(p)), np.full((len(p), 2, 2), np.inf)), "24 of 24 numbers in its maps are NaN"),
        (lambda p: (np.zeros(len(p) - 1), None), r"scores of shape \(5,\) for 6 pictures"),
        (lambda p: (np.zeros((len(p), 1)), None), r"scores of shape \(6, 1\)"),
        (lambda p: (0.5, None), r"scores of shape \(\)"),
        (lambda p: (np.zeros(len(p)), np.zeros((2, 2))), r"maps of shape \(2, 2\)"),
        (lambda p: (np.zeros(len(p)), np.zeros((len(p), 0, 3))), r"maps of shape \(6, 0, 3\)"),
        (lambda p: (["high"] * len(p), None), "gives scores that are no numbers"),
        (lambda p: ([[1], [1, 2]], None), "gives scores that are no numbers"),
        (lambda p: np.zeros(len(p)), "gives ndarray and not two things"),
        (lambda p: None, "gives NoneType and not two things"),
        (lambda p: (np.ones(len(p), complex), None), "gives scores that are no numbers .they are complex"),
        (lambda p: (torch.ones(len(p), dtype=torch.complex64), None), "gives scores that are no numbers .they are"),
        (lambda p: 1 / 0, "its predict failed .ZeroDivisionError"),
    ],
    ids=list("abcdefghijklmn"),
)
def test_answers_that_are_no_scores_and_maps_are_refused_in_a_sentence(pictures, answer, said):
    with pytest.raises(UserError, match=said):
        predicted(answering(answer), pictures)


def test_maps_of_two_sizes_are_refused(pictures):
    detector = answering(lambda p: (np.zeros(len(p)), np.zeros((len(p), len(p), 3))))
    predicted(detector, pictures)
    with pytest.raises(UserError, match="maps of 2 x 3 after some of 6 x 3"):
        predicted(detector, pictures[:2])


def test_maps_that_are_given_at_some_calls_only_are_refused(pictures):
    maps = iter([np.zeros((6, 2, 2)), None])
    detector = answering(lambda p: (np.zeros(len(p)), next(maps)))
    predicted(detector, pictures)
    with pytest.raises(UserError, match="maps at some calls and None at others"):
        predicted(detector, pictures)


def test_without_maps_the_score_stands_everywhere_and_no_maps_are_promised(pictures):
    detector = answering(lambda p: (np.arange(len(p)), None))
    scores, maps = predicted(detector, pictures)
    assert torch.equal(maps[:, 0, 0], scores)
    assert not detector.gives_maps


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), st.one_of(st.integers(), st.booleans())))
def test_options_are_read_as_json(values):
    texts = tuple(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in values.items()
    )
    assert option_values(texts) == values


@pytest.mark.parametrize("option", ["alone", "=3", "two words=3", "1st=2"])
def test_options_without_a_name_are_refused(option):
    with pytest.raises(UserError, match="give NAME=VALUE"):
        option_values((option,))
    with pytest.raises(UserError, match="given twice"):
        option_values(("a=1", "a=2"))


ENDS = """
import sys
import numpy as np

class Base:
    def fit(self, pictures, foregrounds, seed): ...
    def predict(self, pictures): return np.zeros(len(pictures)), None
    def restore(self, state): ...

class Ends(Base):
    def fit(self, pictures, foregrounds, seed): sys.exit(3)

class EndsAtOnce(Base):
    def __init__(self): sys.exit("no licence")

class Listed(Base):
    def state(self): return [np.zeros(3)]

class Itself(Base):
    def state(self): return {"model": self}
"""


def test_a_class_that_ends_the_program_or_keeps_no_arrays_is_told_in_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "ending.py").write_text(ENDS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(plugins.TRUST, ",".join(f"ending:{name}" for name in ("Ends", "EndsAtOnce", "Listed", "Itself")))
    pictures = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    config = PictureConfig(size=(8, 8))
    with pytest.raises(UserError, match=r"ending:Ends: its fit failed \(SystemExit: 3"):
        detector_class("ending:Ends")(config, []).fit_pictures(pictures, None, 0)
    with pytest.raises(UserError, match=r"EndsAtOnce: it cannot be made with no option \(SystemExit: no licence"):
        detector_class("ending:EndsAtOnce")(config, [])
    with pytest.raises(UserError, match=r"Listed: its state gives list; give a dictionary of arrays by name"):
        detector_class("ending:Listed")(config, []).state_dict()
    with pytest.raises(UserError, match=r"Itself: what its state calls model is no array"):
        detector_class("ending:Itself")(config, []).state_dict()
    sys.modules.pop("ending", None)
