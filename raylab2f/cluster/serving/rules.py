"""How pictures that arrive over HTTP are judged, and what a client may take of the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ServingRules"]


@dataclass(frozen=True)
class ServingRules:
    """Limits and habits of a server.

    Arguments:
        max_batch: most pictures that pass a model together.
        batch_wait: seconds for which a picture waits for others.
        pixel_limit: a picture of more pixels is not decoded.
        max_bytes: of a request's body.
        timeout: seconds within which a body must have arrived, and within which it must be judged.
        unfamiliar: `review`: an unfamiliar picture is not accepted; `ignore`: it is only told.
        replicas: processes of each model.
        threads: of each process; with one, scores are those of the run to the last digits.
        max_views: most pictures of one object.
        held_bytes: of all bodies together that are being received or judged.
    """

    max_batch: int = 8
    batch_wait: float = 0.005
    pixel_limit: int = 50_000_000
    max_bytes: int = 32 << 20
    timeout: float = 30.0
    unfamiliar: Literal["review", "ignore"] = "review"
    replicas: int = 1
    threads: int = 1
    max_views: int = 64

    @property
    def held_bytes(self) -> int:
        """Room for sixteen of the largest bodies; small ones count as what they are."""
        return 16 * self.max_bytes
