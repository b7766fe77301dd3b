"""Evaluation of visual defect detection on resampled folds, driven by Ray.

`raylab2f.cross_validate`, `evaluate`, `accept`, `diagnose`, `compare`, `report`, `pod`, `plan_samples`, `finalise`,
`export`, `predict` and `monitor` do what the commands of these names do, and `load_model` opens what `finalise` wrote;
see `raylab2f.api`.

>>> import raylab2f
>>> print(raylab2f.plan_samples(half_width=0.1).half_width["objects"].to_pylist())
[29, 29]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raylab2f.api import (
        accept,
        compare,
        cross_validate,
        diagnose,
        evaluate,
        export,
        finalise,
        load_model,
        monitor,
        plan_samples,
        pod,
        predict,
        report,
    )

__all__ = [
    "__version__",
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

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded when first asked for, so that parts of the package work without the libraries of the others.
    if name in __all__:
        return getattr(import_module("raylab2f.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
