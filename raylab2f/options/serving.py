"""How finalised models are served over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from raylab2f.errors import UserError
from raylab2f.options.declaration import Option
from raylab2f.options.quantities import bytes_of, seconds_of

if TYPE_CHECKING:
    from raylab2f.cluster.serving.rules import ServingRules

__all__ = ["ServedModelsOption", "Serving"]

_LISTENING, _LIMITS, _WORK = "Listening", "Limits", "Work"

ServedModelsOption = Annotated[
    tuple[str, ...],
    Option("Folders of finalised models, or their URIs; NAME=FOLDER gives a name.", positional=True),
]


@dataclass(frozen=True)
class Serving:
    """Where a server listens, what it allows, and how it works."""

    host: Annotated[str, Option("Address to listen at; any but a local one needs a token.", panel=_LISTENING)] = (
        "127.0.0.1"
    )
    port: Annotated[int, Option("Port to listen at.", minimum=0, maximum=65535, panel=_LISTENING)] = 8700
    token_file: Annotated[
        str | None,
        Option(
            "File with the token that clients must send.", kind="path", usual="RAYLAB2F_SERVE_TOKEN", panel=_LISTENING
        ),
    ] = None
    pixel_limit: Annotated[int, Option("Refuse pictures of more pixels.", minimum=1, panel=_LIMITS)] = 50_000_000
    max_bytes: Annotated[str, Option("Refuse bodies of more bytes.", panel=_LIMITS)] = "32MB"
    timeout: Annotated[
        float, Option("Seconds for a body to arrive, and for a verdict.", minimum=0.1, maximum=3600, panel=_LIMITS)
    ] = 30.0
    unfamiliar: Annotated[
        Literal["review", "ignore"],
        Option("Whether a part unlike anything that was evaluated goes to a person.", panel=_WORK),
    ] = "review"
    replicas: Annotated[int, Option("Processes of each model.", minimum=1, maximum=1000, panel=_WORK)] = 1
    max_batch: Annotated[
        int, Option("Most pictures that pass a model together.", minimum=1, maximum=1024, panel=_WORK)
    ] = 8
    batch_wait: Annotated[str, Option("How long a picture waits for others.", panel=_WORK)] = "5ms"
    threads: Annotated[
        int,
        Option("Of a process; more are faster, and the fifth digit of scores may differ.", minimum=1, panel=_WORK),
    ] = 1
    address: Annotated[
        str | None, Option("Of a Ray cluster that judges, HEAD:6379.", usual="this machine judges", panel=_WORK)
    ] = None

    def rules(self) -> ServingRules:
        """Limits and habits of the server.

        Raises:
            UserError: a size or a time that is none.
        """
        from raylab2f.cluster.serving.rules import ServingRules

        wait = seconds_of(self.batch_wait, "--batch-wait")
        if wait > self.timeout:
            raise UserError(f"--batch-wait {self.batch_wait} is longer than --timeout; give less, such as 5ms.")
        return ServingRules(
            max_batch=self.max_batch,
            batch_wait=wait,
            pixel_limit=self.pixel_limit,
            max_bytes=bytes_of(self.max_bytes, "--max-bytes"),
            timeout=self.timeout,
            unfamiliar=self.unfamiliar,
            replicas=self.replicas,
            threads=self.threads,
        )
