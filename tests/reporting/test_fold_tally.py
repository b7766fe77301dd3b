"""What a minute's line says of folds."""

import io
import time

from rich.console import Console

from raylab2f.reporting import Display
from raylab2f.reporting.fold_tally import FoldTally, tally_line
from raylab2f.reporting.log_file import plain


def epoch(number):
    return {"epoch": number, "epochs": 30, "loss": 0.5, "pictures_per_second": 3.0}


def test_a_line_says_what_is_done_runs_and_waits_and_how_long_it_will_take():
    seconds = iter([0.0, 8.0]).__next__
    tally = FoldTally({name: f"fold {name}" for name in "1234"}, finished=2, clock=seconds)
    assert tally.any_waits_alone
    tally.update("1", {"started": True})
    tally.update("1", epoch(2))
    tally.update("1", epoch(4))
    tally.update("2", {"started": True})
    tally.update("3", {"done": True, "failed": True})
    assert not tally.any_waits_alone
    line = tally_line(tally.to_dict())
    assert line == (
        "folds: 2 of 6 done, 2 running, 1 waiting, 1 failed; fold 1 epoch 4 of 30, loss 0.5, 104 s left; fold 2 starts"
    ).replace("104 s", "2 min")


def said_by(monkeypatch, waiting, *, terminal=False, log=None):
    monkeypatch.setenv("RAYLAB2F_PROGRESS_SECONDS", "0.05")
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200)
    display = Display(console)
    display.say("before")
    with display.kept_in([log] if log else []), display.folds({"a": "fold a\x1b[31m"}, 1, waiting) as update:
        deadline = time.monotonic() + 30
        while "waiting" not in (log.read_text() if terminal else console.file.getvalue()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        update("a", {"started": True})
        while "starts" not in (log.read_text() if terminal else console.file.getvalue()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return console.file.getvalue()


def test_where_there_is_no_terminal_lines_say_how_far_folds_are_and_what_they_wait_for(monkeypatch):
    said = said_by(monkeypatch, lambda: "waiting for slots: needs 2 CPUs")
    assert "waiting for slots: needs 2 CPUs" in said
    assert "folds: 1 of 2 done, 1 running" in said


def test_a_log_holds_what_was_said_before_it_too_and_nothing_that_steers_a_terminal(monkeypatch, tmp_path):
    log = tmp_path / "log.txt"
    said_by(monkeypatch, lambda: None, terminal=True, log=log)
    lines = log.read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith(" before")
    assert any("fold a\\x1b[31m starts" in line for line in lines)
    assert "\x1b" not in log.read_text(encoding="utf-8")


def test_text_is_one_plain_line():
    assert plain("a\nb\x1b[2J\u202e") == "a b\\x1b[2J\\u202e"
