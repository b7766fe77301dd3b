"""Guardrails: one module per pitfall, a function from tables and arrays to a `Finding`; needs neither torch nor ray."""

import raylab2f.blas  # noqa: F401  # before anything computes
from raylab2f.diagnostics.alterations import ALTERATIONS
from raylab2f.diagnostics.background import diagnose_background
from raylab2f.diagnostics.conditions import diagnose_conditions
from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.fragility import diagnose_fragility
from raylab2f.diagnostics.invariance import diagnose_invariance
from raylab2f.diagnostics.leakage import diagnose_leakage
from raylab2f.diagnostics.likelihood import diagnose_likelihood
from raylab2f.diagnostics.maps import FoldMaps
from raylab2f.diagnostics.mends import MENDS
from raylab2f.diagnostics.resampling import Estimate
from raylab2f.diagnostics.shift import diagnose_shift
from raylab2f.diagnostics.silhouette import diagnose_silhouette
from raylab2f.diagnostics.variance import diagnose_variance

__all__ = [
    "ALTERATIONS",
    "MENDS",
    "Bounds",
    "Estimate",
    "Finding",
    "FoldMaps",
    "Measure",
    "conclude",
    "diagnose_background",
    "diagnose_conditions",
    "diagnose_fragility",
    "diagnose_invariance",
    "diagnose_leakage",
    "diagnose_likelihood",
    "diagnose_shift",
    "diagnose_silhouette",
    "diagnose_variance",
    "skipped",
]
