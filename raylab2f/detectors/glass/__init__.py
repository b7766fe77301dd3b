"""GLASS (Chen et al., ECCV 2024)."""

from raylab2f.detectors.glass.config import GLASS_PRESETS, GlassConfig
from raylab2f.detectors.glass.detector import Glass

__all__ = ["GLASS_PRESETS", "Glass", "GlassConfig"]
