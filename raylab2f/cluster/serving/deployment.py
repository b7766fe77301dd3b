"""Replicas of models on Ray Serve, which starts them again when they die; its own HTTP servers stay off."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from raylab2f.cluster.private import LOOPBACK
from raylab2f.cluster.serving.judging import Answer, LocalJudge, ViewFile
from raylab2f.cluster.serving.models import ServedModel
from raylab2f.cluster.serving.refusals import RefusalError
from raylab2f.cluster.serving.rules import ServingRules
from raylab2f.cluster.session import cluster_slots
from raylab2f.errors import UserError
from raylab2f.files.mirror import fetch
from raylab2f.models.folder import MODEL_FILES, load_model, model_digest, read_record
from raylab2f.reporting.stopping import hear_signals_again

__all__ = ["Replicas"]

_CARD = "MODEL_CARD.md"
# A replica is asked as often whether it lives; a dead one is replaced after the next question.
_HEALTH_SECONDS = 1.0
_PATIENCE_SECONDS = 30.0
# Requests of a model that are let in, for each replica and beside. Ray Serve is told that a replica takes them all: its
# router asks a full one again only after pauses, which grow, and goes on making them when the replica is idle.
_BATCHES_TAKEN, _LEAST_TAKEN, _MOST_WAITING = 3, 64, 64
_WARM_BATCH = 16
# Whoever asked has long been told that there is no verdict.
_STUCK_TIMEOUTS = 4


class _Replica:
    """A process that holds a model.

    Arguments:
        place: of the model, as this node sees it.
        digest: that its `model.json` must have.
        rules: of the server.
        loopback_only: whether nothing of it may listen beyond this machine.
    """

    def __init__(self, place: str, digest: str, rules: ServingRules, loopback_only: bool) -> None:
        import torch

        if loopback_only:
            _listen_on_loopback()
        torch.set_num_threads(rules.threads)
        if model_digest(place) != digest:
            raise UserError(f"{place} is another model than it was when it was given; serve it again.")
        judge = load_model(place)
        self._patience = _STUCK_TIMEOUTS * rules.timeout
        self._judge = LocalJudge(judge, rules)
        # What is slow the first time is done before anybody waits.
        blank = torch.zeros((*judge.smallest, 3), dtype=torch.uint8).numpy()
        if not judge.needs_foreground:
            judge.look([blank] * min(rules.max_batch, _WARM_BATCH))

    async def judge(self, views: Sequence[ViewFile], map_: str | None) -> Answer | RefusalError:
        # As a value: an exception would come back as one of Ray's, with a trace in the log.
        try:
            return await self._judge.judge(views, map_)
        except RefusalError as error:
            return error

    def check_health(self) -> None:
        """Asked by Ray Serve, which starts another process instead of one that raises."""
        if self._judge.busy_seconds > self._patience:
            raise RuntimeError(f"one batch has taken {self._judge.busy_seconds:.0f} seconds")


def _listen_on_loopback() -> None:
    """A server that every replica starts, for calls among deployments, listens on all addresses unless told otherwise
    here: Ray has no option for it.
    """
    from ray.serve._private import replica

    vars(replica)["add_port_to_grpc_server"] = lambda server, _: server.add_insecure_port(f"{LOOPBACK}:0")


class _RemoteJudge:
    """A model on Ray Serve, as the server's process sees it."""

    def __init__(self, handle: DeploymentHandle, most: int, lost: Callable[[], None]) -> None:
        self._handle, self._most, self._lost = handle, most, lost
        self._let_in = 0

    async def judge(self, views: Sequence[ViewFile], map_: str | None) -> Answer:
        """See `Judging`. What a replica took with it when it died is judged once more, by another one."""
        if self._let_in >= self._most:
            raise RefusalError(503, "Too many requests wait at the moment; try again.")
        self._let_in += 1
        try:
            return await self._judge(views, map_)
        finally:
            self._let_in -= 1

    async def _judge(self, views: Sequence[ViewFile], map_: str | None) -> Answer:
        for again in (True, False):
            try:
                found = await self._handle.judge.remote(views, map_)
            except (RayActorError, DeploymentUnavailableError) as error:
                self._lost()
                if not again:
                    raise RefusalError(503, "The model's process died twice over this; try again.") from error
                continue
            if isinstance(found, RefusalError):
                raise found
            return found
        raise AssertionError


