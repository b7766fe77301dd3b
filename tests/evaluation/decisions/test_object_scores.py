"""Object scores from picture scores."""

import numpy as np
import pytest

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.object_scores import aggregate_scores, parse_object_score


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("max", np.max),
        ("mean", np.mean),
        ("topk-mean", lambda s: np.sort(s)[-3:].mean()),
        ("topk-mean:2", lambda s: np.sort(s)[-2:].mean()),
        ("quantile", lambda s: np.quantile(s, 0.9, method="inverted_cdf")),
        ("quantile:0.5", lambda s: np.quantile(s, 0.5, method="inverted_cdf")),
        ("quantile:1", np.max),
    ],
)
def test_rules_on_objects_of_every_size(text, reference):
    rng = np.random.default_rng(0)
    owner = rng.permutation(np.repeat([7, 2, 9, 4], [1, 2, 10, 5]))
    scores = rng.standard_normal(18)
    objects, values = aggregate_scores(scores, owner, parse_object_score(text))
    assert objects.tolist() == [2, 4, 7, 9]
    assert values == pytest.approx([reference(scores[owner == o]) for o in objects], abs=1e-14)


@pytest.mark.parametrize("text", ["median", "max:2", "topk-mean:0", "topk-mean:1.5", "quantile:0", "quantile:x"])
def test_unknown_rules_are_refused(text):
    with pytest.raises(UserError, match=text.split(":")[0]):
        parse_object_score(text)


def test_the_rule_is_named_with_its_parameter():
    assert [str(parse_object_score(t)) for t in ("max", "topk-mean", "quantile:0.75")] == [
        "max",
        "topk-mean:3",
        "quantile:0.75",
    ]
