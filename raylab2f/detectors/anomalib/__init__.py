"""Models of the library anomalib, trained and judged on this project's folds."""

from raylab2f.detectors.anomalib.detector import anomalib_detector

__all__ = ["anomalib_detector"]
