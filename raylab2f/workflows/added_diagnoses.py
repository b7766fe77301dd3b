"""Diagnoses that other packages add: chosen by name, made, and kept from harming what was found before them.

Such a diagnosis is a function `diagnose(run, *, seed) -> Finding`, where `run` is the `workflows.evidence.RunEvidence`
that raylab2f's own diagnoses read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq

from raylab2f import plugins
from raylab2f.diagnostics import Finding
from raylab2f.diagnostics.finding import Verdict, skipped
from raylab2f.errors import UserError, first_line
from raylab2f.workflows.evidence import RunEvidence

__all__ = ["choose_diagnoses", "make_added"]

# What begins with RL is raylab2f's.
_CODE = re.compile(r"(?!RL)[A-Z][A-Z0-9-]*")


def choose_diagnoses(
    only: Sequence[str] | None, own: Sequence[str]
) -> tuple[tuple[str, ...], tuple[plugins.Plugin, ...]]:
    """Names of raylab2f's own diagnoses, in their order, and those of other packages, by name.

    Arguments:
        only: names that the user gave; `None`: all there are.
        own: names of raylab2f's own.

    Raises:
        UserError: nobody has a diagnosis of a name, or several have.
    """
    others = plugins.added_names(plugins.DIAGNOSES)
    found = {name: plugins.added(plugins.DIAGNOSES, name, own) for name in ((*own, *others) if only is None else only)}
    for name, plugin in found.items():
        if plugin is None and name not in own:
            known = dict.fromkeys((*own, *others))
            raise UserError(f"--only {name}: no such diagnosis; choose among {', '.join(known)}.")
    return (
        tuple(name for name in own if name in found),
        tuple(plugin for _, plugin in sorted(found.items()) if plugin is not None),
    )


def make_added(plugin: plugins.Plugin, run: RunEvidence, *, seed: int) -> Finding:
    """The finding of another package's diagnosis, under the name by which the package adds it.

    A diagnosis that fails, or gives what cannot be stored, is skipped, with the reason.
    """
    try:
        finding = plugin.load()(run, seed=seed)
        return _checked(finding, plugin.name)
    except UserError as error:
        return skipped(plugin.name, first_line(error))
    # A function that ends the program is no better than one that fails.
    except (Exception, SystemExit) as error:
        return skipped(
            plugin.name, f"The diagnosis that the package {plugin.package} adds fails ({plugins.fault(error)})."
        )


def _checked(finding: Finding, name: str) -> Finding:
    """A finding that can be stored and shown.

    Raises:
        Exception: it cannot; of whatever kind, for anything may be in it.
    """
    if not isinstance(finding, Finding):
        raise TypeError(f"it gives no raylab2f.diagnostics.Finding, but {type(finding).__name__}")
    if finding.verdict not in get_args(Verdict):
        raise ValueError(f"its verdict is {finding.verdict!r}, not one of {', '.join(get_args(Verdict))}")
    if finding.own_code is not None and not _CODE.fullmatch(finding.own_code):
        raise ValueError(
            f"its code is {finding.own_code!r}; a code is made of capitals, digits and hyphens, and RL is raylab2f's"
        )
    if not all(isinstance(text, str) for text in (finding.why, *finding.seen_on)):
        raise TypeError("its sentences are no texts")
    finding = replace(finding, name=name)
    json.dumps(finding.to_dict(), allow_nan=False)
    pq.write_table(finding.evidence, pa.BufferOutputStream())
    return finding
