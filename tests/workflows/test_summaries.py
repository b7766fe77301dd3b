"""Several runs of one command, of which one cannot be judged."""

from types import SimpleNamespace

import pytest

from raylab2f.errors import UserError
from raylab2f.workflows import cross_validation
from raylab2f.workflows.cross_validation import RunOutcome, _summarise_all


def test_a_run_that_cannot_be_judged_is_named_after_the_others_were(monkeypatch):
    judged = []

    def summarise(plan, failures, display):
        if plan.folder.place == "runs/equal":
            raise UserError("All scores are equal.")
        judged.append(plan.folder.place)
        return RunOutcome(plan.folder.place, {}, ())

    monkeypatch.setattr(cross_validation, "_summarise", summarise)
    plans = [SimpleNamespace(folder=SimpleNamespace(place=f"runs/{name}")) for name in ("equal", "glass", "padim")]
    with pytest.raises(UserError, match=r"runs/equal cannot be judged: All scores are equal\."):
        _summarise_all(plans, (), None)
    assert judged == ["runs/glass", "runs/padim"]
    assert [outcome.place for outcome in _summarise_all(plans[1:], (), None)] == ["runs/glass", "runs/padim"]
