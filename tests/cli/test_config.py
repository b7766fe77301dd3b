"""`run-cv --config` and `--save-config`: the same runs again, without training any."""

import json
from dataclasses import replace

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from raylab2f.cli.app import app
from raylab2f.cli.submission import check_submission
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json
from raylab2f.options.detector_settings import configure
from raylab2f.runs.folder import DataSettings, RunFolder, RunSettings


@pytest.fixture
def planned(monkeypatch):
    """planned(*words) -> settings and folders of the runs that `run-cv` would begin."""
    seen = []
    monkeypatch.setattr("raylab2f.cli.run_cv._run", lambda asked, how, telling: seen.append(asked.runs))

    def plan(*words):
        seen.clear()
        result = CliRunner().invoke(app, ["run-cv", *map(str, words)])
        if result.exception is not None:
            raise result.exception
        return seen[0]

    return plan


def refused(*words):
    result = CliRunner().invoke(app, [*map(str, words)])
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


SIZES = st.integers(8, 99).map(str) | st.tuples(st.integers(8, 99), st.integers(8, 99)).map(lambda s: f"{s[0]}x{s[1]}")
ANGLES = st.lists(st.integers(-7200, 7200), min_size=1, max_size=3, unique_by=lambda a: a % 3600).map(
    lambda tenths: ",".join(str(angle / 10) for angle in tenths)
)
RULES = ["(?P<object>part\\d+)_", "- x: #[no]", "12:30", "null", "-v", "a\u00e9\U0001f600", "'\"\n"]
SHARES = st.floats(0.001, 0.999)
OPTIONS = {
    "--layout": st.sampled_from(["auto", "folder", "no"]),
    "--category": st.sampled_from(RULES),
    "--nominal": st.lists(st.sampled_from(RULES), max_size=3),
    "--object-id": st.sampled_from(RULES),
    "--conditions": st.sampled_from(RULES),
    "--skip-unreadable": st.just(True),
    "--pixel-limit": st.integers(1, 10**12),
    "--mask-background": st.just(True),
    "--centre-embed": st.just("auto") | SIZES,
    "--fit": st.just("pad"),
    "--keep-views": st.sampled_from(["10:30", "front,top", "no"]),
    "--keep-views-for": st.sampled_from(["training", "evaluation"]),
    "--train-angles": ANGLES,
    "--eval-angles": ANGLES,
    "--detector": st.sampled_from([["csflow"], ["glass"], ["glass", "csflow"]]),
    "--preset": st.sampled_from(["demo", "fast", "paper"]),
    "--epochs": st.integers(1, 1000),
    "--size": SIZES,
    "--backbone": st.sampled_from(["resnet18", "no", "1e3"]),
    "--layers": st.sampled_from(["layer1,layer2", "blocks.1"]),
    "--weights": st.sampled_from(["bundled", "hub", "mine.pth"]),
    "--set": st.lists(st.sampled_from(["max_grad_norm=1e-05", "samples_per_epoch=none", "batch_size=7"]), max_size=2),
    "--feature-dtype": st.sampled_from(["float16", "float32"]),
    "--folds": st.integers(1, 50),
    "--seed": st.lists(st.integers(0, 2**40), min_size=1, max_size=2, unique=True),
    "--scheme": st.sampled_from(["balanced", "kfold"]),
    "--stratify": st.just(True),
    "--train-fraction": SHARES,
    "--train-on": st.sampled_from(["auto", "good-objects", "good-pictures"]),
    "--split-by": st.sampled_from(["object", "picture"]),
    "--merge-nominal-test": st.sampled_from(["auto", "yes", "no"]),
    "--epoch-scores": st.integers(0, 9),
    "--threshold": st.lists(st.sampled_from(["youden", "cost", "target-recall:0.95"]), min_size=1, max_size=2),
    "--object-score": st.sampled_from(["max", "mean", "topk-mean:2"]),
    "--cost-escape": st.floats(1e-9, 1e9),
    "--cost-overkill": st.floats(1e-9, 1e9),
    "--prevalence": SHARES,
    "--beta": st.floats(1e-3, 1e3),
    "--confidence": SHARES,
    "--replicates": st.integers(1, 10**6),
    "--mute": st.lists(st.sampled_from(["RL203", "rl101"]), max_size=2),
}


def words_of(chosen):
    for name, value in chosen.items():
        for item in value if isinstance(value, list) else [value]:
            yield name if item is True else f"{name}={item}"


#: A few options at a time, of all that there are.
CHOSEN = st.lists(st.sampled_from(sorted(OPTIONS)), unique=True, max_size=12).flatmap(
    lambda names: st.fixed_dictionaries({name: OPTIONS[name] for name in names})
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=12)
@given(CHOSEN)
def test_saved_options_give_the_same_runs_again(planned, tmp_path, chosen):
    path = tmp_path / "saved.yaml"
    before = planned(*words_of(chosen), "--save-config", path)
    again = planned("--config", path)
    assert [run for run, _ in again] == [run for run, _ in before]
    # Saved once more, it is the same file.
    content = path.read_bytes()
    planned("--config", path, "--save-config", path)
    assert path.read_bytes() == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=12)
@given(CHOSEN)
def test_a_run_gives_the_same_run_again(planned, tmp_path, chosen):
    for run, _ in planned(*words_of(chosen)):
        write_json(tmp_path / "first" / "run.json", {"settings": run.to_dict(), "dataset": {}})
        for place in (tmp_path / "first", tmp_path / "first" / "run.json"):
            [(again, _)] = planned("--config", place)
            assert again == run


