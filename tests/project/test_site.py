import importlib.util
import io
import re
import sys
from pathlib import Path

import pytest
import typer
import yaml
from hypothesis import given
from hypothesis import strategies as st
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from raylab2f.cli.app import app
from raylab2f.pitfalls import PITFALLS

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path for path in (ROOT / "docs" / "pitfalls").glob("RL*.md")}


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


site_pages = load("site_pages")
joint_parameters = load("joint_parameters")


def test_every_pitfall_has_a_page_and_every_page_a_pitfall():
    assert sorted(PAGES) == sorted(PITFALLS)


@pytest.mark.parametrize("code", PITFALLS)
def test_a_pitfalls_page_says_how_it_is_found_why_it_matters_and_how_to_mend_it(code):
    text = PAGES[code].read_text(encoding="utf-8")
    title, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    assert title.strip() == f"# {code}: {PITFALLS[code]}"
    said = {section.partition("\n")[0]: section.partition("\n")[2].strip() for section in sections}
    assert list(said) == ["How it is found", "Why it matters", "How to mend it", "Example"]
    assert all(len(words) > 20 for words in said.values())
    assert re.search(r"^```\nraylab2f ", said["Example"], re.MULTILINE)


def test_every_pitfall_is_found_from_the_overview():
    listed = re.findall(r"\[(RL\d{3})\]\(\1\.md\) \| (.*) \|", (PAGES["RL101"].parent / "index.md").read_text("utf-8"))
    assert dict(listed) == PITFALLS


def test_patterns_in_the_navigation_become_pages_overviews_first():
    pages = ["b/z.md", "b/index.md", "a.md", "b/c.md"]
    assert site_pages.fill_in([{"All": "b/*.md"}, "a.md"], pages) == [
        {"All": ["b/index.md", "b/c.md", "b/z.md"]},
        "a.md",
    ]


@pytest.mark.parametrize("source", ["README.md", *site_pages.TAKEN_IN])
def test_links_of_pages_outside_the_site_lead_somewhere(source):
    text = (ROOT / source).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if ":" in path:
            continue
        found = (ROOT / source).parent / path if path else ROOT / source
        assert found.exists(), f"{source} links to {target}"
        if anchor and found.suffix == ".md":
            headings = re.findall(r"^#+ (.*)", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {
                re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower())).strip("-") for heading in headings
            }
            assert anchor in slugs, f"{source} links to {target}"


@pytest.mark.parametrize(
    ("source", "page", "link", "changed"),
    [
        ("docs/coverage.md", "coverage.md", "[b](../benchmarks/coverage.md)", "[b](benchmarks/coverage.md)"),
        ("docs/pitfalls/RL1.md", "pitfalls/RL1.md", "[s](../summary.md#a)", "[s](../summary.md#a)"),
        ("ARCHITECTURE.md", "project/architecture.md", "[s](docs/summary.md#a)", "[s](../summary.md#a)"),
        ("docs/index.md", "index.md", "[the `x`](../raylab2f/pitfalls.py)", "the `x`"),
        ("docs/index.md", "index.md", "[gone](../raylab2f/gone.py)", "[gone](../raylab2f/gone.py)"),
        ("docs/index.md", "index.md", "[web](https://example.org/a.md)", "[web](https://example.org/a.md)"),
        ("docs/index.md", "index.md", "[here](#there)", "[here](#there)"),
    ],
)
def test_links_work_in_the_site_as_in_a_checkout(source, page, link, changed):
    assert site_pages.site_links(f"a {link} b", source, page) == f"a {changed} b"


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://cdn.example/a.js"></script>', 1),
        ('<link rel="stylesheet" href="//cdn.example/a.css">', 1),
        ('<img src="http://example.org/badge.svg">', 1),
        ('<a href="https://example.org/">elsewhere</a><img src="a.png"><script src="assets/a.js"></script>', 0),
    ],
)
def test_what_a_page_fetches_from_elsewhere_is_seen(html, found):
    assert len(site_pages.fetched_hosts(html)) == found


@pytest.mark.parametrize("package", site_pages.PACKAGES)
def test_the_reference_names_every_module_with_public_names(package):
    page = site_pages.reference_page(f"raylab2f.{package}")
    for path in (ROOT / "raylab2f" / package).rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.name != "__init__.py" and re.search(r"^__all__ = ", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert f"::: {module}\n" in page


NAMES = st.lists(st.from_regex(r"[a-z]\w{0,8}", fullmatch=True), min_size=1, max_size=4, unique=True)


@given(NAMES, st.booleans())
def test_parameters_described_together_become_one_line_each(names, goes_on):
    more = "\n            and more" if goes_on else ""
    arguments = f"    {', '.join(names)}: in pixels{more}\n    last: z."
    docstring = f"What.\n\n    a, b: no parameters.\n\nArguments:\n{arguments}\n\nReturns:\n    x, y: two."
    lines = joint_parameters.split_joint(docstring).splitlines()
    assert lines[lines.index("Arguments:") + 1] == f"    {names[0]}: in pixels"
    assert [line for line in lines if line.endswith(f"see `{names[0]}`.")] == [
        f"    {name}: see `{names[0]}`." for name in names[1:]
    ]
    assert {"    a, b: no parameters.", "    last: z.", "    x, y: two."} <= set(lines)


def test_the_reference_of_the_commands_has_every_command_with_its_options():
    page = site_pages.commands_page()

    def check(name, command):
        assert f"# `{name}`" in page or name == "raylab2f"
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert f"`{option}" in page or f", {option}" in page, f"{name} {option}"
        for part, below in getattr(command, "commands", {}).items():
            check(f"{name} {part}", below)

    check("raylab2f", typer.main.get_command(app))


@pytest.mark.parametrize(
    ("pages", "says"),
    [
        ({"index.md": "[other](other.md#there)", "other.md": "## There"}, None),
        ({"index.md": "[other](other.md)"}, "other.md"),
        ({"index.md": "[other](other.md#gone)", "other.md": "## There"}, "#gone"),
        ({"index.md": "no links", "other.md": "in no navigation"}, "other.md"),
    ],
)
def test_a_broken_link_or_a_page_that_nobody_finds_stops_the_build(pages, says, tmp_path, caplog):
    (tmp_path / "docs").mkdir()
    for name, text in pages.items():
        (tmp_path / "docs" / name).write_text(text, encoding="utf-8")
    # Only what decides about links; the theme and the reference take their time.
    with (ROOT / "mkdocs.yml").open(encoding="utf-8") as file:
        validation = yaml.safe_load(file)["validation"]
    nav = ["index.md"] + (["other.md"] if "other.md" in pages and "no links" not in pages["index.md"] else [])
    config = load_config(
        io.BytesIO(b"site_name: x"),
        config_file_path=str(tmp_path / "mkdocs.yml"),
        strict=True,
        plugins=[],
        docs_dir=str(tmp_path / "docs"),
        site_dir=str(tmp_path / "site"),
        validation=validation,
        nav=nav,
    )
    if says is None:
        build(config)
        return
    with pytest.raises(Abort):
        build(config)
    assert says in caplog.text


def test_the_guide_from_python_runs(capsys):
    text = (ROOT / "docs" / "howto" / "python.md").read_text(encoding="utf-8")
    for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(code, "python.md", "exec"), {})
    assert "RL" in capsys.readouterr().out