class Replicas:
    """Models on the Ray that this process is connected to.

    Arguments:
        rules: of the server.
        models: so many are served.
        copies: a folder of this machine in which a model is kept as it was when it was given, for replicas that start
            later; `None`: the cluster has other nodes, which read the model at its place.
        lost: called when a replica dies with a request.
    """

    def __init__(self, rules: ServingRules, models: int, copies: Path | None, lost: Callable[[], None]) -> None:
        self._rules, self._copies, self._lost = rules, copies, lost
        self._applications: dict[int, str] = {}
        os.environ.setdefault("RAY_SERVE_LOG_TO_STDERR", "0")
        logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
        serve.start(proxy_location="Disabled")
        hear_signals_again()
        _, gpus = cluster_slots()
        # A model and its successor are there together for a while.
        share = min(1.0, gpus / (2 * models * rules.replicas)) if gpus else 0
        self._resources = {"num_cpus": 0 if copies else 1, "num_gpus": share}

    def start(self, name: str, place: str) -> ServedModel:
        """Start the replicas of a model and wait for them.

        Raises:
            UserError: there is no model, or it cannot be loaded.
        """
        read_record(place)
        digest = model_digest(place)
        application = f"raylab2f-{name}-{digest[:8]}-{secrets.token_hex(3)}"
        kept = place if self._copies is None else str(_copied(place, self._copies / application, digest))
        record = read_record(kept)
        taken = max(_LEAST_TAKEN, _BATCHES_TAKEN * self._rules.max_batch)
        most = _MOST_WAITING + taken * self._rules.replicas
        deployment: Any = serve.deployment(
            _Replica,
            name="judge",
            num_replicas=self._rules.replicas,
            ray_actor_options=self._resources,
            max_ongoing_requests=most,
            health_check_period_s=_HEALTH_SECONDS,
            health_check_timeout_s=_PATIENCE_SECONDS,
            graceful_shutdown_timeout_s=self._rules.timeout,
            max_constructor_retry_count=1,
        )
        bound = deployment.bind(kept, digest, self._rules, self._copies is not None)
        try:
            handle = serve.run(bound, name=application, route_prefix=None)
        except RuntimeError as error:
            cause = _cause(error, application).replace(kept, place)
            serve.delete(application)
            raise UserError(f"{place}: no process could load this model ({cause}).") from error
        finally:
            hear_signals_again()
        card = Path(fetch(kept, [_CARD]) / _CARD)
        served = ServedModel(
            name,
            digest,
            record.to_dict(),
            card.read_text(encoding="utf-8") if card.is_file() else "",
            _RemoteJudge(handle, most, self._lost),
        )
        self._applications[id(served)] = application
        return served

    def stop(self, model: ServedModel) -> None:
        """End the replicas of a model."""
        application = self._applications.pop(id(model))
        serve.delete(application)
        if self._copies is not None:
            shutil.rmtree(self._copies / application, ignore_errors=True)

    def stop_all(self) -> None:
        """End all that was started; where the cluster is this process's own, it ends with that."""
        if self._copies is None:
            for application in self._applications.values():
                serve.delete(application)


def _copied(place: str, folder: Path, digest: str) -> Path:
    folder.mkdir(parents=True)
    source = fetch(place, [*MODEL_FILES])
    for pattern in MODEL_FILES:
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    if model_digest(str(folder)) != digest:
        shutil.rmtree(folder)
        raise UserError(f"{place} was being written; serve it again when that has ended.")
    return folder


def _cause(error: BaseException, application: str) -> str:
    """What a replica said last, without its trace; Ray Serve keeps it apart from the error that it raises."""
    status = serve.status().applications.get(application)
    heard = [] if status is None else [one.message for one in status.deployments.values()]
    lines = [line.strip() for text in (str(error), *heard) for line in text.splitlines() if line.strip()]
    said = [line for line in lines if "Error" in line.split(":")[0]]
    cause = (said or lines or ["no reason given"])[-1]
    return cause.removeprefix(f"{UserError.__module__}.UserError: ").rstrip(".")[:400]
