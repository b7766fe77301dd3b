"""Values that a detector's settings may have."""

from __future__ import annotations

import math
from typing import Any

from raylab2f.errors import UserError

__all__ = ["MOST_BLURRED", "WIDEST", "require_epochs", "require_range"]

#: Units of a layer, or entries of a feature, at most: two such layers in a row hold a gigabyte.
WIDEST = 1 << 14
#: Standard deviation of a Gaussian over a map in pixels, at most: wider ones take memory and blur everything.
MOST_BLURRED = 1000


def require_range(
    config: Any, *names: str, least: float | None = None, above: float | None = None, most: float = math.inf
) -> None:
    """Check settings of a configuration; in a tuple every value; `None` stands for a setting that is switched off.

    Arguments:
        names: of the fields.
        least, above: the smallest value, or what every value lies above.
        most: the largest value.

    Raises:
        UserError: a value lies elsewhere, is not finite, or is no number.
    """
    for name in names:
        value = getattr(config, name)
        for item in value if isinstance(value, tuple) else (value,):
            if item is None:
                continue
            within = isinstance(item, (int, float)) and math.isfinite(item) and item <= most
            if not within or (least is not None and item < least) or (above is not None and item <= above):
                words = (
                    [f"at least {least:g}"] if least is not None else [f"above {above:g}"] if above is not None else []
                )
                words += [f"at most {most:g}"] if most < math.inf else []
                raise UserError(f"--set {name}: {item} cannot be; give a number {' and '.join(words)}.")


def require_epochs(schedule: Any) -> None:
    """`UserError` where a detector that trains step by step is given a schedule without an epoch."""
    require_range(schedule, "epochs", least=1)
