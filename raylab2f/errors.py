"""The one exception that means: the user can mend this; and how others are quoted in it."""

__all__ = ["UserError", "first_line"]


class UserError(Exception):
    """A mistake in what the user gave us.

    The message is one sentence that names the file or option at fault and how to mend it. The command line
    prints it without a traceback and exits with code 2.
    """


def first_line(error: BaseException) -> str:
    """What an error says, for a sentence that quotes it: its first line, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip()
