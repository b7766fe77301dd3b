"""One score for a picture from its anomaly map."""

from __future__ import annotations

import re

from torch import Tensor

from raylab2f.errors import UserError

__all__ = ["check_image_score", "score_of_map"]

_FORM = re.compile(r"topk-mean:([1-9][0-9]{0,6})")


def check_image_score(text: str, *others: str) -> None:
    """`UserError` unless `text` is `mean`, `max`, `topk-mean:K` or one of the `others` that a detector knows."""
    if text not in (*others, "mean", "max") and not _FORM.fullmatch(text):
        choices = ", ".join((*others, "mean", "max"))
        raise UserError(f"--set image_score={text}: give {choices} or topk-mean:K, such as topk-mean:10.")


def score_of_map(maps: Tensor, how: str) -> Tensor:
    """Scores (B,) of anomaly maps (B, h, w): their mean, maximum, or mean of the K highest, of all if there are fewer.

    Small defects drown in a mean; a maximum hangs on a single place.
    """
    values = maps.flatten(1)
    if how == "mean":
        return values.mean(dim=1)
    form = _FORM.fullmatch(how)
    count = 1 if form is None else min(int(form[1]), values.shape[1])
    return values.topk(count, dim=1).values.mean(dim=1)
