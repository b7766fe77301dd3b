"""Amounts of memory for one process of a fold; nothing heavy is loaded here."""

from __future__ import annotations

from raylab2f.errors import UserError

__all__ = ["LEAST_BUDGET", "PROCESS_BYTES", "RESIDENT_BYTES", "require_budget", "size_text"]

#: What Python, torch and Ray take for themselves before a picture is read; measured.
PROCESS_BYTES = 400 << 20
#: The same with the pages of their libraries, which other processes share: resident memory, which a budget is held to.
RESIDENT_BYTES = 720 << 20
#: With less, no fold could be trained.
LEAST_BUDGET = 768 << 20
_MOST = 1 << 60


def require_budget(budget: int) -> int:
    """A budget in bytes that could be one.

    Raises:
        UserError: it is less than a process takes before it reads a picture, or more than there is anywhere.
    """
    if budget < LEAST_BUDGET:
        raise UserError(
            f"--memory-budget {size_text(budget)}: a fold's process takes {size_text(RESIDENT_BYTES)} before it reads "
            f"a picture; give at least {size_text(LEAST_BUDGET)}."
        )
    if budget > _MOST:
        raise UserError(f"--memory-budget {budget}: no machine has so much; give at most {size_text(_MOST)}.")
    return budget


def size_text(count: int) -> str:
    """Bytes as `--memory-budget` reads them: in the largest unit up to GiB of which they are a whole number."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return f"{count}B"
