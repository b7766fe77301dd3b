"""Commands as jobs on a cluster that runs already, through Ray's job API: they go on when the terminal closes.

What a job runs is the submitter's own `raylab2f` package, sent along (a megabyte); what that imports must be installed
on the nodes in about the same versions, which `raylab2f cluster doctor` checks. Pictures, cache and results stay on
storage that the nodes share; nothing is copied back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from ray.exceptions import AuthenticationError, RayError
from ray.job_submission import JobStatus, JobSubmissionClient
from requests import RequestException

import raylab2f
from raylab2f.cluster.joining import require_cluster
from raylab2f.cluster.surroundings import core_lines_aside
from raylab2f.cluster.token import refusal, use_token
from raylab2f.errors import UserError, first_line
from raylab2f.reporting.stopping import SUBMITTED
from raylab2f.reporting.watchdog import resting

__all__ = ["Job", "Jobs"]

_POLL_SECONDS = 0.3
_ANSWER_SECONDS = 10.0
# Ray's own accounts of what it sends and of connections that close.
_TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")


@dataclass(frozen=True)
class Job:
    """What a cluster says of one job.

    Arguments:
        name: by which it was submitted, unique on its cluster.
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        message: Ray's sentence about the status.
        command: what it runs.
        started, ended: seconds since 1970, or `None`.
        exit_code: of the command, or `None` when it has not ended by itself.
    """

    name: str
    status: str
    message: str
    command: str
    started: float | None
    ended: float | None
    exit_code: int | None

    @property
    def is_over(self) -> bool:
        return JobStatus(self.status).is_terminal()


class Jobs:
    """The jobs of one cluster.

    Arguments:
        address: of the dashboard (`http://HEAD:8265`) or of the cluster; `None`: RAY_API_SERVER_ADDRESS, RAY_ADDRESS,
            or the cluster that runs on this machine.

    Raises:
        UserError: here and in every method, when no cluster answers, or none that accepts the token.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        use_token()
        if address and "://" not in address:
            _require_cluster(address)
        for logger in _TALKATIVE:
            logging.getLogger(logger).setLevel(logging.WARNING)
        with self._errors_for_users(), core_lines_aside():
            if address and address.startswith("http"):
                # Ray's client would wait for ever where something listens and does not answer.
                requests.get(address, timeout=_ANSWER_SECONDS, allow_redirects=False)
            self.client = JobSubmissionClient(address)

    def submit(
        self,
        arguments: Sequence[str],
        *,
        title: str,
        name: str | None = None,
        python: str = "python",
        send_package: bool = True,
    ) -> str:
        """Start `raylab2f ARGUMENTS` on the cluster; returns the job's name at once.

        Arguments:
            arguments: words of the command line after `raylab2f`.
            title: what a made-up name begins with.
            name: `None`: one is made up.
            python: the interpreter's name or path on the head node.
            send_package: run this package; else the one installed on the nodes.
        """
        name = name or f"{title}-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
        environment: dict[str, object] = {"env_vars": {"PYTHONUNBUFFERED": "1", SUBMITTED: name}}
        if send_package:
            environment |= {"py_modules": [str(Path(raylab2f.__file__).parent)], "excludes": ["__pycache__"]}
        with self._errors_for_users():
            return self.client.submit_job(
                entrypoint=shlex.join([python, "-m", "raylab2f.cli", *arguments]),
                submission_id=name,
                runtime_env=environment,
            )

    def status(self, name: str) -> Job:
        """What there is to say of one job; `UserError` when there is none of this name."""
        with self._errors_for_users(name):
            return _job(name, self.client.get_job_info(name))

    def all(self) -> list[Job]:
        """Every submitted job, newest first."""
        with self._errors_for_users():
            found = [_job(d.submission_id, d) for d in self.client.list_jobs() if d.submission_id]
        return sorted(found, key=lambda job: job.started or 0, reverse=True)

    def logs(self, name: str) -> str:
        """All that the job has printed so far."""
        self.status(name)
        with self._errors_for_users():
            return self.client.get_job_logs(name)

    def follow(self, name: str, write: Callable[[str], object]) -> Job:
        """Pass on what the job prints, from its first line, until it ends; interrupting this leaves it running."""

        async def tail() -> None:
            async for text in self.client.tail_job_logs(name):
                write(text)

        from aiohttp import ClientError

        self.status(name)
        with self._errors_for_users():
            try:
                with resting():
                    asyncio.run(tail())
            except (ClientError, OSError, RuntimeError) as error:
                raise UserError(
                    f"{name}: the connection to its output broke off ({first_line(error)}), and the job goes on; see "
                    f"it again with `raylab2f jobs logs {name} --follow`."
                ) from error
        while not (job := self.status(name)).is_over:
            time.sleep(_POLL_SECONDS)
        return job

    def stop(self, name: str) -> Job:
        """End the job and wait for it; what it had finished is kept."""
        self.status(name)
        with self._errors_for_users():
            self.client.stop_job(name)
        while not (job := self.status(name)).is_over:
            time.sleep(_POLL_SECONDS)
        return job

    @contextmanager
    def _errors_for_users(self, name: str = "of this name") -> Iterator[None]:
        where = f"--address {self.address}" if self.address else _usual_address()
        try:
            yield
        except AuthenticationError as error:
            raise UserError(f"{where}: {refusal()}.") from error
        except (OSError, RequestException, RayError, ValueError) as error:
            if "multiple active Ray instances" in str(error):
                raise UserError(
                    "Several Ray clusters run on this machine; say which is meant: --address http://HEAD:8265, or the "
                    "environment variable RAY_API_SERVER_ADDRESS."
                ) from error
            if "BadStatusLine" in str(error):
                raise UserError(
                    f"{where}: what listens there is no web server; give the dashboard's address, http://HEAD:8265."
                ) from error
            raise UserError(f"{where}: no Ray dashboard answers there ({_reason(error)}).") from error
        except RuntimeError as error:
            if "ray[default]" in str(error):
                raise UserError("Ray's job client is not installed; install raylab2f[cluster].") from error
            if "404" in str(error) or "does not exist" in str(error):
                raise UserError(f"{where}: the cluster knows no job {name}; see `raylab2f jobs list`.") from error
            if "already" in str(error) and "submission_id" in str(error):
                raise UserError("--name: the cluster has a job of this name; choose another.") from error
            raise UserError(f"{where}: the cluster cannot do that ({first_line(error)}).") from error


