"""What only looks on must not end a run: when it fails, it is left out from there on, and that is said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from raylab2f.errors import first_line

__all__ = ["Harmless"]

_T = TypeVar("_T")


class Harmless:
    """Calls what records a run somewhere; after its first failure, no more.

    Arguments:
        what: is recorded, such as `TensorBoard's files`.
        warn: called with a sentence at the first failure.
    """

    def __init__(self, what: str, warn: Callable[[str], None]) -> None:
        self.what = what
        self.warn = warn
        self.failed = False

    def __call__(self, action: Callable[..., _T], *arguments: Any, **named: Any) -> _T | None:
        """What `action` returns; `None` if it fails, or something before it did."""
        if self.failed:
            return None
        try:
            return action(*arguments, **named)
        except Exception as error:
            self.failed = True
            self.warn(
                f"{self.what} cannot be written ({type(error).__name__}: {first_line(error)}); what comes after is "
                "missing there, and the run goes on."
            )
            return None

    def guard(self, listener: Callable[..., object] | None) -> Callable[..., None]:
        """A listener like this one that cannot fail; one that does nothing for `None`."""

        def guarded(*arguments: Any) -> None:
            if listener is not None:
                self(listener, *arguments)

        return guarded
