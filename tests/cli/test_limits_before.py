"""Limits that are recorded before anything is trained, and those that come later."""

import json

import pytest
from in_process import raylab2f

import raylab2f as package
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json
from raylab2f.options.limits import limits_from_file
from raylab2f.runs.folder import DataSettings, RunFolder, RunSettings

LIMITS = {
    "strategy": None,
    "limits": [
        {"metric": "escape_rate", "value": 0.6, "level": "object", "confidence": 0.95},
        {"metric": "overkill_rate", "value": 0.7, "level": "object", "confidence": 0.9},
    ],
}


@pytest.fixture
def limits_file(tmp_path):
    file = tmp_path / "limits.yaml"
    file.write_text("escape_rate: 0.6\noverkill_rate: [0.7, 0.9]\n", encoding="utf-8")
    return file


@pytest.fixture
def planned(monkeypatch):
    """planned(*words) -> settings of the first run that `run-cv` would begin."""
    seen = []
    monkeypatch.setattr("raylab2f.cli.run_cv._run", lambda asked, how, telling: seen.append(asked.runs[0][0]))

    def plan(*words):
        process = raylab2f("run-cv", *words)
        assert process.returncode == 0, process.stderr
        return seen.pop()

    return plan


def test_a_run_is_begun_with_its_limits(planned, limits_file):
    settings = planned("--limits", limits_file)
    assert settings.to_dict()["limits"] == LIMITS
    assert RunSettings.from_dict(settings.to_dict()) == settings
    assert planned().limits == {}


def test_a_run_is_begun_again_with_the_limits_of_another(planned, limits_file, tmp_path):
    settings = planned("--limits", limits_file)
    write_json(tmp_path / "run" / "run.json", {"settings": settings.to_dict()})
    assert planned("--config", tmp_path / "run").limits == LIMITS
    assert planned("--limits", tmp_path / "run").limits == LIMITS


def test_a_run_goes_on_only_with_its_own_limits(tmp_path):
    folder = RunFolder(str(tmp_path / "run"))
    settings = RunSettings(DataSettings(), "glass", "fast", {}, limits=LIMITS)
    folder.begin(settings, {}, [])
    folder.check_continues(settings)
    with pytest.raises(UserError, match=r"--limits escape_rate 0\.6,overkill_rate 0\.7 then, not given now"):
        folder.check_continues(RunSettings(DataSettings(), "glass", "fast", {}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("escape_rate: 2\n", "2 can never be shown"),
        ("escape: 0.1\n", "no such figure can be limited"),
        ("cost_at_prevalence: 5\n", "give --prevalence"),
        ("strategy: best\nescape_rate: 0.1\n", "Unknown threshold strategy 'best'"),
        ("# nothing\n", "no limit is set"),
    ],
)
def test_limits_that_cannot_be_are_refused_before_anything_is_trained(tmp_path, text, said):
    (tmp_path / "limits.yaml").write_text(text, encoding="utf-8")
    process = raylab2f("run-cv", "--limits", tmp_path / "limits.yaml", "--out", tmp_path / "run")
    assert process.returncode == 2
    assert said in process.stderr
    assert not (tmp_path / "run").exists()


def test_accept_judges_the_limits_of_a_run_unless_others_are_given(write_run, tmp_path):
    run = write_run(tmp_path / "run", limits=LIMITS)
    own = package.accept(run, replicates=300).acceptance
    assert [(limit.limit.metric, limit.limit.value) for limit in own.limits] == [
        ("escape_rate", 0.6),
        ("overkill_rate", 0.7),
    ]
    assert own.limits_before is True
    assert package.accept(run, max_escape=0.6, replicates=300).acceptance.limits_before is True
    assert package.accept(run, max_escape=0.55, replicates=300).acceptance.limits_before is False
    stricter = package.accept(run, confidence=0.99, replicates=300).acceptance
    assert [limit.limit.confidence for limit in stricter.limits] == [0.99, 0.99]
    assert stricter.limits_before is False
    process = raylab2f("accept", run, "--max-escape", "0.55", "--replicates", "300")
    assert "set later than the run" in process.stdout


def test_a_run_without_limits_has_none_to_judge(write_run, tmp_path):
    run = write_run(tmp_path / "run")
    assert package.accept(run, max_escape=0.6, replicates=300).acceptance.limits_before is False
    process = raylab2f("accept", run)
    assert process.returncode == 2
    assert "no limit is set" in process.stderr
    with pytest.raises(UserError, match="this run was begun without limits"):
        limits_from_file(str(run))


@pytest.mark.parametrize(
    "damage", [{"limits": 5}, {"strategy": 3, "limits": []}, {"strategy": None, "limits": [{"a": 1}]}]
)
def test_a_damaged_record_of_limits_is_told(write_run, tmp_path, damage):
    run = write_run(tmp_path / "run", limits=damage)
    process = raylab2f("accept", run, "--max-escape", "0.6")
    assert process.returncode == 2
    assert "Traceback" not in process.stderr
    assert "limits cannot be read" in process.stderr
    assert json.loads((run / "run.json").read_text())["settings"]["limits"] == damage
