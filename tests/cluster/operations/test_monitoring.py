"""What the shipped Grafana dashboard asks for; test_jobs.py scrapes a live run."""

import json
import re
from pathlib import Path

from raylab2f.cluster.operations import monitoring

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana.json"


def test_the_dashboard_draws_what_is_recorded():
    documented = set(re.findall(r"`(raylab2f_\w+)`", monitoring.__doc__))
    queries = [
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
        for target in panel.get("targets", [])
    ]
    drawn = {
        re.sub(r"_(total|bucket|sum|count)$", "", n) for q in queries for n in re.findall(r"ray_(raylab2f_\w+)", q)
    }
    assert drawn == documented
