"""How the probability of detection is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from raylab2f.errors import UserError
from raylab2f.options.declaration import Option

if TYPE_CHECKING:
    from raylab2f.datasets.defect_sizes import PixelSize

__all__ = ["Sizes"]

_PANEL = "Sizes"


@dataclass(frozen=True)
class Sizes:
    """What a defect's size is."""

    size: Annotated[
        Literal["area", "extent", "column"] | None,
        Option(
            "area or extent of the largest marked region of a defect mask, or column: as manifest or table say.",
            usual="the column size where there is one, else area",
            panel=_PANEL,
        ),
    ] = None
    pixel_size: Annotated[
        str | None, Option("Side of a picture's pixel, such as 0.05mm; sizes are in mm then.", panel=_PANEL)
    ] = None

    def pixel(self) -> PixelSize:
        """What a pixel shows.

        Raises:
            UserError: this is no length, or sizes are not in pixels.
        """
        from raylab2f.datasets.defect_sizes import PixelSize

        if self.pixel_size is None:
            return PixelSize()
        if self.size == "column":
            raise UserError(_NO_PIXELS)
        return PixelSize.parse(self.pixel_size)

    def of_column(self) -> None:
        """`UserError` where these options do not go with sizes that a column gives."""
        if self.size not in (None, "column"):
            raise UserError(
                f"--size {self.size}: a score table names no masks; give a run's folder, or the table a column size."
            )
        if self.pixel_size is not None:
            raise UserError(_NO_PIXELS)


_NO_PIXELS = "--pixel-size is for sizes from masks; those of the column size are taken as they are, so leave it out."
