"""`raylab2f diagnose`: which pitfalls a finished run stands in."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from raylab2f.cli.options import AddressOption, CacheOption, default_cache
from raylab2f.cli.place_options import PLACE
from raylab2f.errors import UserError
from raylab2f.files.places import join

__all__ = ["diagnose"]


def diagnose(
    run: Annotated[str, typer.Argument(**PLACE, help="Folder of a finished run, or its URI.", show_default=False)],
    only: Annotated[
        list[str],
        typer.Option(
            help="background, silhouette, variance, invariance, leakage, shift, threshold or likelihood; repeatable."
        ),
    ] = [],
    as_json: Annotated[bool, typer.Option("--json", help="Print diagnosis.json instead of a table.")] = False,
    stored_only: Annotated[
        bool, typer.Option("--stored-only", help="Use what the run stored; score no altered pictures.")
    ] = False,
    expect: Annotated[
        list[str],
        typer.Option(
            help="ALTERATION=DOSE that occurs where the detector will be used, such as rotation=180; repeatable."
        ),
    ] = [],
    pictures: Annotated[
        int, typer.Option(min=2, help="Good, and defective, pictures a fold to alter and score, at most.")
    ] = 48,
    cache: CacheOption = None,
    address: AddressOption = None,
) -> None:
    """Look for pitfalls in a run: verdicts with figures, intervals, bounds; writes diagnosis.json and figures/ into it.

    The exit code is 0 whatever the verdicts.
    """
    expected = dict(_parse_dose(text) for text in expect)

    from raylab2f.files.mirror import fetch_file
    from raylab2f.reporting import Display, print_findings
    from raylab2f.workflows.diagnosis import DIAGNOSES, diagnose_run

    # With --json, nothing but JSON goes to the standard output.
    console = Console(stderr=as_json)
    findings = diagnose_run(
        run,
        cache=default_cache(cache),
        display=Display(console),
        only=only or DIAGNOSES,
        stored_only=stored_only,
        pictures_per_fold=pictures,
        expected=expected,
        address=address,
    )
    if as_json:
        typer.echo(fetch_file(join(run, "diagnosis.json")).read_text(encoding="utf-8"), nl=False)
        return
    print_findings([finding.to_dict() for finding in findings], console)
    console.print(f"figures in {join(run, 'figures')}", highlight=False, markup=False, soft_wrap=True)


def _parse_dose(text: str) -> tuple[str, float]:
    name, equals, dose = text.partition("=")
    try:
        if not equals:
            raise ValueError
        return name, float(dose)
    except ValueError:
        raise UserError(f"--expect {text}: give ALTERATION=DOSE, such as rotation=180.") from None
