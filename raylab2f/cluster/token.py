"""Ray's authentication token: every cluster that a run starts or joins asks for it.

Ray takes it from RAY_AUTH_TOKEN, else from the file that RAY_AUTH_TOKEN_PATH names, else from `~/.ray/auth_token`. It
passes from there to Ray and to nobody else: no setting, log, report or command line holds it. RAY_AUTH_MODE=disabled,
set by the user, turns authentication off; nothing here does.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from raylab2f.errors import UserError

__all__ = ["TOKEN_HINT", "authentication_refused_by_user", "ensure_token", "has_token", "use_token"]

#: How a user mends a missing or wrong token; end of a sentence.
TOKEN_HINT = "put the cluster's token into ~/.ray/auth_token or RAY_AUTH_TOKEN (`ray get-auth-token` prints it there)"

_ELSEWHERE = "set HOME to a folder that can be written, RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file elsewhere"
_OWNER = stat.S_IRUSR | stat.S_IWUSR
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def authentication_refused_by_user() -> bool:
    """Whether the user's environment turns authentication off."""
    return os.environ.get("RAY_AUTH_MODE", "token").lower() != "token"


def has_token() -> bool:
    """Whether there is a token to show to a cluster."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    try:
        return bool(_token_file().read_text(encoding="utf-8").strip())
    except OSError:
        return False


def ensure_token() -> None:
    """A token for a cluster about to be started on this machine: the one there is, else a new one.

    The default file is readable by its owner only, also one that `ray get-auth-token` left readable by all. Who may
    read a file that RAY_AUTH_TOKEN_PATH names is the user's matter.

    Raises:
        UserError: there is no token and none can be written.
    """
    if authentication_refused_by_user() or os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = _token_file()
    try:
        if not has_token():
            _make_token(path)
        elif path == _default_file() and path.stat().st_uid == os.getuid() and path.stat().st_mode & _OTHERS:
            path.chmod(_OWNER)
    except OSError as error:
        raise UserError(f"{path}: a token for Ray cannot be kept there ({error.strerror}); {_ELSEWHERE}.") from error
    if not has_token():
        raise UserError(f"{path} holds no token, or cannot be read; delete it, or {_ELSEWHERE}.")


def use_token() -> bool:
    """Show the token, if there is one, to the cluster about to be contacted; whether one will be shown.

    Ray by itself does so only for clusters that it found without being given an address.
    """
    if authentication_refused_by_user() or not has_token():
        return False
    os.environ["RAY_AUTH_MODE"] = "token"
    # Ray reads the mode once, when it is imported, and again on this call; it does the same for its own default.
    from ray._raylet import Config  # type: ignore[attr-defined]  # compiled, without annotations

    Config.initialize("")
    return True


def _make_token(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            # Of two that start at once one must win, or their clusters would lock each other out.
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _token_file() -> Path:
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(named) if named else _default_file()


def _default_file() -> Path:
    return Path.home() / ".ray" / "auth_token"
