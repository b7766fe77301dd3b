"""A bound on the memory that threads take together, whatever their number."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Hold", "MemoryBudget"]


class MemoryBudget:
    """Bytes that threads share; who comes first is served first, so that a large demand does not wait for ever.

    Arguments:
        total: bytes that may be held at once. A larger demand is served as well, when nobody else holds any.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """What one thread holds, at first nothing; given back at the end of the block."""
        held = Hold(self)
        try:
            yield held
        finally:
            held.lower(0)

    def _take(self, count: int) -> None:
        with self._changed:
            if self._waiting or self._free < count:
                ticket = object()
                self._waiting.append(ticket)
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._free >= count)
                self._waiting.popleft()
                # The next in the queue may fit in as well.
                self._changed.notify_all()
            self._free -= count

    def _give(self, count: int) -> None:
        with self._changed:
            self._free += count
            if self._waiting:
                self._changed.notify_all()


class Hold:
    """A thread's share of a `MemoryBudget`. It is taken once and then only lowered: two threads that both hold some
    and want more would wait for each other."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._count = 0

    def take(self, count: int) -> None:
        """Wait for this many bytes; where some are held already, only what is too much of them is given back."""
        if self._count:
            self.lower(count)
            return
        count = min(count, self._budget.total)
        self._budget._take(count)
        self._count = count

    def take_all(self) -> None:
        """Wait until nobody else holds any."""
        self.take(self._budget.total)

    def lower(self, count: int) -> None:
        """Give back all but this many bytes."""
        if count < self._count:
            surplus, self._count = self._count - count, count
            self._budget._give(surplus)
