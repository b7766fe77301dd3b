"""Anomaly detectors: one protocol, a registry, a training loop."""
