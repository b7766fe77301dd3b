"""Layouts that other packages add, held to what raylab2f's own do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from raylab2f import plugins
from raylab2f.datasets.entries import Entry, Found, LayoutOptions
from raylab2f.datasets.layouts.layout import Layout
from raylab2f.errors import UserError

__all__ = ["added_layout", "added_layouts"]


def added_layout(name: str, own: Collection[str]) -> Layout | None:
    """The layout that a package adds under a name; whatever goes wrong in it is a `UserError` that names the package.

    Raises:
        UserError: it cannot be loaded, is no layout, or its name is one of `own` or another package's too.
    """
    plugin = plugins.added(plugins.LAYOUTS, name, own)
    if plugin is None:
        return None
    layout = plugin.load()
    if not isinstance(layout, Layout):
        raise _wrong(plugin, f"is no raylab2f.datasets.layouts.Layout, but {type(layout).__name__}")

    def read(root: Path, options: LayoutOptions) -> Found:
        found = _called(plugin, layout.read, root, options)
        if not (isinstance(found, Found) and all(isinstance(entry, Entry) for entry in found.entries)):
            raise _wrong(plugin, "reads no raylab2f.datasets.entries.Found of Entry")
        return found

    def recognises(root: Path, options: LayoutOptions) -> bool:
        return bool(_called(plugin, layout.recognises, root, options))

    return replace(layout, recognises=recognises, read=read)


def added_layouts(own: Collection[str]) -> dict[str, Layout]:
    """All that packages add under names that are not in `own`; raises like `added_layout`."""
    layouts = {name: added_layout(name, own) for name in plugins.added_names(plugins.LAYOUTS) if name not in own}
    return {name: layout for name, layout in layouts.items() if layout is not None}


def _called(plugin: plugins.Plugin, function: Callable[..., Any], root: Path, options: LayoutOptions) -> Any:
    try:
        return function(root, options)
    except UserError:
        raise
    except Exception as error:
        raise _wrong(plugin, f"fails on {root} ({plugins.fault(error)})") from error


def _wrong(plugin: plugins.Plugin, what: str) -> UserError:
    return UserError(
        f"--layout {plugin.name}: the layout that the package {plugin.package} adds {what}; ask its authors."
    )
