"""The verdict on a run: by the rules that the run was judged by."""

from types import SimpleNamespace

import pytest
from sized_scores import scores

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.acceptance.limits import Limit
from raylab2f.workflows.report.verdict import acceptance_of_run


def test_costs_are_those_that_the_run_was_judged_with():
    table = scores(slope=1.0)
    rules = {"prevalence": 0.1, "cost_review": 0.6, "replicates": 60}
    summary = evaluate(table, strategies=["two-sided:0.05,0.05"], methods=(), **rules)
    limits = [Limit("cost_at_prevalence", 500.0)]
    found = acceptance_of_run(SimpleNamespace(limits={}), table, summary.to_dict(), limits)
    [limit] = found["limits"]
    assert limit["estimate"] == pytest.approx(summary.find("cost_at_prevalence").mean)
    assert found["settings"]["cost_review"] == 0.6
