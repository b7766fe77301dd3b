"""Rates of some of the parts on the page, by the names of their metrics."""

from raylab2f.workflows.report.run_content import _parts


def test_a_defect_type_may_be_called_as_it_likes():
    metrics = ["recall[condition=dark]", "recall[=1+1]", "recall[size=2]", "recall[<b a=b>]", "recall[view=left=up]"]
    rows = [
        {"metric": metric, "strategy": "youden", "level": "object", "mean": 0.5, "interval": None} for metric in metrics
    ]
    summary = {"estimates": rows, "objects": {}}
    found = {(row["kind"], row["part"]) for row in _parts(summary, "object", "youden")}
    assert found == {
        ("condition", "dark"),
        ("defect type", "=1+1"),
        ("defect type", "size=2"),
        ("defect type", "<b a=b>"),
        ("view", "left=up"),
    }
