"""The verdict on a run: by the rules that the run was judged by."""

from types import SimpleNamespace

import pytest
from sized_scores import scores

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.acceptance.limits import Limit, LimitSet
from raylab2f.workflows.report.verdict import acceptance_of_run


def test_costs_are_those_that_the_run_was_judged_with():
    table = scores(slope=1.0)
    rules = {"prevalence": 0.1, "cost_review": 0.6, "replicates": 60}
    summary = evaluate(table, strategies=["two-sided:0.05,0.05"], methods=(), **rules)
    later = LimitSet((Limit("cost_at_prevalence", 500.0),))
    found = acceptance_of_run(SimpleNamespace(limits={}), table, summary.to_dict(), lambda recorded: later)
    [limit] = found["limits"]
    assert limit["estimate"] == pytest.approx(summary.find("cost_at_prevalence").mean)
    assert found["settings"]["cost_review"] == 0.6


def test_limits_that_come_later_bring_their_strategy():
    table = scores(slope=1.0)
    limits = (Limit("escape_rate", 0.3),)
    summary = evaluate(table, strategies=["youden"], methods=(), replicates=60).to_dict()
    run = SimpleNamespace(limits=LimitSet(limits).to_dict())
    own = acceptance_of_run(run, table, summary)
    later = acceptance_of_run(run, table, summary, lambda recorded: LimitSet(limits, "target-recall:0.99"))
    assert [own["limits"][0]["strategy"], own["limits_before"]] == ["youden", True]
    # Another threshold is another decision, though the figure is the same.
    assert [later["limits"][0]["strategy"], later["limits_before"]] == ["target-recall:0.99", False]
