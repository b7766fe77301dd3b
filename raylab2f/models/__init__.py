"""What leaves the laboratory: one detector with its thresholds and the evidence behind them. Knows nothing of Ray."""

import raylab2f.blas  # noqa: F401  # before anything computes
from raylab2f.models.folder import load_model, write_model
from raylab2f.models.judging import Judge
from raylab2f.models.record import Decision, ModelRecord

__all__ = ["Decision", "Judge", "ModelRecord", "load_model", "write_model"]
