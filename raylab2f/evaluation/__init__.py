"""Fold plans, thresholds, metrics and intervals; needs neither torch nor ray.

Example:
    >>> import pyarrow as pa
    >>> scores = pa.table({
    ...     "image_id": [f"{i}.png" for i in range(80)],
    ...     "label": [0] * 40 + [1] * 40,
    ...     "score": [float(i) for i in range(80)],
    ... })
    >>> summary = evaluate(scores, strategies=("youden",), replicates=100)
    >>> summary.find("auroc", level="image").mean
    1.0
"""

import raylab2f.blas  # noqa: F401  # before anything computes
from raylab2f.evaluation.against_baseline import with_baseline
from raylab2f.evaluation.decisions.strategies import REVIEW_STRATEGIES, STRATEGIES, parse_strategy
from raylab2f.evaluation.decisions.thresholds import choose_threshold
from raylab2f.evaluation.decisions.two_thresholds import choose_pair
from raylab2f.evaluation.intervals.methods import INTERVALS
from raylab2f.evaluation.plans.fold_plan import assert_exclusive, plan_fold, plan_sizes
from raylab2f.evaluation.score_table import read_scores
from raylab2f.evaluation.summary import Summary, check_rules, evaluate

__all__ = [
    "INTERVALS",
    "REVIEW_STRATEGIES",
    "STRATEGIES",
    "Summary",
    "assert_exclusive",
    "check_rules",
    "choose_pair",
    "choose_threshold",
    "evaluate",
    "parse_strategy",
    "plan_fold",
    "plan_sizes",
    "read_scores",
    "with_baseline",
]
