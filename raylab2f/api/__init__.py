"""What `import raylab2f` offers: the commands as functions, whose results a notebook shows.

Each takes the options of its command by their names, with underscores for hyphens, and means the same by them. Options
that may be repeated take one value or several. Mistakes raise `raylab2f.errors.UserError`. Nothing heavy is loaded
before a function is called.
"""

from raylab2f.api.acceptance import AcceptanceResult, accept
from raylab2f.api.comparison import RunComparison, compare
from raylab2f.api.detection import DetectionResult, pod
from raylab2f.api.evaluation import EvaluationResult, evaluate
from raylab2f.api.exports import Exported, export
from raylab2f.api.line import LineMonitoring, Predictions, monitor, predict
from raylab2f.api.models import Model, finalise, load_model
from raylab2f.api.planning import SamplePlan, plan_samples
from raylab2f.api.reports import Report, report
from raylab2f.api.runs import CrossValidation, Diagnosis, Run, cross_validate, diagnose

__all__ = [
    "AcceptanceResult",
    "CrossValidation",
    "DetectionResult",
    "Diagnosis",
    "EvaluationResult",
    "Exported",
    "LineMonitoring",
    "Model",
    "Predictions",
    "Report",
    "Run",
    "RunComparison",
    "SamplePlan",
    "accept",
    "compare",
    "cross_validate",
    "diagnose",
    "evaluate",
    "export",
    "finalise",
    "load_model",
    "monitor",
    "plan_samples",
    "pod",
    "predict",
    "report",
]
