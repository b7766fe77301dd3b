"""Whatever an option is given: the command works, or ends with one sentence; nothing senseless is accepted."""

import sys
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from raylab2f.cli.app import app, main
from raylab2f.errors import UserError
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.files.parquet import read_parquet

USAGE_ERROR = typer.BadParameter.__base__
TABLE = "image_id,label,score\n" + "".join(f"p{i},{i % 2},{i / 40}\n" for i in range(40))

ABSURD = st.sampled_from(
    ["", "nan", "inf", "-inf", "-1", "0", "1e308", "1e400", "9" * 20, "1" * 5000, "x", "a\0", "\udcff", "a,b", "none",
     "auto", "0x0", "/etc/passwd/x", "(", "(?P<object>", "(?P<object>x)", "a=b", "youden:3", "target-recall:nan",
     "cost,", "fbeta:1e308", "topk-mean:0", "quantile:2", "s3://", "s3://u:p@b/x", "nan:1", "\n", "-", "--", "a" * 300,
     "rl101", "90,90", "nan,0"]
)  # fmt: skip


def parameters(name):
    command = typer.main.get_command(app).commands[name]
    return [part for part in command.params if part.opts[0].startswith("--") and part.name != "help"]


def words(name):
    """Options of a command, a few at a time, with absurd values."""
    one = st.sampled_from(parameters(name)).flatmap(
        lambda part: st.just(part.opts[0]) if part.is_flag else ABSURD.map(lambda text: f"{part.opts[0]}={text}")
    )
    return st.lists(one, min_size=1, max_size=2)


def ends_well(*given_words):
    """The user's sentence, `None` where the command worked."""
    result = CliRunner().invoke(app, [*map(str, given_words)], standalone_mode=False)
    if result.exception is None:
        return None
    assert isinstance(result.exception, (UserError, USAGE_ERROR)), repr(result.exception)
    return str(result.exception)


@pytest.fixture
def nothing_runs(monkeypatch, tmp_path):
    begun = []
    monkeypatch.setattr("raylab2f.cli.run_cv._run", lambda asked, how, telling: begun.append(asked))
    monkeypatch.setattr("raylab2f.cli.run_cv._forecast", lambda asked, how: begun.append(asked))
    monkeypatch.chdir(tmp_path)
    return begun


FEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)


@FEW
@given(words("run-cv"))
def test_run_cv_takes_no_absurd_value(nothing_runs, chosen):
    nothing_runs.clear()
    if ends_well("run-cv", *chosen) is None:
        [asked] = nothing_runs
        assert asked.runs


@FEW
@given(words("evaluate"))
def test_evaluate_takes_no_absurd_value(tmp_path, monkeypatch, chosen):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.csv").write_text(TABLE, encoding="utf-8")
    # What comes first counts less: a command that was asked for much computes it.
    ends_well("evaluate", "scores.csv", *chosen, "--replicates", 5, "--folds", 2)
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8") == TABLE


@FEW
@given(words("plan-samples"))
def test_plan_samples_takes_no_absurd_value(chosen):
    ends_well("plan-samples", *chosen)


@FEW
@given(words("serve"))
def test_serve_takes_no_absurd_value(tmp_path, monkeypatch, chosen):
    monkeypatch.chdir(tmp_path)
    assert ends_well("serve", "no-model", *chosen)


@pytest.mark.parametrize(
    "option", ["--data", "--out", "--cache", "--address", "--category", "--config", "--save-config"]
)
def test_an_option_whose_variable_is_empty_is_not_taken_for_none_at_all(nothing_runs, option):
    assert f"{option} has no value" in ends_well("run-cv", f"{option}=")
    assert not nothing_runs


def test_a_list_without_values_is_not_a_run_of_nothing(nothing_runs, tmp_path):
    for name in ("seed", "detector", "threshold"):
        (tmp_path / "run.yaml").write_text(f"{name}: []\n", encoding="utf-8")
        assert f"run.yaml, line 1: {name} has no value" in ends_well("run-cv", "--config", "run.yaml")
    assert not nothing_runs


def test_home_is_meant_by_a_tilde_that_no_shell_has_replaced(nothing_runs, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "run.yaml").write_text("data: ~/parts\nout: ~/runs/first\n", encoding="utf-8")
    assert ends_well("run-cv", "--config", "run.yaml") is None
    [asked] = nothing_runs
    [(run, place)] = asked.runs
    assert (run.data.data, place) == (str(tmp_path / "home/parts"), str(tmp_path / "home/runs/first"))


def test_settings_are_not_written_over_something_else(nothing_runs, tmp_path):
    for name, content in (
        ("parts.csv", "image_id\na\n"),
        ("run.json", '{"settings": {}}'),
        ("raw", "\udcff\0"),
    ):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8", errors="surrogateescape")
        before = path.read_bytes()
        assert "no file of settings" in ends_well("run-cv", "--save-config", path)
        assert path.read_bytes() == before
    (tmp_path / "run.yaml").write_text("folds: 3\n", encoding="utf-8")
    assert ends_well("run-cv", "--folds", 4, "--save-config", tmp_path / "run.yaml") is None
    assert "folds: 4" in (tmp_path / "run.yaml").read_text(encoding="utf-8")


def test_options_of_a_learning_curve_without_one_are_refused():
    assert "--curve" in ends_well("plan-samples", "--metric", "auroc")
    assert "--curve" in ends_well("plan-samples", "--level", "image")


def refused(monkeypatch, capfd, *given_words):
    """What the program says on standard error where it ends with code 2 and one sentence."""
    monkeypatch.setattr(sys, "argv", ["raylab2f", *given_words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capfd.readouterr().err
    assert ended.value.code == 2, said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_what_the_system_refuses_is_a_sentence(monkeypatch, capfd):
    assert "File name too long" in refused(monkeypatch, capfd, "evaluate", "a" * 300)
    assert "File name too long" in refused(monkeypatch, capfd, "run-cv", "--save-config", "a" * 300)
    assert "there is no such file" not in refused(monkeypatch, capfd, "run-cv", "--config", "a" * 300)
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert "No space left" in refused(monkeypatch, capfd, "plan-samples", "--json")
        # What could not be written is thrown away with the file.
        full.close = lambda: None
    monkeypatch.undo()


def test_the_cause_is_shown_to_who_wants_it(monkeypatch, capfd):
    monkeypatch.setenv("RAYLAB2F_VERBOSE", "1")
    monkeypatch.setattr(sys, "argv", ["raylab2f", "evaluate", "a" * 300])
    with pytest.raises(SystemExit):
        main()
    assert "OSError" in capfd.readouterr().err


def test_a_home_that_is_no_whole_path_is_refused(monkeypatch, capfd):
    monkeypatch.setenv("HOME", "here")
    assert "HOME=here is no absolute path" in refused(monkeypatch, capfd, "plan-samples")


def test_a_folder_that_is_gone_is_a_sentence(monkeypatch, capfd, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "current folder does not exist any more" in refused(monkeypatch, capfd, "plan-samples")


def test_a_name_that_looks_like_a_uri_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.csv").write_text(TABLE, encoding="utf-8")
    assert ends_well("evaluate", "scores.csv", "--replicates", 5, "--folds", 2, "--out", "10:30/judged") is None
    assert read_parquet("10:30/judged/metrics.parquet").num_rows


def test_runs_are_compared_with_sensible_costs_only():
    for name, value in (("escape", -1), ("overkill", 0), ("beta", 1e308), ("beta", -1), ("prevalence", 0)):
        with pytest.raises(UserError, match=r"number above 0|between 0 and 1"):
            Costs(**{name: value})
