"""Frozen backbones, where their weights come from, and the store of what they computed."""

import raylab2f.blas  # noqa: F401  # before anything computes
from raylab2f.features.backbones import (
    Backbone,
    BackboneSpec,
    ShapeFinder,
    backbone_weights,
    create_backbone,
    shape_finder,
)
from raylab2f.features.ingredients import address, feature_ingredients
from raylab2f.features.store import FeatureStore
from raylab2f.features.store_writing import drop_damaged_parts, finish_store, missing_parts, write_part
from raylab2f.features.weights import Normalisation, Weights

__all__ = [
    "Backbone",
    "BackboneSpec",
    "FeatureStore",
    "Normalisation",
    "ShapeFinder",
    "Weights",
    "address",
    "backbone_weights",
    "create_backbone",
    "drop_damaged_parts",
    "feature_ingredients",
    "finish_store",
    "missing_parts",
    "shape_finder",
    "write_part",
]
