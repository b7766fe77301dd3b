"""Keeps copies of OpenBLAS that hang after a fork to one thread.

A fork shuts the threads of OpenBLAS down, and in 0.3.30, which scipy 1.16 and 1.17 bring along, a parallel LU
factorisation that follows waits for them for ever, holding the interpreter's lock (OpenBLAS issue 5520, mended by pull
request 5556 in 0.3.31). Starting Ray forks; scikit-learn's `randomized_svd` factorises.

So every process of ours, driver and worker, gives such copies one thread: those that are loaded when a house that
computes is imported, scipy's among them, and before every fork those that were loaded since. One thread never waits for
another, whatever is called and by whom: other people's detectors and diagnoses are covered as well. The results are the
same. What it costs is little: matrix products of numpy and torch run in copies of their own, which keep their threads,
and the factorisations here are of matrices with a few columns. QR or eigenvalues instead of LU would have mended only
the calls that are known today.

Older copies count as in doubt too; one without the fault keeps its threads, so nothing is to be done here when scipy
brings a newer one.
"""

from __future__ import annotations

import os
import re
from typing import Any

import scipy.linalg  # noqa: F401  # loads scipy's copy
from threadpoolctl import ThreadpoolController

__all__ = ["copies_in_doubt", "keep_to_one_thread"]

_MENDED = (0, 3, 31)


def copies_in_doubt(copies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of `threadpoolctl.threadpool_info` that may hang after a fork if they have several threads."""
    return [
        copy
        for copy in copies
        if copy["internal_api"] == "openblas"
        and copy.get("threading_layer") != "openmp"
        and _version(copy["version"]) < _MENDED
    ]


def keep_to_one_thread() -> None:
    """Give every loaded copy of OpenBLAS that may hang after a fork one thread, for good."""
    controller = ThreadpoolController()
    for copy in copies_in_doubt(controller.info()):
        if copy["num_threads"] != 1:
            controller.select(filepath=copy["filepath"]).limit(limits=1)


def _version(text: str | None) -> tuple[int, ...]:
    """An unknown version is older than all."""
    return tuple(int(part) for part in re.findall(r"\d+", text or "")[:3])


keep_to_one_thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=keep_to_one_thread)
