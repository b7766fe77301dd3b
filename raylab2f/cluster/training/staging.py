"""Where Tune keeps what it needs between the driver and its trials, if these are another account's processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from raylab2f.files.permissions import open_to_all

__all__ = ["staged_for_the_heads_account"]


@contextmanager
def staged_for_the_heads_account() -> Iterator[None]:
    """Let trials write into the folders that Tune makes in the block, although their account is not this one.

    The driver makes them in Ray's session folder, with this user's umask, and trials, which run as the account of the
    head, make theirs inside. Whoever shares a head by its sockets has that folder's parent closed to all others.
    """
    node = ray._private.worker._global_node
    if node is None or os.stat(node.get_session_dir_path()).st_uid == os.getuid():  # noqa: PTH116  # a text
        yield
        return
    with open_to_all():
        yield
