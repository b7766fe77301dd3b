"""Which sizes of pictures are looked at, and for which detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from raylab2f.options.declaration import Option
from raylab2f.options.detector_settings import configure
from raylab2f.options.preparation import parse_size
from raylab2f.plugins import trust

__all__ = ["NATIVE", "SIZES", "Advising"]

#: Pictures as they were taken.
NATIVE = "native"
#: Looked at where none are named.
SIZES = ("128", "256", "320", "384", "512", "768", NATIVE)
_PANEL = "Sizes"


@dataclass(frozen=True)
class Advising:
    """Which sizes are looked at, and for which detector."""

    size: Annotated[
        tuple[str, ...],
        Option("Of pictures: N, HEIGHTxWIDTH, or native; repeatable.", usual=", ".join(SIZES), panel=_PANEL),
    ] = ()
    keep: Annotated[
        float, Option("Share of the defects that shall stay above one patch.", minimum=0.01, maximum=1, panel=_PANEL)
    ] = 0.9
    fit: Annotated[
        Literal["stretch", "pad"], Option("Whether pictures will be stretched, or keep their aspect.", panel=_PANEL)
    ] = "stretch"
    detector: Annotated[str, Option("Whose patches count.", panel=_PANEL)] = "glass"
    preset: Annotated[Literal["demo", "fast", "paper", "paper-vit"], Option("Of the detector.", panel=_PANEL)] = "fast"
    backbone: Annotated[str | None, Option("timm model name.", usual="the preset's", panel=_PANEL)] = None
    layers: Annotated[
        str | None, Option("Modules of the backbone, with commas.", usual="the preset's", panel=_PANEL)
    ] = None

    def sizes(self) -> list[tuple[int, int] | None]:
        """Heights and widths, smallest first, each once; `None`, last: as pictures were taken.

        Raises:
            UserError: one is no size.
        """
        named = dict.fromkeys(self.size or SIZES)
        sizes = {parse_size(text) for text in named if text != NATIVE}
        ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
        return [*ordered, None] if NATIVE in named else [*ordered]

    def config(self) -> dict[str, Any]:
        """The detector's configuration."""
        changes = {"backbone": self.backbone, "layers": self.layers}
        trust(self.detector)
        return configure(self.detector, self.preset, changes, ())
