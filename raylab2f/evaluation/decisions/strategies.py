"""Names of threshold strategies and their parameters, as users write them.

What the strategies choose is told where they choose it: `thresholds` has those of one threshold, `two_thresholds` those
that leave some decisions to a person.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from raylab2f.errors import UserError

__all__ = ["GIVEN", "MOST_WEIGHT", "REVIEW_STRATEGIES", "STRATEGIES", "Strategy", "parse_strategy"]

#: Of one threshold: name -> parameters in the order in which they may be given without their names, with defaults.
STRATEGIES: Mapping[str, Mapping[str, float | None]] = {
    "youden": {},
    "gmean": {},
    "closest-topleft": {},
    "cost": {"escape": 10.0, "overkill": 1.0, "prevalence": None},
    "target-recall": {"recall": 0.95},
    "target-fpr": {"fpr": 0.05},
    "f1": {},
    "fbeta": {"beta": 2.0},
    "mcc": {},
    "nominal-quantile": {"q": 0.95},
    "conformal": {"alpha": 0.05},
    "guaranteed-recall": {"alpha": 0.1, "delta": 0.05},
}

#: Of two thresholds, between which a person looks; as above.
REVIEW_STRATEGIES: Mapping[str, Mapping[str, float | None]] = {
    "two-sided": {"escape": 0.01, "overkill": 0.02},
    "review-cost": {"escape": 10.0, "overkill": 1.0, "review": 0.25, "prevalence": None},
}

#: What chooses nothing: its parameters, which have no defaults.
GIVEN: Mapping[str, Mapping[str, float | None]] = {
    "fixed": {"threshold": None},
    "fixed-pair": {"low": None, "high": None},
}

# Its escape and overkill are shares; other strategies have costs of these names.
_SHARES = "two-sided"
_NOMINAL_ONLY = frozenset({"target-fpr", "nominal-quantile", "conformal", "fixed"})
#: Of costs and beta: sums and squares of what is larger are no numbers any more.
MOST_WEIGHT = 1e100
_POSITIVE = frozenset({"escape", "overkill", "review", "beta"})


@dataclass(frozen=True)
class Strategy:
    """A named rule with its parameters.

    Arguments:
        name: key of `STRATEGIES`, `REVIEW_STRATEGIES` or `GIVEN`.
        parameters: all of the strategy's parameters.
        text: how the strategy is called in tables.
    """

    name: str
    parameters: Mapping[str, float | None] = field(default_factory=dict)
    text: str = ""

    @property
    def needs_defects(self) -> bool:
        """Whether the threshold partition must hold anomalous pictures."""
        return self.name not in _NOMINAL_ONLY

    @property
    def on_objects(self) -> bool:
        """Whether the threshold is chosen on object scores at both levels."""
        return self.name == "guaranteed-recall"

    @property
    def is_given(self) -> bool:
        """Whether the threshold is the same whatever the scores."""
        return self.name in GIVEN

    @property
    def given(self) -> tuple[float, float]:
        """Low and high threshold of a strategy that chooses nothing; the same where it has one."""
        values = [self[name] for name in GIVEN[self.name]]
        return values[0], values[-1]

    @property
    def by_share(self) -> bool:
        """Whether each nominal row counts as its share of its object, see `nominal_shares`."""
        return self.name == "conformal"

    @property
    def reviews(self) -> bool:
        """Whether there are two thresholds, between which a person looks."""
        return self.name in REVIEW_STRATEGIES or len(GIVEN.get(self.name, ())) > 1

    def __getitem__(self, parameter: str) -> float:
        value = self.parameters[parameter]
        assert value is not None
        return value


def parse_strategy(text: str, defaults: Mapping[str, float | None] | None = None) -> Strategy:
    """Read `name`, `name:value,value` or `name:parameter=value,...`, e.g. `target-recall:0.99`.

    Arguments:
        text: the strategy.
        defaults: values in place of the documented defaults for parameters of these names (where the strategy has
            them, the shares of `two-sided` excepted: `escape` and `overkill` are costs here); what stands in `text`
            wins.

    Raises:
        UserError: unknown strategy or parameter, or a value that makes no sense.
    """
    text = text.strip()
    name, _, rest = text.partition(":")
    every = {**STRATEGIES, **REVIEW_STRATEGIES, **GIVEN}
    if name not in every:
        raise UserError(f"Unknown threshold strategy '{name}'; choose from {', '.join(every)}.")
    known = every[name]
    usual = {} if name == _SHARES else defaults or {}
    parameters = {key: usual.get(key, value) for key, value in known.items()}
    given: set[str] = set()
    for position, part in enumerate(rest.split(",") if rest else ()):
        if not part.strip():
            # Whether a place was left free or a comma is too many cannot be told.
            raise UserError(
                f"Threshold strategy '{text}': there is nothing at a comma; write NAME=VALUE, or leave it out."
            )
        key, equals, value = part.partition("=")
        if not equals:
            key, value = (list(known)[position] if position < len(known) else ""), part
        if key.strip() not in known:
            allowed = ", ".join(known) or "none"
            raise UserError(f"Threshold strategy '{text}': parameters of {name} are: {allowed}.")
        if key.strip() in given:
            raise UserError(f"Threshold strategy '{text}': {key.strip()} is given twice; leave one of them.")
        given.add(key.strip())
        try:
            parameters[key.strip()] = float(value)
        except ValueError:
            raise UserError(f"Threshold strategy '{text}': '{value}' is not a number.") from None
    if name in GIVEN:
        strategy = Strategy(name, parameters, text)
        _check_given(strategy)
        return strategy
    for key, number in parameters.items():
        _check_parameter(text, key, number)
    return Strategy(name, parameters, text)


def _check_given(strategy: Strategy) -> None:
    known = all(value is not None and math.isfinite(value) for value in strategy.parameters.values())
    if not strategy.reviews:
        if not known:
            raise UserError(
                f"Threshold strategy '{strategy.text}': give the score from which parts are rejected: "
                f"{strategy.name}:0.5."
            )
    elif not known or strategy["low"] > strategy["high"]:
        raise UserError(
            f"Threshold strategy '{strategy.text}': give the score below which parts are accepted and the one, not "
            f"lower, from which they are rejected: {strategy.name}:0.3,0.7."
        )


def _check_parameter(text: str, key: str, value: float | None) -> None:
    if value is None:
        return
    if text.startswith(_SHARES):
        if not 0 <= value < 1:
            raise UserError(f"Threshold strategy '{text}': {key} is a share from 0 up, below 1.")
    elif key in _POSITIVE:
        if not 0 < value <= MOST_WEIGHT:
            raise UserError(f"Threshold strategy '{text}': {key} is a number above 0, at most {MOST_WEIGHT:g}.")
    elif key == "recall":
        if not 0 < value <= 1:
            raise UserError(f"Threshold strategy '{text}': recall is above 0 and at most 1.")
    elif not 0 < value < 1:
        raise UserError(f"Threshold strategy '{text}': {key} is a number between 0 and 1.")
    if text.startswith("guaranteed-recall") and key in ("alpha", "delta") and value > 0.5:
        raise UserError(f"Threshold strategy '{text}': {key} is a rate of failures, so at most 0.5.")
