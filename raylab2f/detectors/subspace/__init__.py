"""Reconstruction from a linear subspace of nominal features."""

from raylab2f.detectors.subspace.config import DfmConfig
from raylab2f.detectors.subspace.detector import Dfm

__all__ = ["Dfm", "DfmConfig"]
