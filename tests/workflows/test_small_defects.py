"""A run at a size at which most defects are smaller than a patch says so, unless that is muted."""

import pytest


@pytest.mark.parametrize("muted", [False, True])
def test_a_run_says_that_its_defects_are_small(pictures, cache, run, read_summary, tmp_path, muted):
    options = ["--detector", "glass", "--epochs", 1, "--size", 32, "--folds", 1, "--out", tmp_path / "run"]
    done = run(*options, *(["--mute", "RL222"] if muted else []))
    summary = read_summary(tmp_path / "run")
    said = [warning for warning in summary["warnings"] if warning["code"] == "RL222"]
    silent = [warning for warning in summary["muted"] if warning["code"] == "RL222"]
    assert (len(said), len(silent)) == ((0, 1) if muted else (1, 0))
    # 5 of 6 spotted plates have masks, of two pictures each.
    assert "At --size 32x32 10 of 10 defects" in (said or silent)[0]["text"]
    assert ("smaller than one patch" in " ".join(done.stdout.split())) != muted