def test_the_command_line_wins(planned, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("folds: 7\nthreshold: [cost, mcc]\nstratify: true\nout: runs/first\n", encoding="utf-8")
    [(run, place)] = planned("--config", path, "--folds", 3, "--threshold", "youden")
    assert (run.folds, run.evaluation["strategies"], run.stratify, place) == (3, ["youden"], True, "runs/first")


def test_what_a_command_does_once_is_not_saved(planned, tmp_path):
    path = tmp_path / "run.yaml"
    planned("--out", tmp_path / "out", "--resume", "--save-config", path)
    assert "resume" not in path.read_text(encoding="utf-8")
    assert f"out: {tmp_path / 'out'}" in path.read_text(encoding="utf-8")


def test_mistakes_in_a_file_end_the_command_with_a_sentence(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("folds: 3\nsede: 4\n", encoding="utf-8")
    assert (
        refused("run-cv", "--config", path) == f"{path}, line 2: no option is called sede; did you mean seed or scheme?"
    )
    assert "no such file" in refused("run-cv", "--config", tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"detector": "other"}, "no such detector"),
        ({"preset": "other"}, "no such preset"),
        ({"config": {"colour": 3}}, "no setting called colour"),
        ({"preparation": {"fit": "pad", "colour": 3}}, "cannot be read as a run's settings"),
        ({"data": None}, "cannot be read as a run's settings"),
        ({"colour": 3}, "cannot be read as a run's settings"),
    ],
)
def test_a_run_that_this_version_does_not_know_is_refused(planned, tmp_path, change, sentence):
    [(run, _)] = planned()
    write_json(tmp_path / "run.json", {"settings": run.to_dict() | change})
    said = refused("run-cv", "--config", tmp_path)
    assert sentence in said


ODD = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        float("nan"),
        float("inf"),
        10**400,
        "",
        "x",
        "a\0",
        "\ud800",
        [],
        [1],
        ["a"],
        {},
        {"a": 1},
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.data())
def test_a_damaged_record_gives_sound_runs_or_a_sentence(planned, tmp_path, data):
    values = RunSettings(DataSettings(), "glass", "demo", configure("glass", "demo", {}, ())).to_dict()
    part = values
    while isinstance(part, (dict, list)) and part:
        owner, key = part, data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        part = owner[key] if data.draw(st.booleans()) else None
    owner[key] = data.draw(ODD)
    (tmp_path / "run.json").write_text(json.dumps({"settings": values}), encoding="utf-8")
    result = CliRunner().invoke(app, ["run-cv", "--config", str(tmp_path)])
    assert result.exception is None or isinstance(result.exception, UserError), repr(result.exception)
    if result.exception is None:
        assert planned("--config", tmp_path)


def test_a_run_from_before_newer_options_is_read(planned, tmp_path):
    [(run, _)] = planned("--folds", 4)
    values = run.to_dict()
    del values["train_on"], values["data"]["conditions"], values["evaluation"]["mute"]
    write_json(tmp_path / "run.json", {"settings": values})
    [(again, _)] = planned("--config", tmp_path)
    assert again == run


def test_muted_codes_may_change_when_a_run_goes_on(tmp_path):
    run = RunSettings(DataSettings(), "glass", "demo", {}, evaluation={"strategies": ["youden"], "mute": []})
    folder = RunFolder(str(tmp_path))
    folder.begin(run, {}, [])
    folder.check_continues(replace(run, evaluation={"strategies": ["youden"], "mute": ["RL203"]}))


def test_submit_spells_out_what_a_file_says(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(
        "data: /shared/parts\ncache: /shared/cache\nout: /shared/run\nseed: [3, 4]\nstratify: true\ncategory: -v\n",
        encoding="utf-8",
    )
    program = typer.main.get_command(app)
    title, sent = check_submission(["run-cv", "--config", str(path), "--folds", "3", "--fit", "pad"], program)
    assert title == "run-cv-parts-glass"
    assert not any("config" in word for word in sent)
    context = program.commands["run-cv"].make_context("run-cv", sent[1:])
    said = {"data", "cache", "out", "seed", "stratify", "category", "folds", "fit"}
    assert {n for n in context.params if context.get_parameter_source(n).name == "COMMANDLINE"} == said
    assert {name: context.params[name] for name in said} == {
        "data": "/shared/parts", "cache": "/shared/cache", "out": "/shared/run", "seed": [3, 4], "stratify": True,
        "category": "-v", "folds": 3, "fit": "pad",
    }  # fmt: skip


def test_a_command_without_a_file_is_sent_as_it_is():
    words = ["run-cv", "--out", "s3://b/run", "--cache", "s3://b/cache", "--folds", "3"]
    assert check_submission(words, typer.main.get_command(app)) == ("run-cv-demo-glass", words)


def test_a_folder_that_is_not_free_is_told_before_anything_is_sent(tmp_path):
    program = typer.main.get_command(app)
    words = ["run-cv", "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")]
    assert check_submission(words, program)[1] == words
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds no run, but notes\.txt; choose an empty folder"):
        check_submission(words, program)
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(UserError, match=r"holds a run already; add --resume"):
        check_submission(words, program)
    assert check_submission([*words, "--resume"], program)[1] == [*words, "--resume"]


def test_places_in_a_file_are_checked_as_others_are(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("data: parts\ncache: /shared/cache\nout: /shared/run\n", encoding="utf-8")
    assert "--data parts must be an absolute path" in refused("submit", "--", "run-cv", "--config", path)
    path.write_text("data: /shared/parts\ncache: /shared/cache\n", encoding="utf-8")
    assert "give --out" in refused("submit", "--", "run-cv", "--config", path)
