"""`raylab2f show`: what a run came to, once more."""

from __future__ import annotations

from typing import Annotated

from raylab2f.cli.composition import command
from raylab2f.cli.run_outcome import Telling
from raylab2f.options.declaration import Option

__all__ = ["show"]


@command
def show(
    *,
    runs: Annotated[tuple[str, ...], Option("Folders of finished runs, or their URIs.", kind="place", positional=True)],
    telling: Telling,
) -> None:
    """Say again what run-cv said at its end."""
    telling.console()
    telling.show(*runs)
