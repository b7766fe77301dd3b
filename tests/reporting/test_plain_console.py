"""Names are printed as they are."""

import re
from pathlib import Path

from raylab2f.reporting.printing import plain_console
from raylab2f.reporting.whole_tables import print_table

ROOT = Path(__file__).parents[2]


def test_a_class_after_a_colon_is_no_emoji(capsys):
    console = plain_console()
    console.print("error: --detector own:A: there is no module own.", highlight=False)
    print_table(("detector", ":x:"), [("own:A: it", ":dog:")], console)
    printed = capsys.readouterr().out
    for whole in ("own:A: there", "own:A: it", ":x:", ":dog:"):
        assert whole in printed


def test_everything_is_printed_on_such_a_console():
    made = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "raylab2f").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\bConsole\((?!emoji=False)", line)
    }
    assert not made
