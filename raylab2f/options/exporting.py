"""How a model is exported, and when the exported file is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from raylab2f.options.declaration import Option
from raylab2f.options.preparation import parse_size

__all__ = ["Exporting"]

_PANEL = "File"
_CERTIFICATE = "Certificate"


@dataclass(frozen=True)
class Exporting:
    """Which file, and what it must keep."""

    format: Annotated[
        Literal["onnx", "openvino", "pt2"],
        Option("Of the file; onnx and openvino need a package more, see docs/export.md.", panel=_PANEL),
    ] = "onnx"
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        Option("In which weights are kept; int8 quantises convolutions and is for onnx.", panel=_PANEL),
    ] = "float32"
    largest_picture: Annotated[
        str | None,
        Option("HEIGHTxWIDTH in pixels; larger ones score infinity.", usual="the evaluation's + 25 %", panel=_PANEL),
    ] = None
    run: Annotated[
        str | None,
        Option(
            "Judge the inference pictures of this run, from their files.",
            kind="place",
            usual="the model's reference pictures",
            panel=_CERTIFICATE,
        ),
    ] = None
    max_flips: Annotated[int, Option("Verdicts that may change beyond the margin.", minimum=0, panel=_CERTIFICATE)] = 0
    margin: Annotated[
        float, Option("Of the threshold, or of 1 where that is smaller.", minimum=0, maximum=1, panel=_CERTIFICATE)
    ] = 1e-4

    def largest(self) -> tuple[int, int] | None:
        """Height and width.

        Raises:
            UserError: it is no size.
        """
        return None if self.largest_picture is None else parse_size(self.largest_picture, "--largest-picture")
