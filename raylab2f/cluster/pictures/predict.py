"""Ray Data judges pictures with a finalised model: every actor holds the model, portions of whole parts pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

import ray.data
from ray.data import ActorPoolStrategy

from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.session import cluster_slots
from raylab2f.datasets.unlabelled import Unlabelled
from raylab2f.models.folder import load_model
from raylab2f.models.predictions import Portion, judge_portion

__all__ = ["predict_on_cluster"]


def predict_on_cluster(
    model: str,
    portions: Sequence[Sequence[Unlabelled]],
    *,
    pixel_limit: int,
    unfamiliar: Literal["review", "ignore"],
    overlays: bool,
) -> Iterator[Portion]:
    """What comes out for each portion, in no particular order.

    Arguments:
        model: a place that all nodes reach.
        portions: whole parts; others as for `judge_portion`.

    Raises:
        UserError: the model cannot be had on a node.
    """
    items = [{"pictures": [asdict(one) for one in portion]} for portion in portions]
    cpus, gpus = cluster_slots()
    options = {"pixel_limit": pixel_limit, "unfamiliar": unfamiliar, "overlays": overlays}
    with user_errors_unwrapped():
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(
            _Predictor,  # type: ignore[arg-type]  # Ray annotates functions only
            fn_constructor_args=(model, options),
            compute=ActorPoolStrategy(size=max(1, min(gpus or cpus, len(items)))),
            num_cpus=1,
            num_gpus=1 if gpus else 0,
        )
        for row in dataset.iter_rows():
            yield row["portion"]


class _Predictor:
    """An actor that holds the model."""

    def __init__(self, model: str, options: dict[str, Any]) -> None:
        self.judge, self.options = load_model(model), options

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        pictures = [Unlabelled(**one) for one in item["pictures"]]
        return {"portion": judge_portion(self.judge, pictures, **self.options)}
