"""Serve finalised models over HTTP until told to stop; a model whose folder changes is exchanged meanwhile."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from raylab2f.cluster.serving.rules import ServingRules
from raylab2f.cluster.token_file import TokenFile
from raylab2f.errors import UserError
from raylab2f.files.places import is_uri, name_of, place_of
from raylab2f.reporting.stopping import say_how_to_go_on
from raylab2f.reporting.watchdog import resting

if TYPE_CHECKING:
    from raylab2f.cluster.serving.deployment import Replicas
    from raylab2f.cluster.serving.models import ModelTable

__all__ = ["TOKEN_VARIABLE", "named_models", "serve_models", "token_for"]

#: Environment variable that may hold the token.
TOKEN_VARIABLE = "RAYLAB2F_SERVE_TOKEN"

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
_SHORTEST_TOKEN, _LONGEST_TOKEN = 16, 4096
# How often folders are looked at; a store is asked less often, for it counts its answers.
_LOOK_SECONDS, _ASK_SECONDS = 2.0, 15.0
# What is still not whole then may not be a model that is being copied.
_COPYING_SECONDS = 60.0


def serve_models(
    models: Sequence[str],
    rules: ServingRules,
    *,
    host: str,
    port: int,
    token_file: str | None = None,
    address: str | None = None,
    say: Callable[[str], None],
) -> None:
    """Serve models until a signal or an error ends it.

    Arguments:
        models: places, or `NAME=PLACE`.
        host, port: where to listen; port 0 takes a free one.
        token_file: of the token; `None`: the environment variable's, else none.
        address: of a Ray cluster whose nodes reach the models' places; `None`: a private one on this machine.
        say: called with what happens, a line each.

    Raises:
        UserError: no such model, two of one name, no token where one is needed, a port that is taken.
    """
    require_serving()
    places = named_models(models)
    token = token_for(host, token_file)
    from raylab2f.cluster.serving.app import make_app
    from raylab2f.cluster.serving.metrics import ServerMetrics
    from raylab2f.cluster.serving.models import ModelTable
    from raylab2f.cluster.serving.server import bound_socket, serving
    from raylab2f.models.folder import read_record

    for place in places.values():
        read_record(place)
    say_how_to_go_on(lambda: "the same command serves again")
    with ExitStack() as stack:
        listening = stack.enter_context(bound_socket(host, port))
        metrics = ServerMetrics()
        replicas = stack.enter_context(_replicas(rules, len(places), address, metrics.lost))
        table = ModelTable([replicas.start(name, place) for name, place in places.items()])
        app = make_app(table, rules, token=token, metrics=metrics)
        thread = stack.enter_context(serving(app, listening, rules.timeout))
        shown = f"[{host}]" if ":" in host else host
        # Nobody may ask for hours.
        stack.enter_context(resting())
        say(f"serving {', '.join(places)} at http://{shown}:{listening.getsockname()[1]}")
        for name, place, whole in _changes(table, places, thread.is_alive):
            if not whole:
                say(f"{name} stays as it is: {place} holds no whole model; copy it again")
                continue
            said, replaced = _exchange(table, replicas, name, place, rules.timeout)
            say(said)
            if replaced:
                metrics.replaced()
    raise UserError("The HTTP server ended by itself; start it again.")


def require_serving() -> None:
    """`UserError` where the packages that serve are not installed."""
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise UserError("What serves over HTTP is not installed; pip install raylab2f[serve].")


def named_models(models: Sequence[str]) -> dict[str, str]:
    """Places by the names under which they are served: what stands before `=`, else the folder's own.

    Raises:
        UserError: none was given, a name that cannot be one, or two of one name.
    """
    from raylab2f.cluster.serving.models import MODEL_NAME

    found: dict[str, str] = {}
    for given in models:
        before, sign, after = given.partition("=")
        named = bool(sign and after and MODEL_NAME.fullmatch(before))
        place = place_of(after if named else given)
        name = before if named else name_of(place if is_uri(place) else str(Path(place).absolute()))
        if not MODEL_NAME.fullmatch(name):
            raise UserError(
                f"MODEL {given}: {name!r} is no name for a model; give NAME={given}, of letters and digits."
            )
        if name in found:
            raise UserError(f"MODELS {given}: {name} is given twice; give another name, NAME={place}.")
        found[name] = place
    if not found:
        raise UserError("MODELS is missing; name the folder of a finalised model.")
    return found


def token_for(host: str, token_file: str | None) -> str | None:
    """The token that clients must send; `None`: none is needed.

    Raises:
        UserError: the token cannot be read or is too short, or there is none and the host is not local.
    """
    if token_file is not None:
        file = TokenFile(Path(token_file), True)
        if not file.exists():
            raise UserError(f"--token-file {token_file}: there is no such file; write a token into it.")
        file.closed()
        try:
            with file.path.open("rb") as opened:
                token = opened.read(_LONGEST_TOKEN).decode("ascii", "replace").strip()
        except OSError as error:
            raise UserError(f"--token-file {token_file}: cannot be read ({error.strerror}); mend that.") from error
        where = f"--token-file {token_file}"
    elif token := os.environ.get(TOKEN_VARIABLE, "").strip():
        where = TOKEN_VARIABLE
    elif not _is_local(host):
        raise UserError(
            f"--host {host}: others reach that address, and there is no token; give --token-file or {TOKEN_VARIABLE}, "
            "or listen at 127.0.0.1."
        )
    else:
        return None
    if len(token) < _SHORTEST_TOKEN or not all(33 <= ord(letter) < 127 for letter in token):
        raise UserError(
            f"{where}: a token is {_SHORTEST_TOKEN} or more letters and digits without spaces; write one, such as that "
            "of openssl rand -hex 32."
        )
    return token


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _replicas(rules: ServingRules, models: int, address: str | None, lost: Callable[[], None]) -> Iterator[Replicas]:
    from raylab2f.cluster.serving.deployment import Replicas
    from raylab2f.cluster.session import ray_session

    with ExitStack() as stack:
        stack.enter_context(ray_session(address))
        copies = None
        if not (address or os.environ.get("RAY_ADDRESS")):
            copies = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="raylab2f-models-")))
        replicas = Replicas(rules, models, copies, lost)
        try:
            yield replicas
        finally:
            replicas.stop_all()


def _changes(table: ModelTable, places: dict[str, str], alive: Callable[[], bool]) -> Iterable[tuple[str, str, bool]]:
    """(name, place, True) of each model that is another one at its place than the one that serves or was tried last;
    with False, once, of a place where none has been whole for a minute.
    """
    from raylab2f.models.folder import is_whole, model_digest

    tried = {model.name: model.digest for model in table.all()}
    broken: dict[str, float] = {}
    asked = 0.0
    while alive():
        time.sleep(_LOOK_SECONDS)
        now = time.monotonic()
        stores = now - asked > _ASK_SECONDS
        asked = now if stores else asked
        for name, place in places.items():
            if is_uri(place) and not stores:
                continue
            try:
                digest = model_digest(place)
                whole = digest == tried[name] or is_whole(place)
            except (OSError, UserError):
                # Between two models there may be none.
                digest, whole = "", False
            if whole:
                broken.pop(name, None)
            elif now - broken.setdefault(name, now) > _COPYING_SECONDS:
                broken[name] = float("inf")
                yield name, place, False
            if whole and digest != tried[name]:
                tried[name] = digest
                yield name, place, True


def _exchange(table: ModelTable, replicas: Replicas, name: str, place: str, patience: float) -> tuple[str, bool]:
    """Start the new model beside the old one, let it answer, and end the old one when its requests are answered.

    Returns:
        What happened, and whether the new one serves.
    """
    try:
        model = replicas.start(name, place)
    except (UserError, OSError) as error:
        return f"{name} stays as it is: {error}", False
    before = table.replace(model)
    until = time.monotonic() + 2 * patience
    while before.in_flight and time.monotonic() < until:
        time.sleep(0.1)
    replicas.stop(before)
    return f"{name} was replaced: {model.digest[:12]} judges from now on", True
