"""What the user can mend."""

import errno

__all__ = ["DISK_FULL", "UserError"]

#: `errno` of an `OSError` that means: there is no room, or no more for this user, or for a file of this size.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class UserError(Exception):
    """A mistake in what the user gave us.

    The message is one sentence that names the file or option at fault and how to mend it. The command line
    prints it without a traceback and exits with code 2.
    """
