"""Where a run's prepared pictures and features lie, as its folder says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from raylab2f.errors import UserError
from raylab2f.files.mirror import fetch_file
from raylab2f.files.places import is_uri, join, place_of
from raylab2f.files.strangers import read_json

__all__ = ["recorded_cache"]

_RECORD = "run.json"


def recorded_cache(run: str) -> str | None:
    """The cache that a run was made with, where this user can and may go on with it.

    A record says where to write as well as where to read, so that another user's is not followed: `None` unless the
    record is this user's, and the cache is a folder that is there; on a store, unless both lie in one bucket.
    """
    try:
        path = fetch_file(join(run, _RECORD))
        cache: Any = read_json(path).get("cache")
        if not isinstance(cache, str) or place_of(cache) != cache:
            return None
    except (OSError, ValueError, AttributeError, UserError):
        return None
    if is_uri(cache):
        return cache if is_uri(run) and _bucket(cache) == _bucket(run) else None
    own = not is_uri(run) and path.stat().st_uid == os.getuid()
    there = Path(cache).is_absolute() and Path(cache).is_dir() and os.access(cache, os.R_OK | os.X_OK)
    return cache if own and there else None


def _bucket(uri: str) -> tuple[str, str]:
    return urlsplit(uri)[:2]
