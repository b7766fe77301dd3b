"""Which files mark a folder of ours as finished, and what they say of the files beside them."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["rank_of", "recorded_digests"]

# In the order in which they appear.
_MARKS = ("manifest.parquet", "shards.json", "store.json", "fold.json", "run.json")


def rank_of(name: str) -> int:
    """In which order files are transferred: 0 tables and arrays, 1 what describes them, from 2 on marks."""
    base = name.rpartition("/")[2]
    return 2 + _MARKS.index(base) if base in _MARKS else int(base.endswith(".json"))


def recorded_digests(mark: str, content: bytes) -> dict[str, str]:
    """sha256 by name of the files that lie beside a mark, as it says."""
    head, _, kind = mark.rpartition("/")
    try:
        told: dict[str, Any] = json.loads(content)
        if kind == "shards.json":
            found = {f"part-{number:05d}.parquet": digest for number, digest in enumerate(told["sha256"])}
        elif kind == "store.json":
            parts = enumerate(told["parts"])
            found = {f"part-{n:05d}.{k}.npy": f["sha256"] for n, part in parts for k, f in part["files"].items()}
            found["index.parquet"] = told["index"]["sha256"]
        else:
            found = dict(told["files"]) if kind == "fold.json" else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        # Whoever reads the mark itself says so.
        return {}
    return {f"{head}/{name}" if head else name: digest for name, digest in found.items()}
