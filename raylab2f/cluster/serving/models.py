"""The models of a server by name; one takes another's place between two requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from raylab2f.cluster.serving.judging import Judging
from raylab2f.cluster.serving.refusals import RefusalError

__all__ = ["MODEL_NAME", "ModelTable", "ServedModel"]

#: What a served model may be called.
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass
class ServedModel:
    """A model that answers.

    Arguments:
        name: by which clients ask for it.
        digest: sha256 of its `model.json`, which names the digests of all else.
        record: the content of `model.json`.
        card: of `MODEL_CARD.md`.
        judging: what judges.
        in_flight: requests that it has not answered.
    """

    name: str
    digest: str
    record: dict[str, Any]
    card: str
    judging: Judging
    in_flight: int = 0


class ModelTable:
    """What is served under each name, the first one where a request names none.

    Arguments:
        models: at least one.
    """

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._models = {model.name: model for model in models}

    def find(self, name: str | None) -> ServedModel:
        """The model of a name; `RefusalError` 404 where there is none."""
        if not name:
            return next(iter(self._models.values()))
        if name not in self._models:
            known = ", ".join(self._models)
            shown = name if MODEL_NAME.fullmatch(name) else "such a name"
            raise RefusalError(404, f"No model is called {shown}; choose one of {known}.")
        return self._models[name]

    def all(self) -> list[ServedModel]:
        """In the order in which they were given."""
        return list(self._models.values())

    @contextmanager
    def using(self, name: str | None) -> Iterator[ServedModel]:
        """The model of a name, which is not taken away before the block ends."""
        model = self.find(name)
        model.in_flight += 1
        try:
            yield model
        finally:
            model.in_flight -= 1

    def replace(self, model: ServedModel) -> ServedModel:
        """Serve this one under its name from now on; returns the one before, which may still have requests."""
        before = self._models[model.name]
        self._models[model.name] = model
        return before
