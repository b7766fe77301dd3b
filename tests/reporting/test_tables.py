import io

import pyarrow as pa
from rich.console import Console

from raylab2f.diagnostics.finding import Bounds, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import Estimate
from raylab2f.evaluation import evaluate
from raylab2f.reporting import print_findings, print_summary


def test_findings_say_what_was_left_out():
    console = Console(file=io.StringIO(), width=120)
    print_findings([skipped("background", "No masks.", ["3 pictures were left out [of 9]."]).to_dict()], console)
    printed = console.file.getvalue()
    assert "No masks. 3 pictures were left out [of 9]." in printed


def test_what_is_muted_is_one_line():
    console = Console(file=io.StringIO(), width=120)
    findings = [skipped("background", "No masks."), skipped("leakage", "No folds."), skipped("shift", "Too few.")]
    print_findings([finding.to_dict(("RL105", "RL106")) for finding in findings], console)
    printed = console.file.getvalue()
    assert "No masks." in printed
    assert "No folds." not in printed
    assert "muted: 2 findings: RL105, RL106" in printed


def test_a_summary_says_how_many_warnings_are_muted():
    table = {"image_id": [str(i) for i in range(40)], "label": [0, 1] * 20, "score": [i * 7 % 40 for i in range(40)]}
    loud, silent = (evaluate(pa.table(table), replicates=50, mute=mute) for mute in ((), ("RL201",)))
    printed = []
    for summary in (loud, silent):
        console = Console(file=io.StringIO(), width=120)
        print_summary(summary.to_dict(), console)
        printed.append(console.file.getvalue())
    assert "RL201" in printed[0]
    assert "muted" not in printed[0]
    assert "muted: 1 warning: RL201" in printed[1]
    assert "warning RL201" not in printed[1]


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


def test_parts_have_a_table_where_they_differ_from_the_whole():
    rows = {"image_id": [str(i) for i in range(40)], "label": [0, 1] * 20, "score": [i * 7 % 40 for i in range(40)]}
    for types, shown in ((["dent"], False), (["dent", "scratch"], True)):
        kinds = ["good" if label == 0 else types[row // 2 % len(types)] for row, label in enumerate(rows["label"])]
        console = Console(file=io.StringIO(), width=160)
        print_summary(evaluate(pa.table(rows | {"defect_type": kinds}), replicates=50).to_dict(), console)
        assert ("part by part" in console.file.getvalue()) is shown
