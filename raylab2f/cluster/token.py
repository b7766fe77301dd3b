"""Ray's authentication token: every cluster that a run starts or joins asks for it.

Ray takes it from RAY_AUTH_TOKEN, else from the file that RAY_AUTH_TOKEN_PATH names, else from `~/.ray/auth_token`. It
passes from there to Ray and to nobody else: no setting, log, report or command line holds it. RAY_AUTH_MODE=disabled,
set by the user, turns authentication off; nothing here does. Who may read the file is the business of `token_file`.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from raylab2f.cluster.token_file import DEFAULT_FOLDER, OWNER_ONLY, TokenFile
from raylab2f.errors import UserError

__all__ = [
    "TOKEN_HINT",
    "authentication_refused_by_user",
    "ensure_token",
    "forget_token",
    "has_token",
    "keep_token",
    "make_token",
    "refusal",
    "token_state",
    "use_token",
]

#: How a user mends a missing or wrong token; end of a sentence.
TOKEN_HINT = (
    "put the cluster's token into ~/.ray/auth_token or RAY_AUTH_TOKEN (on the head, `ray get-auth-token` prints it)"
)

_ELSEWHERE = "set HOME to a folder that can be written, RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file elsewhere"


def authentication_refused_by_user() -> bool:
    """Whether the user's environment turns authentication off."""
    return os.environ.get("RAY_AUTH_MODE", "token").lower() != "token"


def has_token() -> bool:
    """Whether there is a token to show to a cluster; `UserError` where its file is open to others or cannot be read."""
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or TokenFile.of_environment().closed().holds_token()


def ensure_token() -> None:
    """A token for a cluster about to be started on this machine: the one there is, else a new one.

    Raises:
        UserError: there is no token and none can be written, or its file is open to others and stays so.
    """
    if not authentication_refused_by_user():
        keep_token()


def keep_token() -> str:
    """See to it that there is a token which only its owner may read; a sentence that says where it lies.

    Raises:
        UserError: as `ensure_token`.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "the token is that of the environment variable RAY_AUTH_TOKEN; no file is read."
    file = TokenFile.of_environment()
    made = not file.closed().exists()
    try:
        if made:
            make_token(file.path)
    except OSError as error:
        raise UserError(f"{file.path}: no token for Ray can be kept there ({error.strerror}); {_ELSEWHERE}.") from error
    if not file.closed().holds_token():
        raise UserError(f"{file.path} holds no token; delete it, or {_ELSEWHERE}.")
    return f"{file.path} holds {'a new' if made else 'the'} token: {file.access()}."


def use_token() -> bool:
    """Show the token, if there is one, to the cluster about to be contacted; whether one will be shown.

    Ray by itself does so only for clusters that it found without being given an address.

    Raises:
        UserError: the token's file is open to others and stays so, or cannot be read.
    """
    if authentication_refused_by_user() or not has_token():
        return False
    os.environ["RAY_AUTH_MODE"] = "token"
    # Ray reads the mode once, when it is imported, and again on this call; it does the same for its own default.
    from ray._raylet import Config  # type: ignore[attr-defined]  # compiled, without annotations

    Config.initialize("")
    return True


def refusal() -> str:
    """Why a cluster that asks for a token does not let us in, and the mend; without a full stop."""
    if authentication_refused_by_user():
        mode = os.environ["RAY_AUTH_MODE"]
        return f"the cluster asks for a token, and RAY_AUTH_MODE={mode} keeps yours back; unset RAY_AUTH_MODE"
    fault = "refuses the token" if has_token() else "asks for a token, and here is none"
    return f"the cluster {fault}; {TOKEN_HINT}"


def token_state() -> tuple[bool, str]:
    """Whether the token of this process is kept from others, and who may read it; changes nothing."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True, "in RAY_AUTH_TOKEN"
    file = TokenFile.of_environment()
    try:
        if not file.exists():
            return True, f"no {file.path}"
        fault = file.fault()
        return fault is None, fault or f"{file.path}: {file.access()}"
    except UserError as error:
        return False, str(error).rstrip(".")


def forget_token() -> None:
    """Have Ray read the token again when it next needs one."""
    from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]  # compiled, without annotations

    AuthenticationTokenLoader.instance().reset_cache()


def make_token(path: Path) -> None:
    """Write a new token there, for its owner alone; one that is there stays. `OSError` where that cannot be done."""
    path.parent.mkdir(mode=DEFAULT_FOLDER, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            # Of two that start at once one must win, or their clusters would lock each other out.
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
