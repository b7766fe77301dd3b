"""Anomaly detectors: one protocol, a registry, a training loop."""

import raylab2f.blas  # noqa: F401  # before anything computes
