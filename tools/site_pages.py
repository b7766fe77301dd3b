"""What the documentation site is made of beside `docs/`: a hook of MkDocs (`mkdocs.yml`).

The reference of the packages and of the commands is written when the site is built, so it cannot lag behind the code.
Pages that lie outside of `docs/` are taken in, and links in both directions are written so that they work in a checkout
and in the site alike. A page that would fetch something from another host stops the build.
"""

from __future__ import annotations

import ast
import fnmatch
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

__all__ = [
    "commands_page",
    "fetched_hosts",
    "fill_in",
    "on_config",
    "on_files",
    "on_page_markdown",
    "on_post_build",
    "reference_page",
    "site_links",
]

ROOT = Path(__file__).resolve().parents[1]

#: File in the repository -> page of the site, for pages outside of `docs/`.
TAKEN_IN = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
} | {f"benchmarks/{path.name}": f"benchmarks/{path.name}" for path in sorted((ROOT / "benchmarks").glob("*.md"))}

# What stands behind the packages that people call; the commands have a page of their own.
_INTERNAL = {"cli", "cluster", "files", "options", "reporting"}
#: Packages whose reference is made of their docstrings.
PACKAGES = tuple(
    sorted(
        path.parent.name
        for path in (ROOT / "raylab2f").glob("*/__init__.py")
        if path.parent.name not in _INTERNAL and not path.parent.name.startswith("_")
    )
)

_REFERENCE = {f"reference/raylab2f.{name}.md": f"raylab2f.{name}" for name in PACKAGES} | {
    "reference/raylab2f.md": "raylab2f"
}
_DIRECTIVE = "::: {}\n    options:\n      show_root_heading: false\n      show_root_toc_entry: false\n"
_LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^][]|\[[^][]*\])*)\]\((?P<target>[^()\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """MkDocs' hook: the navigation with its patterns filled in."""
    pages = [path.relative_to(config.docs_dir).as_posix() for path in Path(config.docs_dir).rglob("*.md")]
    config.nav = fill_in(config.nav, [*pages, *TAKEN_IN.values(), *_REFERENCE])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """MkDocs' hook: add the pages that are not in `docs/`."""
    from mkdocs.structure.files import File

    pages = {page: (ROOT / source).read_text(encoding="utf-8") for source, page in TAKEN_IN.items()}
    pages |= {page: reference_page(package) for page, package in _REFERENCE.items()}
    pages["reference/cli.md"] = commands_page()
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """MkDocs' hook: links as the site needs them."""
    taken_in = {page: source for source, page in TAKEN_IN.items()}
    uri = page.file.src_uri
    return site_links(markdown, taken_in.get(uri, f"docs/{uri}"), uri)


def on_post_build(config: MkDocsConfig) -> None:
    """MkDocs' hook: the site works without any other host."""
    for path in sorted(Path(config.site_dir).rglob("*.html")):
        hosts = fetched_hosts(path.read_text(encoding="utf-8"))
        if hosts:
            from mkdocs.exceptions import PluginError

            raise PluginError(f"{path.name} would fetch {', '.join(hosts)}; the site may not call out.")


def fill_in(nav: Any, pages: Sequence[str]) -> Any:
    """A navigation whose patterns (`decisions/*.md`) are lists of the pages that match, overviews first."""
    if isinstance(nav, list):
        return [fill_in(entry, pages) for entry in nav]
    if isinstance(nav, dict):
        return {title: fill_in(entry, pages) for title, entry in nav.items()}
    if "*" not in nav:
        return nav
    return sorted(fnmatch.filter(pages, nav), key=lambda page: (not page.endswith("/index.md"), page))


def site_links(markdown: str, source: str, page: str) -> str:
    """A page with its links as the site needs them.

    Arguments:
        markdown: its text, with links as they work in a checkout.
        source: where it lies in the repository.
        page: where it lies in the site.

    Returns:
        The text. A link to a file that has no page (code, say) becomes its text alone; one to nothing stays, and is
        reported by MkDocs.
    """

    def change(link: re.Match[str]) -> str:
        path, hash_sign, anchor = link["target"].partition("#")
        if not path or ":" in path:
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if target in TAKEN_IN:
            inside = TAKEN_IN[target]
        elif target.startswith("docs/"):
            inside = target.removeprefix("docs/")
        elif (ROOT / target).exists():
            return link["text"]
        else:
            return link[0]
        return f"[{link['text']}]({os.path.relpath(inside, posixpath.dirname(page) or '.')}{hash_sign}{anchor})"

    return _LINK.sub(change, markdown)


def reference_page(package: str) -> str:
    """Markdown from which mkdocstrings makes the reference of a package: its modules with public names."""
    folder = ROOT.joinpath(*package.split("."))
    text = f"# {package}\n\n" + _DIRECTIVE.format(package) + "      members: false\n\n"
    offered = _public_names(folder / "__init__.py")
    if offered:
        text += f"Offered by the package itself: {', '.join(f'`{name}`' for name in offered)}.\n\n"
    for module in _modules(folder):
        text += f"## {module.removeprefix(package + '.')}\n\n" + _DIRECTIVE.format(module) + "\n"
    return text


def _modules(folder: Path) -> Iterator[str]:
    # The package of all packages has a page for its own modules only.
    for path in sorted(folder.glob("*.py") if folder.name == "raylab2f" else folder.rglob("*.py")):
        module = path.parent if path.name == "__init__.py" else path.with_suffix("")
        parts = module.relative_to(ROOT).parts
        # A package that only offers what its modules define needs no section: they have theirs.
        is_own = path.name != "__init__.py" or (module != folder and _defines(path))
        if is_own and not any(part.startswith("_") for part in parts) and _public_names(path):
            yield ".".join(parts)


def _defines(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.ClassDef | ast.FunctionDef) for node in body)


def _public_names(path: Path) -> list[str]:
    """`__all__` of a module; empty where it has none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def commands_page() -> str:
    """The reference of the commands, by Typer's own generator."""
    command = [sys.executable, "-m", "typer", "raylab2f/cli/app.py", "utils", "docs", "--name", "raylab2f"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if made.returncode:
        from mkdocs.exceptions import PluginError

        raise PluginError(f"The reference of the commands could not be made: {made.stderr.strip()[-500:]}")
    return made.stdout.replace("# `raylab2f`", "# Commands", 1)


class _Fetches(HTMLParser):
    """Addresses that a browser fetches when it shows a page; where links lead does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        if tag == "link" and given.get("rel") in ("stylesheet", "preconnect", "preload", "icon", "dns-prefetch"):
            self.addresses.append(given.get("href") or "")
        elif tag in ("script", "img", "iframe", "source", "video", "audio", "embed"):
            self.addresses.append(given.get("src") or "")


def fetched_hosts(html: str) -> list[str]:
    """Addresses on other hosts that a page makes a browser fetch."""
    parser = _Fetches()
    parser.feed(html)
    return [address for address in parser.addresses if re.match(r"(https?:)?//", address)]
