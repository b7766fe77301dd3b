"""Gaussians of nominal features: PaDiM, one for each position, and one for all positions."""

from raylab2f.detectors.gaussian.config import GaussianConfig
from raylab2f.detectors.gaussian.detectors import Mahalanobis, Padim

__all__ = ["GaussianConfig", "Mahalanobis", "Padim"]
