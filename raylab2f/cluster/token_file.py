"""The file that holds Ray's token: whose it is, and who else may read it.

Whoever reads it may run code on every cluster that asks for it. `ray get-auth-token --generate` leaves it readable by
all, and copies often are. So before it is used:

- a file of ours is closed: to all others; one that RAY_AUTH_TOKEN_PATH names may stay readable by its group;
- a file of root's is used as it is, for that is how a container is given its secrets, unless others may write it;
- a file of anybody else's is refused if others may read it, or if its group or others may write it.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from raylab2f.errors import UserError

__all__ = ["DEFAULT_FOLDER", "OWNER_ONLY", "TokenFile"]

#: Modes of the file and of its folder, where they are made.
OWNER_ONLY, DEFAULT_FOLDER = 0o600, 0o700

_GROUP_READS = 0o040
_OTHERS_READ = 0o004
_NOT_OWNER = 0o077
_NOT_OWNER_WRITES = 0o022
_LONGEST = 4096


@dataclass(frozen=True)
class TokenFile:
    """A token's file, which need not exist.

    Arguments:
        path: where it is.
        named: whether the user named it, by RAY_AUTH_TOKEN_PATH.
    """

    path: Path
    named: bool

    @classmethod
    def of_environment(cls) -> TokenFile:
        """The file that Ray reads."""
        named = os.environ.get("RAY_AUTH_TOKEN_PATH")
        return cls(Path(named), True) if named else cls(Path.home() / ".ray" / "auth_token", False)

    def exists(self) -> bool:
        """Whether it is there; `UserError` where that cannot be known, or where it is no file."""
        return self._status() is not None

    def closed(self) -> TokenFile:
        """This file, closed to whom it is not for where it is ours; that it was open is said on standard error.

        Raises:
            UserError: it is open to others and stays so.
        """
        status = self._status()
        if status is None:
            return self
        open_to = status.st_mode & self._forbidden(status)
        if open_to and status.st_uid == os.geteuid():
            try:
                self.path.chmod(stat.S_IMODE(status.st_mode) & ~open_to)
            except OSError as error:
                raise UserError(
                    f"{self._opened(status)}, which cannot be changed ({error.strerror}); {_MEND}."
                ) from error
            print(
                f"{self._opened(status)}; they may not any longer; if one may have, make a new token.", file=sys.stderr
            )
        if fault := self.fault():
            raise UserError(f"{fault}.")
        self._close_folder()
        return self

    def fault(self) -> str | None:
        """Why it must not be used, and the mend; without a full stop. `None`: it may be used."""
        status = self._status()
        if status is None or not status.st_mode & self._forbidden(status):
            return None
        return f"{self._opened(status)}; {_MEND}"

    def access(self) -> str:
        """Whose it is and who may read it."""
        status = self._status()
        return _access(status) if status else "it is gone"

    def holds_token(self) -> bool:
        """Whether there is a token in it; `UserError` where it cannot be read."""
        if self._status() is None:
            return False
        try:
            with self.path.open("rb") as file:
                content = file.read(_LONGEST + 1).strip()
        except OSError as error:
            raise UserError(f"{self.path}: the token cannot be read ({error.strerror}); {_MEND}.") from error
        return 0 < len(content) <= _LONGEST and all(33 <= byte < 127 for byte in content)

    def _status(self) -> os.stat_result | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"{self.path}: the token cannot be read ({error.strerror}); {_MEND}.") from error
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{self.path} is no file, and holds no token; move it away, or {_MEND}.")
        return status

    def _forbidden(self, status: os.stat_result) -> int:
        """The permissions that it must not have."""
        if status.st_uid == os.geteuid():
            return _NOT_OWNER & ~_GROUP_READS if self.named else _NOT_OWNER
        return _NOT_OWNER_WRITES if status.st_uid == 0 else _NOT_OWNER_WRITES | _OTHERS_READ

    def _opened(self, status: os.stat_result) -> str:
        do = "write" if status.st_mode & self._forbidden(status) & _NOT_OWNER_WRITES else "read"
        return f"{self.path}: others than its owner may {do} the token ({_access(status)})"

    def _close_folder(self) -> None:
        """The default folder, where ours, so that nobody puts another file in the place of this one."""
        folder = self.path.parent
        if self.named:
            return
        status = folder.stat()
        if status.st_uid == os.geteuid() and status.st_mode & _NOT_OWNER:
            folder.chmod(DEFAULT_FOLDER)


_MEND = "chmod 600 it, or name a file of yours by RAY_AUTH_TOKEN_PATH"


def _access(status: os.stat_result) -> str:
    whose = "yours" if status.st_uid == os.geteuid() else f"{_name(status.st_uid)}'s"
    return f"mode {stat.S_IMODE(status.st_mode):04o}, {whose}"


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
