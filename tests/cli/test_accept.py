"""`raylab2f accept`: exit codes, limits from a file, one sentence for every mistake."""

import json
from functools import partial

import numpy as np
import pytest
from in_process import raylab2f

from raylab2f.api import accept as accept_function
from raylab2f.options.limits import Limits, limits_from_file

accept = partial(raylab2f, "accept", "--replicates", 200)


def refusal(*options):
    process = accept(*options)
    assert process.returncode == 2, process.stdout
    assert "Traceback" not in process.stderr
    return process.stderr.strip()


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """60 defective parts, of which 3 escape at 0.5, and 120 good ones, of which 6 are rejected."""
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    rng = np.random.default_rng(0)
    lines = ["image_id,object_id,label,score"]
    for part in range(180):
        label = int(part < 60)
        wrong = part < 3 or 60 <= part < 66
        score = 0.5 + (0.1 + 0.3 * rng.random()) * (1 if label != wrong else -1)
        lines.append(f"{part}.png,{part},{label},{score:.4f}")
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("limits", "code", "verdict"),
    [
        (("--max-escape", 0.2, "--max-overkill", 0.2), 0, "shown"),
        (("--max-escape", 0.01, "--max-overkill", 0.2), 3, "refuted"),
        (("--max-escape", 0.06, "--max-overkill", 0.2), 4, "not yet shown"),
    ],
)
def test_the_exit_code_is_the_verdict(scores, limits, code, verdict):
    result = accept(scores, "--at", 0.5, *limits)
    assert result.returncode == code, result.stderr
    assert f"{verdict}: " in result.stdout
    assert "one finished model, threshold 0.5, on 60 defective and 120 good parts" in result.stdout
    assert ("more defective parts would show it" in result.stdout) == (code == 4)


def test_json_on_the_terminal_and_in_a_file(scores, tmp_path):
    result = accept(scores, "--max-escape", 0.2, "--json", "--out", tmp_path / "a.json")
    values = json.loads(result.stdout)
    assert values == json.loads((tmp_path / "a.json").read_text())
    assert values["evidence"] == "procedure"
    (limit,) = values["limits"]
    assert limit["verdict"] == values["verdict"]
    assert [row["name"] for row in values["agreement"]["rows"]] == [
        "effectiveness",
        "miss rate",
        "false alarm rate",
        "kappa",
    ]


def test_a_run_is_judged_as_it_was(write_run, tmp_path):
    run = write_run(tmp_path / "run", separation=3.0)
    record = json.loads((run / "run.json").read_text()) if (run / "run.json").exists() else {"settings": {}}
    rules = {"strategies": ["target-recall:0.9"], "object_score": "mean", "prevalence": 0.1}
    record.setdefault("settings", {})["evaluation"] = rules
    (run / "run.json").write_text(json.dumps(record))
    values = json.loads(accept(run, "--max-escape", 0.5, "--max-cost", 1e6, "--json").stdout)
    assert {limit["strategy"] for limit in values["limits"]} == {"target-recall:0.9"}
    assert values["settings"]["object_score"] == "mean"
    other = json.loads(accept(run, "--max-escape", 0.5, "--strategy", "youden", "--json").stdout)
    assert other["limits"][0]["strategy"] == "youden"


def test_the_function_says_what_the_command_says(scores):
    result = accept_function(str(scores), max_escape=0.2, at=0.5)
    values = json.loads(accept(scores, "--max-escape", 0.2, "--at", 0.5, "--json").stdout)
    assert result.acceptance.to_dict() == values
    assert result.table.column("verdict").to_pylist() == ["shown"]
    assert "escape_rate" in result._repr_html_()


def write(tmp_path, text):
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    return path


def test_a_file_of_limits(tmp_path):
    text = "level: image\nconfidence: 0.9\nstrategy: cost\nescape_rate: 0.02\nrecall[a b]: [0.9, 0.99]\n"
    found = limits_from_file(str(write(tmp_path, text)))
    assert found.strategy == "cost"
    assert [(x.metric, x.value, x.level, x.confidence) for x in found.limits] == [
        ("escape_rate", 0.02, "image", 0.9),
        ("recall[a b]", 0.9, "image", 0.99),
    ]


def test_options_win_over_the_file(tmp_path):
    path = str(write(tmp_path, "escape_rate: 0.02\noverkill_rate: 0.1\n"))
    found = Limits(limits=path, max_escape=0.05, confidence=0.9).settings().limits
    assert [(x.metric, x.value, x.confidence) for x in found] == [
        ("escape_rate", 0.05, 0.9),
        ("overkill_rate", 0.1, 0.9),
    ]


def test_level_and_confidence_are_of_each_limit(tmp_path):
    path = str(write(tmp_path, "escape_rate: [0.02, 0.99]\noverkill_rate: 0.1\n"))
    found = Limits(limits=path, level="image", confidence=0.9).settings().limits
    assert [(x.metric, x.level, x.confidence) for x in found] == [
        ("escape_rate", "image", 0.9),
        ("overkill_rate", "image", 0.9),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("escape_rate: 2\n", "line 1: limit escape_rate: 2 can never be shown"),
        ("escape_rate: low\n", "line 1: escape_rate: 'low' is no number"),
        ("level: object\nauroc: 0.9\n", "line 2: limit auroc: no such figure can be limited"),
        ("escape_rate: 0.1\nescape_rate: 0.2\n", "line 2: escape_rate stands in line 1 already"),
        ("escape_rate: [0.1, 0.9, 1]\n", "line 1: escape_rate takes a value, or a list"),
        ("level: [object, image]\nescape_rate: 0.1\n", "line 1: level takes one value"),
        ("confidence: 1\nescape_rate: 0.1\n", "a confidence of 1 cannot be"),
        ("level: pixel\nescape_rate: 0.1\n", "the level is object or image"),
        ("escape_rate: {most: 0.1}\n", "line 1"),
        ("- 0.1\n", "line 1"),
        ("level: object\n", "no limit is set"),
        ("", "no limit is set"),
    ],
)
def test_what_is_wrong_in_a_file_of_limits(scores, tmp_path, text, words):
    message = refusal(scores, "--limits", write(tmp_path, text))
    assert words in message
    assert "\n" not in message


def test_other_mistakes_are_one_sentence(scores, tmp_path):
    assert "no limit is set; give --limits FILE" in refusal(scores)
    assert "there is no such file" in refusal(scores, "--limits", tmp_path / "none.yaml")
    assert "can never be shown" in refusal(scores, "--max-escape", 0)
    assert "there are escape_rate, overkill_rate, recall" in refusal(
        scores, "--limits", write(tmp_path, "recall[dent]: 0.9\n")
    )
    assert "give --prevalence" in refusal(scores, "--max-cost", 3)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    assert "UTF-8" in refusal(scores, "--limits", tmp_path / "binary.yaml")


def test_a_confidence_is_shown_as_it_is(tmp_path):
    rows = [f"p{k},{k % 2},{k % 2 + k / 1000}" for k in range(60)]
    (tmp_path / "scores.csv").write_text("\n".join(["image_id,label,score", *rows]))
    words = ("--at", 0.5, "--max-escape", 0.5, "--confidence", 0.999)
    assert "99.9%" in raylab2f("accept", tmp_path / "scores.csv", *words).stdout
