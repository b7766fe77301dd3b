"""Are we still good? Which accepted parts to look at again, and what they say of the defective ones among all accepted.

Accepted parts are divided by score into strata, those nearest the threshold first, and drawn from each at random
without replacement. Parts near the threshold are drawn at twice the rate by default: that takes a few more where no
defective part is found, and fewer where the defective ones lie there (benchmarks/monitoring.md).

Example:
    >>> judged = pa.table({"image_id": [f"{i}" for i in range(900)], "score": range(900), "decision": ["accept"] * 900})
    >>> plan = plan_audit(judged, limit=0.01)
    >>> answers = pa.table({"object_id": plan["object_id"], "label": ["good"] * len(plan)})
    >>> bound_audit(plan, answers).upper <= 9
    True
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.monitoring.answers import read_answers, read_plan
from raylab2f.evaluation.monitoring.audit_bound import MOST_STRATA, largest_total, p_value
from raylab2f.evaluation.monitoring.parts import DECISIONS, read_parts
from raylab2f.seeding import numpy_generator

__all__ = ["PLAN_SCHEMA", "AuditBound", "bound_audit", "fewest_parts", "plan_audit"]

#: One row a part to be looked at, in order of arrival. `stratum`: 1 is nearest the threshold. `stratum_parts`: accepted
#: parts in it. `stratum_selected`: of those, how many are to be looked at. `probability`: of being selected.
#: `judged_parts`: all judged parts, accepted or not.
PLAN_SCHEMA = pa.schema(
    [
        ("object_id", pa.string()),
        ("score", pa.float64()),
        ("stratum", pa.int64()),
        ("stratum_parts", pa.int64()),
        ("stratum_selected", pa.int64()),
        ("probability", pa.float64()),
        ("judged_parts", pa.int64()),
    ]
)


@dataclass(frozen=True)
class AuditBound:
    """What an audit says of the accepted parts.

    Arguments:
        judged: parts, accepted or not.
        accepted: parts.
        selected: parts to be looked at.
        unanswered: of those, how many have no answer; they count as defective.
        found: defective parts among the answers.
        strange: answers on parts that were not to be looked at; they do not count.
        estimate: defective parts among all accepted ones, unbiased where every part has its answer.
        upper: bound for that number, at the confidence.
        share: `upper` as a share of the accepted parts.
        per_thousand: `upper` by 1,000 judged parts.
        confidence: that the truth is at most `upper`, whatever it is.
        statement: one sentence.
    """

    judged: int
    accepted: int
    selected: int
    unanswered: int
    found: int
    strange: int
    estimate: float
    upper: int
    share: float
    per_thousand: float
    confidence: float
    statement: str


def plan_audit(
    judged: pa.Table,
    *,
    limit: float,
    confidence: float = 0.95,
    expected: float = 0.0,
    strata: Sequence[float] = (0.1, 0.9),
    rates: Sequence[float] = (2.0, 1.0),
    seed: int = 0,
) -> pa.Table:
    """The accepted parts to be looked at again, as few as can show the limit.

    Arguments:
        judged: one row a picture, `image_id`, `score` and `decision`, optionally `object_id` and `day`.
        limit: share of defective parts among the accepted ones that is to be shown not to be exceeded, in (0, 1).
        confidence: in (0, 1).
        expected: the share that is expected, from 0 to below the limit. The plan is just large enough where the
            estimate comes out so, which of an exact expectation is about every second time; for 0, no part may turn out
            defective.
        strata: shares of the accepted parts in each stratum, from the highest scores on; 1 to 3.
        rates: relative rates of selection of the strata.
        seed: of the draw.

    Returns:
        See `PLAN_SCHEMA`.

    Raises:
        UserError: an option out of range, a table that cannot be used, or no accepted part.
    """
    _check(limit, confidence, expected, strata, rates)
    parts = read_parts(judged, "The table of judged pictures")
    if parts.decision is None:
        raise UserError(f"The table of judged pictures lacks the column decision ({', '.join(DECISIONS)}); add it.")
    accepted = np.flatnonzero(parts.decision == DECISIONS.index("accept"))
    if not len(accepted):
        raise UserError("The table of judged pictures has no accepted part, so there is nothing to look at again.")
    ranked = accepted[np.argsort(-parts.score[accepted], kind="stable")]
    ends = np.rint(np.cumsum(strata) / sum(strata) * len(ranked)).astype(np.int64)
    pieces = np.split(ranked, ends[:-1])
    sizes = [len(piece) for piece in pieces]
    allowed, estimate = math.floor(limit * len(ranked) + 1e-9), expected * len(ranked)
    looked = fewest_parts(sizes, rates, estimate, allowed + 1, 1 - confidence)
    rng = numpy_generator(seed, "audit")
    rows = [
        (int(place), number, size, count)
        for number, (piece, size, count) in enumerate(zip(pieces, sizes, looked, strict=True), start=1)
        for place in rng.permutation(piece)[:count]
    ]
    rows.sort()
    place, stratum, size, count = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    columns = {
        "object_id": parts.name[place].tolist(),
        "score": parts.score[place],
        "stratum": stratum,
        "stratum_parts": size,
        "stratum_selected": count,
        "probability": count / size,
        "judged_parts": np.full(len(rows), len(parts.name)),
    }
    return pa.table(columns, PLAN_SCHEMA)


def bound_audit(plan: pa.Table, answers: pa.Table, *, confidence: float = 0.95) -> AuditBound:
    """Bound the defective parts among all accepted ones by the answers on those that were looked at.

    Selected parts without an answer count as defective: whatever they are, the bound holds. That who looks again sees
    every defect is assumed.

    Arguments:
        plan: all rows of `plan_audit`.
        answers: `object_id` (or `image_id`) and `label` (0 or good, 1 or defective; empty: no answer). A part is
            defective if any of its rows says so.
        confidence: in (0, 1).

    Raises:
        UserError: the confidence is out of range, or a table cannot be used.
    """
    if not 0 < confidence < 1:
        raise UserError(f"The confidence is {confidence}; it is above 0 and below 1.")
    selection = read_plan(plan)
    label, strange = read_answers(answers, selection.name)
    counted = [
        np.bincount(selection.stratum[mask], minlength=len(selection.sizes)) for mask in (label != 0, label == 1)
    ]
    found = [int(count) for count in counted[0]]
    estimate = sum(
        size * hits / seen for size, seen, hits in zip(selection.sizes, selection.looked, found, strict=True)
    )
    upper = largest_total(selection.sizes, selection.looked, found, 1 - confidence)
    accepted, defective, open_ones = sum(selection.sizes), int(counted[1].sum()), int((label < 0).sum())
    share, per_thousand = upper / accepted, 1000 * upper / selection.judged
    said = f", and {open_ones} without an answer count as defective" if open_ones else ""
    said += f"; {strange} answer{'s' if strange > 1 else ''} on other parts did not count" if strange else ""
    return AuditBound(
        judged=selection.judged,
        accepted=accepted,
        selected=len(label),
        unanswered=open_ones,
        found=defective,
        strange=strange,
        estimate=estimate,
        upper=upper,
        share=share,
        per_thousand=per_thousand,
        confidence=confidence,
        statement=(
            f"Of {accepted} accepted parts at most {upper} are defective ({100 * share:.3g} %, or {per_thousand:.3g} "
            f"of 1,000 judged parts), at a confidence of {100 * confidence:g} %: of {len(label)} to be looked at "
            f"again, {defective} {'was' if defective == 1 else 'were'} defective{said}."
        ),
    )


def fewest_parts(sizes: Sequence[int], rates: Sequence[float], estimate: float, total: int, alpha: float) -> list[int]:
    """How many of each stratum must be looked at to refute a total.

    Arguments:
        sizes: parts in each stratum.
        rates: relative rates of selection, above 0.
        estimate: the estimated total at which it is to be refuted, below it.
        total: defective parts in all strata, at most as many as there are parts.
        alpha: highest p-value, in (0, 1).

    Returns:
        By stratum; at least 1 where it has parts.
    """

    def looked(fraction: float) -> list[int]:
        return [min(size, math.ceil(fraction * rate * size)) for size, rate in zip(sizes, rates, strict=True)]

    low, high = 0.0, 1.0 / min(rates)
    # Below this, one part more or less no longer makes a difference.
    while (high - low) * max(rates) * sum(sizes) > 0.1:
        middle = (low + high) / 2
        if p_value(sizes, looked(middle), estimate, total) <= alpha:
            high = middle
        else:
            low = middle
    return looked(high)


def _check(limit: float, confidence: float, expected: float, strata: Sequence[float], rates: Sequence[float]) -> None:
    for name, value in (("limit", limit), ("confidence", confidence)):
        if not 0 < value < 1:
            raise UserError(f"The {name} is {value}; it is above 0 and below 1.")
    if not 0 <= expected < limit:
        raise UserError(f"The expected share is {expected}; it is at least 0 and below the limit, {limit}.")
    if not 1 <= len(strata) <= MOST_STRATA or len(rates) != len(strata):
        raise UserError(f"There are {len(strata)} strata and {len(rates)} rates; give 1 to {MOST_STRATA} of both.")
    if not all(0 < value < math.inf for value in (*strata, *rates)):
        raise UserError("A share of a stratum or a rate of selection is not above 0; give positive numbers.")
