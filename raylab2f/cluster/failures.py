"""What went wrong in a remote process, as the exception it was there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayError

from raylab2f.errors import UserError, first_line

__all__ = ["user_errors_unwrapped"]


@contextmanager
def user_errors_unwrapped() -> Iterator[None]:
    """Turn a Ray error that wraps a `UserError` back into that `UserError`; others pass as they are."""
    try:
        yield
    except RayError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, UserError):
                # Without Ray's own subclass and traceback: the message is all the user needs.
                raise UserError(_first_message(cause)) from error
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise


def _first_message(error: UserError) -> str:
    inner = getattr(error, "cause", None)
    # One sentence; Ray Data appends how often it tried.
    return first_line(inner if isinstance(inner, UserError) else error)
