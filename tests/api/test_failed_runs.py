"""Several detectors in one call, some of which fail whole."""

from types import SimpleNamespace

import pytest

import raylab2f
from raylab2f.errors import UserError
from raylab2f.workflows import cross_validation, finishing
from raylab2f.workflows.cross_validation import RunOutcome, unfinished_sentence


def test_runs_that_are_finished_are_judged_though_another_failed(tmp_path, monkeypatch):
    def outcomes(placed, **how):
        lost = (SimpleNamespace(folder="0", message="its fit failed"),)
        return [
            RunOutcome(place, {} if "mahalanobis" in place else None, () if "mahalanobis" in place else lost)
            for _, place in placed
        ]

    judged = []
    monkeypatch.setattr(cross_validation, "run_cross_validation", outcomes)
    monkeypatch.setattr(finishing, "finish_run", lambda place, *args, **how: judged.append(place))
    with pytest.raises(UserError) as told:
        raylab2f.cross_validate(detector=["padim", "mahalanobis", "patchcore"], out=str(tmp_path / "out"))
    assert [place.rsplit("/", 1)[1] for place in judged] == ["mahalanobis-seed0"]
    assert "padim-seed0: no fold finished (its fit failed), nor of " in str(told.value)
    assert "patchcore-seed0; see error.json in the folds, then give resume=True." in str(told.value)


def test_nothing_is_said_where_every_run_has_a_fold():
    assert unfinished_sentence([RunOutcome("a", {}, ())], "--resume") is None


def test_failed_folds_of_others_are_told_beside_a_detector_that_cannot_be_made():
    failed = (SimpleNamespace(folder="0", fold=0, message="its fit failed"), SimpleNamespace(fold=3, message="late"))
    outcomes = [RunOutcome("a", {}, ()), RunOutcome("b", {}, failed)]
    told = unfinished_sentence(outcomes, "--resume", ["c cannot be made."])
    assert told == (
        "c cannot be made. b: fold 0 failed (its fit failed), and 1 more; see error.json in it, then --resume."
    )
    assert unfinished_sentence(outcomes, "--resume") is None
    assert unfinished_sentence(outcomes[:1], "--resume", ["c cannot be made."]) == (
        "c cannot be made. What else was asked for is done."
    )
