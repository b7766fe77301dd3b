"""The paper's experiments: Table 1, rotation (section 3.5), one angle (3.6), feature variance (Figure 5)."""

from raylab2f.workflows.experiments.common import ExperimentOptions
from raylab2f.workflows.experiments.feature_variance import feature_variance
from raylab2f.workflows.experiments.one_angle import one_angle
from raylab2f.workflows.experiments.rotation import rotation
from raylab2f.workflows.experiments.table1 import table1

__all__ = ["ExperimentOptions", "feature_variance", "one_angle", "rotation", "table1"]
