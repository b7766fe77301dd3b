"""Evaluation of visual defect detection on resampled folds, driven by Ray."""

__version__ = "0.1.0"