def _require_cluster(address: str) -> None:
    """`UserError` unless a cluster is at HOST:PORT; a dashboard, which is there without http:// in front, is told."""
    try:
        require_cluster(address)
    except UserError as error:
        if "web server" not in str(error):
            raise
        raise UserError(
            f"--address {address}: a web server listens there; if it is the dashboard, give http://{address}."
        ) from error


def _usual_address() -> str:
    """Where Ray's client goes if no address is given, as a sentence begins."""
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        if os.environ.get(name):
            return f"{name}={os.environ[name]}"
    return "the cluster on this machine"


def _first_part(message: str) -> str:
    """Ray's sentence about a job, without the log that it appends to it."""
    return message.partition(", last available logs")[0].partition("\n")[0].rstrip(".")


def _reason(error: Exception) -> str:
    """Of a call that failed; `requests` tells it with its own classes and addresses around it."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {_ANSWER_SECONDS:g} s"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return first_line(error)


def _job(name: str, details: object) -> Job:
    def seconds(field: str) -> float | None:
        value = getattr(details, field, None)
        return value / 1000 if value else None

    return Job(
        name=name,
        status=str(getattr(getattr(details, "status", ""), "value", "")),
        message=_first_part(str(getattr(details, "message", "") or "")),
        command=str(getattr(details, "entrypoint", "")),
        started=seconds("start_time"),
        ended=seconds("end_time"),
        exit_code=getattr(details, "driver_exit_code", None),
    )
