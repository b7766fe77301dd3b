"""Whose file of scores is read, and what says more of its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from raylab2f.options.declaration import Option

__all__ = ["ScoreFiles"]

_PANEL = "Scores of other tools"


@dataclass(frozen=True)
class ScoreFiles:
    """Whose file of scores is read, and what says more of its pictures."""

    source: Annotated[
        str | None,
        Option(
            "Tool that wrote SCORES: anomalib, fiftyone, glass, mlflow or patchcore.",
            name="from",
            usual="recognised by its content",
            panel=_PANEL,
        ),
    ] = None
    manifest: Annotated[
        str | None,
        Option(
            "Table with path or image_id, and label, object_id, view and others of the pictures of SCORES.",
            kind="place",
            panel=_PANEL,
        ),
    ] = None
