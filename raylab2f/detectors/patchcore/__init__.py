"""PatchCore: distances to a memory of nominal patches."""

from raylab2f.detectors.patchcore.config import PatchCoreConfig
from raylab2f.detectors.patchcore.detector import PatchCore

__all__ = ["PatchCore", "PatchCoreConfig"]
