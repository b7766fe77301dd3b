import io

from rich.console import Console

from raylab2f.diagnostics.finding import Bounds, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import Estimate
from raylab2f.reporting import print_findings


def test_findings_say_what_was_left_out():
    console = Console(file=io.StringIO(), width=120)
    print_findings([skipped("background", "No masks.", ["3 pictures were left out [of 9]."]).to_dict()], console)
    printed = console.file.getvalue()
    assert "No masks. 3 pictures were left out [of 9]." in printed


def test_findings_name_the_page_of_what_was_found_and_of_nothing_else():
    console = Console(file=io.StringIO(), width=120)
    found = conclude("leakage", [Measure("shared", Estimate(3.0), "Bad.", Bounds(0.0, 0.0, exact=True))])
    fine = conclude("shift", [Measure("odd", Estimate(0.0), "Fine.", Bounds(0.1, None))])
    elsewhere = conclude("dust", [Measure("specks", Estimate(3.0), "Dusty.", Bounds(0.0, None))])
    print_findings([finding.to_dict() for finding in (found, fine, elsewhere)], console)
    printed = console.file.getvalue()
    assert "RL105 leakage" in printed
    assert "RL106 shift" in printed
    assert printed.splitlines()[-1].strip() == "how to mend it: docs/pitfalls/RL105.md"
