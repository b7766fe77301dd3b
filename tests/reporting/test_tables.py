import io

from rich.console import Console

from raylab2f.diagnostics.finding import skipped
from raylab2f.reporting import print_findings


def test_findings_say_what_was_left_out():
    console = Console(file=io.StringIO(), width=120)
    print_findings([skipped("background", "No masks.", ["3 pictures were left out [of 9]."]).to_dict()], console)
    printed = console.file.getvalue()
    assert "No masks. 3 pictures were left out [of 9]." in printed
