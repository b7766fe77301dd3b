"""What determines the content of a feature store, and the name that follows from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["STORE_FORMAT", "address", "feature_ingredients"]

#: Raised whenever stores of the same ingredients would be written differently.
STORE_FORMAT = 1


def feature_ingredients(
    *,
    dataset: str,
    preparation: Mapping[str, Any],
    backbone: str,
    weights_digest: str,
    layers: Sequence[str],
    size: tuple[int, int],
    dtype: str,
) -> dict[str, Any]:
    """Everything that determines a store's content, as JSON-able values.

    Arguments:
        dataset: the manifest's fingerprint.
        preparation: what was done to the pictures.
        backbone: timm model name.
        weights_digest: `Backbone.weights_digest`.
        layers: in the order in which they are kept.
        size: height and width in pixels as the backbone sees pictures.
        dtype: `float16` or `float32`, on disk.
    """
    return {
        "format": STORE_FORMAT,
        "dataset": dataset,
        "preparation": dict(preparation),
        "backbone": backbone,
        "weights": weights_digest,
        "layers": list(layers),
        "size": list(size),
        "dtype": dtype,
    }


def address(ingredients: Mapping[str, Any]) -> str:
    """20 hex digits that name a store: the start of the sha256 of its ingredients as canonical JSON."""
    text = json.dumps(ingredients, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
