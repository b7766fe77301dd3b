"""Commands as jobs on a cluster that runs already, through Ray's job API: they go on when the terminal closes.

What a job runs is the submitter's own `raylab2f` package, sent along (a megabyte); what that imports must be installed
on the nodes in about the same versions, which `raylab2f cluster doctor` checks. Pictures, cache and results stay on
storage that the nodes share; nothing is copied back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
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
from raylab2f.cluster.asking import ask
from raylab2f.cluster.joining import require_welcome
from raylab2f.cluster.names import as_folder
from raylab2f.cluster.surroundings import core_lines_aside, environment_without
from raylab2f.cluster.token import refusal, use_token
from raylab2f.errors import UserError, first_line
from raylab2f.reporting.stopping import SUBMITTED
from raylab2f.reporting.watchdog import resting

__all__ = ["Job", "Jobs"]

_POLL_SECONDS = 0.3
_ANSWER_SECONDS = 10.0
# Ray's own accounts of what it sends, of connections that close, and of other clusters on this machine.
_TALKATIVE = {
    "ray.dashboard.modules.dashboard_sdk": logging.WARNING,
    "ray.dashboard.modules.job.sdk": logging.WARNING,
    "ray._private.runtime_env.packaging": logging.WARNING,
    "ray._private.services": logging.ERROR,
}
# Ray's client follows them, the first before the second, even where it is given another address.
_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_NOT_FOUND = re.compile(r"(status code|returned) 404\b")


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
            or the cluster that runs on this machine. The attribute `address` is what was found there, if anything.

    Raises:
        UserError: here and in every method, when no cluster answers, or none that accepts the token.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address, self.where = _settled(address)
        use_token()
        self._require_address()
        for logger, level in _TALKATIVE.items():
            logging.getLogger(logger).setLevel(level)
        with self._errors_for_users(), core_lines_aside(), environment_without(_VARIABLES):
            if self.address and self.address.startswith("http"):
                # Ray's client would wait for ever where something listens and does not answer.
                requests.get(self.address, timeout=_ANSWER_SECONDS, allow_redirects=False)
            self.client = JobSubmissionClient(self.address)

    @property
    def address_words(self) -> list[str]:
        """The option that leads to the same cluster from a shell whose environment does not name it."""
        return ["--address", self.address] if self.address else []

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
            name: ASCII letters, digits, points, hyphens, underscores; `None`: one is made up.
            python: the interpreter's name or path on the head node.
            send_package: run this package; else the one installed on the nodes.
        """
        if name is not None and (not name or name != as_folder(name)):
            raise UserError(f"--name {name}: give at most 60 letters, digits, points, hyphens and underscores.")
        name = name or f"{as_folder(title)}-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
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
        # They would become part of another request.
        if not name or set(name) & set("/?#%"):
            raise self._unknown(name)
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
                again = shlex.join(["raylab2f", "jobs", "logs", name, *self.address_words, "--follow"])
                raise UserError(
                    f"{name}: the connection to its output broke off ({first_line(error)}), and the job goes on; see "
                    f"it again with `{again}`."
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

    def _unknown(self, name: str | None) -> UserError:
        return UserError(f"{self.where}: the cluster knows no job {name}; see `raylab2f jobs list`.")

    def _require_address(self) -> None:
        """`UserError` for what cannot be the address of a cluster; a dashboard without http:// in front is told."""
        if self.address is None:
            return
        scheme, divided, _ = self.address.partition("://")
        if divided and scheme not in ("http", "https", "ray"):
            # Ray's client would import a module of that name.
            raise UserError(f"{self.where}: give the dashboard's address, http://HEAD:8265.")
        if divided:
            return
        answer = ask(self.address)
        if answer.kind == "web":
            raise UserError(
                f"{self.where}: a web server listens there; if it is the dashboard, give http://{self.address}."
            )
        require_welcome(answer, self.where)

    @contextmanager
    def _errors_for_users(self, name: str | None = None) -> Iterator[None]:
        where = self.where
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
            if _NOT_FOUND.search(str(error)) and name is None:
                raise UserError(f"{where}: no Ray dashboard is there; give its address, http://HEAD:8265.") from error
            if _NOT_FOUND.search(str(error)):
                raise self._unknown(name) from error
            if "already" in str(error) and "submission_id" in str(error):
                raise UserError("--name: the cluster has a job of this name; choose another.") from error
            raise UserError(f"{where}: the cluster cannot do that ({first_line(error)}).") from error


def _settled(address: str | None) -> tuple[str | None, str]:
    """The address that was given, by option or environment, if any; and how a sentence about it begins."""
    if address is not None:
        return address, f"--address {address}"
    for name in _VARIABLES:
        if given := os.environ.get(name):
            return given, f"{name}={given}"
    return None, "the cluster on this machine"


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
