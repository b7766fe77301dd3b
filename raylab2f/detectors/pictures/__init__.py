"""Detectors that see prepared pictures instead of frozen features: anybody's class, and what adapts other libraries."""

from raylab2f.detectors.pictures.arrays import array_detector
from raylab2f.detectors.pictures.config import PictureConfig
from raylab2f.detectors.pictures.detector import PictureDetector

__all__ = ["PictureConfig", "PictureDetector", "array_detector"]
