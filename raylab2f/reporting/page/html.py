"""One file of HTML: templates, styles, scripts and libraries put together."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from raylab2f.reporting.page.sentences import (
    METRIC_NAMES,
    figure_text,
    method_sentences,
    number_text,
    outcome_sentence,
    share_text,
)
from raylab2f.versions import version_of

__all__ = ["render_html", "render_page"]

_SCRIPTS = ("vendor/d3.min.js", "vendor/plot.umd.min.js", "static/plots.js", "static/thresholds.js", "static/page.js")
#: What scripts need of the content; the rest stands in the page as text.
_PLOTTED = ("curves", "learning_curve", "losses", "rules", "level", "strategy", "name")


def render_html(content: Mapping[str, Any]) -> str:
    """The page of a report.

    Nothing in it is loaded from elsewhere, and nothing that names, labels or tables say can run: templates escape
    all text, data stand in blocks that are not executed, and a content security policy lets run only the scripts whose
    digests it names.

    Arguments:
        content: as `raylab2f.workflows.report.content.report_content` gathers it; see docs/report.md.
    """
    scripts = [_packaged(name) for name in _SCRIPTS]
    digests = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    # Plot draws with style elements of its own; styles cannot run anything, nor may they load anything.
    policy = (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )
    return (
        _environment()
        .get_template("page.html")
        .render(
            content=content,
            policy=policy,
            style=Markup(_packaged("static/page.css")),
            scripts=[Markup(script) for script in scripts],
            data=Markup(_json([_plotted(run) for run in content["runs"]])),
            methods=[method_sentences(run) for run in content["runs"]],
        )
    )


def render_page(template: str, **content: Any) -> str:
    """A page without scripts, of one of the packaged templates, which gets `version`, `policy` and `style` as well."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    style = Markup(_packaged("static/page.css"))
    return (
        _environment()
        .get_template(template)
        .render(**content, policy=policy, style=style, version=version_of("raylab2f"))
    )


def _by_metric(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {row["metric"]: row for row in rows}


def _plotted(run: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: run[name] for name in _PLOTTED}
    thresholds = run["thresholds"]
    kept["thresholds"] = {name: thresholds[name] for name in ("histogram", "points", "pairs", "begin", "by_fold")}
    kept["parts"] = [row for row in run["parts"] if row["rate"] == "recall"]
    kept["pod"] = run["pod"]
    kept["recall"] = next((1 - row["mean"] for row in run["figures"] if row["metric"] == "escape_rate"), None)
    return kept


def _json(value: Any) -> str:
    """JSON that may stand in a script element: no character in it can end the element or begin a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _packaged(name: str) -> str:
    return (resources.files("raylab2f.reporting.page") / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("raylab2f.reporting.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure_text, "number": number_text, "share": share_text, "by_metric": _by_metric}
    environment.globals |= {"METRIC_NAMES": METRIC_NAMES, "outcome_sentence": outcome_sentence}
    return environment
