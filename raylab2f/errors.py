"""The one exception that means: the user can mend this."""

__all__ = ["UserError"]


class UserError(Exception):
    """A mistake in what the user gave us.

    The message is one sentence that names the file or option at fault and how to mend it. The command line
    prints it without a traceback and exits with code 2.
    """
