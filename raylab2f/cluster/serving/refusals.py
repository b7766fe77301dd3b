"""What is answered instead of a verdict: a status and one sentence."""

from __future__ import annotations

__all__ = ["RefusalError"]


class RefusalError(Exception):
    """A request that is not judged.

    Arguments:
        status: of HTTP: 4xx where the client can mend it, 503 and 504 where it may try again.
        sentence: why.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, sentence)
        self.status = status
        self.sentence = sentence
