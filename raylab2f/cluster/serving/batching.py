"""Pictures of different requests pass a model together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

__all__ = ["Batcher"]

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Batcher(Generic[_In, _Out]):
    """Collects items and works on them in a thread of its own, some at a time; used from one event loop.

    Arguments:
        work: from items to their results, in order.
        most: items that are worked on together.
        wait: seconds for which the first of them waits for others.
    """

    def __init__(self, work: Callable[[list[_In]], Sequence[_Out]], most: int, wait: float) -> None:
        self._work, self._most, self._wait = work, most, wait
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge")
        self._queue: asyncio.Queue[tuple[_In, asyncio.Future[tuple[_Out, int]]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._begun: float | None = None

    @property
    def busy_seconds(self) -> float:
        """For how long the batch that is worked on has been; 0 between batches."""
        return 0.0 if self._begun is None else time.monotonic() - self._begun

    async def __call__(self, items: Sequence[_In]) -> tuple[list[_Out], list[int]]:
        """The items' results, and the sizes of those batches whose first item was one of these."""
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())
        waiting: list[asyncio.Future[tuple[_Out, int]]] = [loop.create_future() for _ in items]
        for item, future in zip(items, waiting, strict=True):
            self._queue.put_nowait((item, future))
        found = await asyncio.gather(*waiting)
        return [result for result, _ in found], [size for _, size in found if size]

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            until = loop.time() + self._wait
            while len(batch) < self._most:
                try:
                    batch.append(self._queue.get_nowait())
                    continue
                except asyncio.QueueEmpty:
                    pass
                try:
                    batch.append(await asyncio.wait_for(self._queue.get(), until - loop.time()))
                except (asyncio.TimeoutError, TimeoutError):
                    break
            # Whoever has given up meanwhile costs nothing.
            batch = [(item, future) for item, future in batch if not future.done()]
            if not batch:
                continue
            self._begun = time.monotonic()
            try:
                results = await loop.run_in_executor(self._thread, self._work, [item for item, _ in batch])
            except Exception as error:
                for _, future in batch:
                    with suppress(asyncio.InvalidStateError):
                        future.set_exception(error)
                continue
            finally:
                self._begun = None
            for place, ((_, future), result) in enumerate(zip(batch, results, strict=True)):
                with suppress(asyncio.InvalidStateError):
                    future.set_result((result, 0 if place else len(batch)))
