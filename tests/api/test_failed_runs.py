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
