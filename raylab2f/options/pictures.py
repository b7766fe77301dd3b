"""Which pictures, and how they are read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from raylab2f.datasets.layouts import layout_names
from raylab2f.files.places import absolute
from raylab2f.options.declaration import Option, one_of

if TYPE_CHECKING:
    from raylab2f.runs.folder import DataSettings

__all__ = ["DataOption", "Pictures"]

_PANEL = "Pictures"

#: Of commands that read the demo without it.
DataOption = Annotated[
    str | None,
    Option("Folder or manifest of pictures, or a manifest's URI.", panel=_PANEL, kind="place", usual="demo"),
]


@dataclass(frozen=True)
class Pictures:
    """How the pictures are read."""

    layout: Annotated[str, Option(f"{one_of('auto', *layout_names())}.", panel=_PANEL)] = "auto"
    category: Annotated[str | None, Option("One category of a folder that holds several.", panel=_PANEL)] = None
    nominal: Annotated[tuple[str, ...], Option("Folder of good parts (layout folder); repeatable.", panel=_PANEL)] = ()
    anomalous: Annotated[
        tuple[str, ...], Option("Folder of defective parts (layout folder); repeatable.", panel=_PANEL)
    ] = ()
    object_id: Annotated[
        str | None, Option("Regex on image ids with a group (?P<object>...): which part.", panel=_PANEL)
    ] = None
    views: Annotated[str | None, Option("Regex on image ids with a group (?P<view>...): which view.", panel=_PANEL)] = (
        None
    )
    conditions: Annotated[
        str | None, Option("Regex on image ids with a group (?P<condition>...): light, batch, camera.", panel=_PANEL)
    ] = None
    skip_unreadable: Annotated[bool, Option("Go on without pictures that cannot be read.", panel=_PANEL)] = False
    pixel_limit: Annotated[int, Option("Refuse pictures of more pixels.", minimum=1, panel=_PANEL)] = 100_000_000

    def settings(self, data: str | None) -> DataSettings:
        """As settings, which hold in whatever folder a process works."""
        from raylab2f.runs.folder import DataSettings

        return DataSettings(data=None if data is None else absolute(data), **asdict(self))
