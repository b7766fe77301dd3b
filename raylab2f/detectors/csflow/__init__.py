"""CS-Flow (Rudolph et al., WACV 2022)."""

from raylab2f.detectors.csflow.config import CSFLOW_PRESETS, CSFlowConfig
from raylab2f.detectors.csflow.detector import CSFlow

__all__ = ["CSFLOW_PRESETS", "CSFlow", "CSFlowConfig"]
