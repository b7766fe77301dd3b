"""False alarms, delays, and what an audit promises and takes: `python benchmarks/monitoring.py`.

Scores of good parts are standard normal, those of defective ones three standard deviations higher; one picture a part.
Some minutes on one core; writes `monitoring.md` beside this file.
"""

import argparse
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from raylab2f.evaluation.intervals.methods import clopper_pearson_interval
from raylab2f.evaluation.monitoring import monitor
from raylab2f.evaluation.monitoring.audit import fewest_parts
from raylab2f.evaluation.monitoring.audit_bound import largest_total
from raylab2f.evaluation.monitoring.betting import log10_capital, log10_shiryaev_roberts
from raylab2f.evaluation.monitoring.ranks import conformal_p_values
from raylab2f.evaluation.monitoring.rates import log10_rate_evidence
from raylab2f.seeding import numpy_generator

REFERENCES = (50, 300, 3000)
HORIZONS = (1000, 10000)
ARL = 10_000
# As of `monitor` with its default where score, familiarity and decisions are watched.
ALPHA, SHARE = 0.01, 0.01 / 3
PREVALENCE = 0.02


def line(rng, parts, *, prevalence=PREVALENCE, shift=0.0, spread=1.0):
    """(n,) scores; `parts`, `prevalence`, `shift` may be (n,) too."""
    good = spread * rng.standard_normal(parts) + shift
    return good + 3.0 * (rng.random(parts) < prevalence)


def evidence(rng, reference, streams):
    """(n, s) log10 capital of (s, n) streams, each with a reference of its own."""
    p = [conformal_p_values(line(rng, reference), stream, rng.random(len(stream))) for stream in streams]
    return log10_capital(np.array(p).T)


def reached(values, bound):
    """(s,) after how many of n values each stream first reached a bound; n + 1 where never."""
    hit = values >= bound
    return np.where(hit.any(axis=0), hit.argmax(axis=0) + 1, len(values) + 1)


def false_alarms(streams):
    yield (
        "| reference | alpha | "
        + " | ".join(f"alarm within {n}" for n in HORIZONS)
        + " | "
        + " | ".join(f"warning within {n} (at most)" for n in HORIZONS)
        + " |"
    )
    yield "|---|---|" + "---|" * 2 * len(HORIZONS)
    for reference in REFERENCES:
        rng = numpy_generator(0, "false alarms", reference)
        capital = evidence(rng, reference, line(rng, (streams, HORIZONS[-1])))
        warned = reached(log10_shiryaev_roberts(capital), np.log10(2 * ARL))
        for alpha in (0.05, 0.01):
            alarmed = reached(capital, -np.log10(alpha))
            cells = [f"{np.mean(alarmed <= n):.4f}" for n in HORIZONS]
            cells += [f"{np.mean(warned <= n):.4f} ({n / (2 * ARL):g})" for n in HORIZONS]
            yield f"| {reference} | {alpha} | " + " | ".join(cells) + " |"


def false_alarms_of_rates(streams):
    yield "| reference | rate | alpha | " + " | ".join(f"alarm within {n}" for n in HORIZONS) + " |"
    yield "|---|---|---|" + "---|" * len(HORIZONS)
    for reference in REFERENCES:
        for rate in (0.02, 0.1):
            rng = numpy_generator(0, "false alarms of rates", reference, int(100 * rate))
            known = rng.binomial(reference, rate, streams) / reference
            hits = rng.random((streams, HORIZONS[-1])) < rate
            for alpha in (0.05, 0.01):
                low, high = clopper_pearson_interval(known, reference, 1 - alpha / 2)
                found = [log10_rate_evidence(*given) for given in zip(hits, low, high, strict=True)]
                alarmed = reached(np.array(found).T, np.log10(2 / alpha))
                cells = [f"{np.mean(alarmed <= n):.4f}" for n in HORIZONS]
                yield f"| {reference} | {rate} | {alpha} | " + " | ".join(cells) + " |"


def judged(rng, parts):
    score = line(rng, parts)
    return pa.table(
        {
            "image_id": np.arange(parts).astype(str),
            "score": score,
            "familiarity": rng.standard_normal(parts) + 0.5 * score,
            "decision": np.where(score > 2.5, "reject", np.where(score > 2, "review", "accept")),
            "condition": np.where(rng.random(parts) < 0.3, "night", "day"),
        }
    )


def false_alarms_of_all(streams):
    yield "| reference | alpha | any alarm within 1000 | any warning within 1000 (at most) |"
    yield "|---|---|---|---|"
    for reference in REFERENCES:
        rng = numpy_generator(0, "false alarms of all", reference)
        found = [monitor(judged(rng, reference), judged(rng, 1000), alpha=0.05, seed=s) for s in range(streams)]
        warned = np.mean([any(signal.warning for signal in each.signals) for each in found])
        alarmed = np.mean([each.alarmed for each in found])
        yield f"| {reference} | 0.05 | {alarmed:.4f} | {warned:.4f} ({1000 / (2 * ARL):g}) |"


def days_that_differ(streams, a_day=200):
    yield "| sd between days | reference of | " + " | ".join(f"alarm within {n}" for n in HORIZONS) + " |"
    yield "|---|---|" + "---|" * len(HORIZONS)
    for deviation in (0.05, 0.1, 0.2, 0.4):
        for days, a_reference_day in ((1, 1000), (20, 50), (1000, 1)):
            rng = numpy_generator(0, "days", int(100 * deviation), days)

            def days_of(shape, count, rng=rng, deviation=deviation):
                level = deviation * rng.standard_normal((*shape[:-1], shape[-1] // count))
                return line(rng, shape, shift=np.repeat(level, count, axis=-1))

            p = []
            for stream in days_of((streams, HORIZONS[-1]), a_day):
                reference = days_of((days * a_reference_day,), a_reference_day)
                p.append(conformal_p_values(reference, stream, rng.random(len(stream))))
            alarmed = reached(log10_capital(np.array(p).T), -np.log10(0.01))
            cells = [f"{np.mean(alarmed <= n):.2f}" for n in HORIZONS]
            yield f"| {deviation} | {days} day{'s' * (days > 1)} | " + " | ".join(cells) + " |"


def by_day(streams, a_day=200, horizon=200):
    shifts = (0.25, 0.5, 1.0)
    yield (
        "| sd between days | days of the reference | alarm within 200 days | "
        + " | ".join(f"days to the alarm, +{shift} sd" for shift in shifts)
        + " |"
    )
    yield "|---|---|---|" + "---|" * len(shifts)
    for deviation in (0.1, 0.2, 0.4):
        for days in (10, 20, 50):
            rng = numpy_generator(0, "by day", int(100 * deviation), days)
            cells = []
            for shift in (0.0, *shifts):
                p = []
                for _ in range(streams):
                    level = deviation * rng.standard_normal(days + horizon)
                    level[days:] += shift
                    median = np.median(line(rng, (days + horizon, a_day), shift=level[:, None]), axis=1)
                    p.append(conformal_p_values(median[:days], median[days:], rng.random(horizon)))
                first = reached(log10_capital(np.array(p).T), -np.log10(0.01))
                cells.append(delay(first, 0, horizon) if shift else f"{np.mean(first <= horizon):.3f}")
            yield f"| {deviation} | {days} | " + " | ".join(cells) + " |"


def drifts(after):
    """What happens from the first part on, by name."""
    time = np.arange(after)
    return {
        "none": {},
        "score +0.25 sd": {"shift": 0.25},
        "score +0.5 sd": {"shift": 0.5},
        "score +1 sd": {"shift": 1.0},
        "score -0.5 sd": {"shift": -0.5},
        "score 0 to +1 sd over 2000 parts": {"shift": np.minimum(time / 2000, 1.0)},
        "spread x1.5": {"spread": 1.5},
        "defective 2 % to 6 %": {"prevalence": 0.06},
        "defective 2 % to 6 % over 2000 parts": {"prevalence": 0.02 + 0.04 * np.minimum(time / 2000, 1.0)},
    }


def delays(streams, after, before=1000):
    yield "| drift | reference | from the start | after 1000 | warning, after 1000 | rejects, after 1000 |"
    yield "|---|---|---|---|---|---|"
    for name, drift in drifts(after).items():
        for reference in REFERENCES:
            rng = numpy_generator(0, "delays", name, reference)
            changed = line(rng, (streams, after), **drift)
            start = reached(evidence(rng, reference, changed), -np.log10(SHARE))
            both = np.concatenate([line(rng, (streams, before)), changed], axis=1)
            capital = evidence(rng, reference, both)
            # Two signals are ranked, so each has half of the warnings.
            warning = log10_shiryaev_roberts(capital), np.log10(2 * ARL * 2)
            cells = [delay(start, 0, after)]
            cells += [delay(reached(*given), before, after) for given in ((capital, -np.log10(SHARE)), warning)]
            rejected = [np.mean(line(rng, reference) > 2.5) for _ in range(streams)]
            # One of three rates, half for the reference's interval.
            low, high = clopper_pearson_interval(np.array(rejected), reference, 1 - SHARE / 6)
            found = [log10_rate_evidence(row > 2.5, *ends) for row, *ends in zip(both, low, high, strict=True)]
            cells.append(delay(reached(np.array(found).T, np.log10(6 / SHARE)), before, after))
            yield f"| {name} | {reference} | " + " | ".join(cells) + " |"


def delay(first, before, after):
    """Median, and how many found it; without those that had cried before."""
    first = first[first > before] - before
    found = first <= after
    median = f"{np.median(first):.0f}" if found.mean() > 0.5 else "-"
    return f"{median} ({100 * found.mean():.0f} %)"


@cache
def bound(sizes, looked, found, alpha):
    return largest_total(sizes, looked, found, alpha)


AUDITS = (
    # accepted, limit, expected share, share of defective parts, of those the share in the 10 % nearest the threshold
    (1000, 0.01, 0.0, 0.002, 0.0),
    (1000, 0.01, 0.002, 0.012, 1.0),
    (10000, 0.005, 0.0, 0.0005, 0.8),
    (10000, 0.005, 0.001, 0.001, 0.8),
    (10000, 0.005, 0.001, 0.0052, 0.8),
    (10000, 0.005, 0.001, 0.0052, 0.0),
    (100000, 0.001, 0.0002, 0.00102, 1.0),
    (100000, 0.001, 0.0002, 0.0002, 0.8),
)
DESIGNS = {
    "one stratum": ((1.0,), (1.0,)),
    "10 % at twice the rate": ((0.1, 0.9), (2.0, 1.0)),
    "10 % at ten times the rate": ((0.1, 0.9), (10.0, 1.0)),
    "2 %, 8 %, 90 % at 4, 2, 1": ((0.02, 0.08, 0.9), (4.0, 2.0, 1.0)),
}


def audits(cases):
    yield "| accepted | limit | expected | truth | near | design | looked at | held | shown | bound | Bonferroni |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for number, (accepted, limit, expected, share, near) in enumerate(AUDITS):
        total, allowed = round(share * accepted), int(limit * accepted + 1e-9)
        for name, (strata, rates) in DESIGNS.items():
            rng = numpy_generator(0, "audits", number, name)
            sizes = tuple(np.diff(np.rint(np.cumsum((0.0, *strata)) * accepted).astype(int)).tolist())
            looked = tuple(fewest_parts(sizes, rates, expected * accepted, allowed + 1, 0.05))
            edge = round(0.1 * accepted)
            bounds, sums = [], []
            for _ in range(cases):
                close = rng.binomial(total, near)
                rank = np.concatenate(
                    [
                        rng.choice(edge, close, replace=False),
                        edge + rng.choice(accepted - edge, total - close, replace=False),
                    ]
                )
                defective = np.histogram(rank, np.cumsum((0, *sizes)))[0]
                found = tuple(
                    int(rng.hypergeometric(bad, size - bad, seen))
                    for bad, size, seen in zip(defective, sizes, looked, strict=True)
                )
                bounds.append(bound(sizes, looked, found, 0.05))
                parts = zip(sizes, looked, found, strict=True)
                sums.append(sum(bound((n,), (k,), (x,), 0.05 / len(sizes)) for n, k, x in parts))
            held, shown = np.mean(np.array(bounds) >= total), np.mean(np.array(bounds) <= allowed)
            yield (
                f"| {accepted} | {limit} | {expected} | {total} | {near} | {name} | {sum(looked)} | {held:.3f} | "
                f"{shown:.2f} | {np.mean(bounds):.1f} | {np.mean(sums):.1f} |"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--streams",
        type=int,
        default=2000,
        help="for false alarms, half of it for those of all signals, and cases of audits",
    )
    parser.add_argument("--drifting", type=int, default=300, help="streams for delays")
    parser.add_argument("--after", type=int, default=5000, help="parts after a change")
    given = parser.parse_args()
    text = TEXT.format(**vars(given), arl=ARL)
    sections = {
        "alarms": false_alarms(given.streams),
        "rates": false_alarms_of_rates(given.streams),
        "all": false_alarms_of_all(given.streams // 2),
        "days": days_that_differ(given.drifting),
        "by day": by_day(given.drifting),
        "delays": delays(given.drifting, given.after),
        "audits": audits(given.streams),
    }
    for name, rows in sections.items():
        lines = []
        for row in rows:
            lines.append(row)
            print(row, flush=True)
        text = text.replace(f"[{name}]", "\n".join(lines))
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


TEXT = """# Monitoring and audits

Made by `benchmarks/monitoring.py`. Scores of good parts are standard normal, 2 % of the parts are defective with scores
3 standard deviations higher; one picture a part. References are drawn anew for each of the streams.

## False alarms of the ranks of scores

Share of {streams} unchanged streams with a false alarm, which is to be at most alpha for ever, and with a false warning
at an ARL of {arl} parts, in brackets what is promised. Standard error for 0.05: 0.005.

[alarms]

## False alarms of rates

Share of {streams} streams of the reference's own rate whose confidence sequence ever parts from its interval.

[rates]

## False alarms of the whole monitor

`monitor` with scores, familiarity, three decisions and two conditions (15 signals): share of half as many streams.

[all]

## Days that differ

Not promised: parts of a day that are alike are not exchangeable with those of other days. Each day of 200 parts has its
scores shifted by a normal value of that standard deviation (that of parts is 1); references are 1000 parts of so many
days of the same kind. Share of {drifting} streams with an alarm at alpha 0.01.

[days]

With `unit="day"` each day is one value, here the median score of its 200 parts, and what is promised holds where days
are exchangeable: at alpha 0.01, streams of 200 days, with the shift from the first day on.

[by day]

## Delays

Parts from the change to the alarm at the share of alpha that scores have in `monitor` where familiarity and decisions
are watched too (alpha 0.01, without conditions): median of {drifting} streams, in brackets how many found it within
{after} parts. The change is there from the first part on, or comes after 1000 parts as in the reference. Warnings at an
ARL of {arl}; `rejects`: the confidence sequence of the share of parts above 2.5, which still holds the 1000 parts from
before. Drifts over 2000 parts count from their beginning.

[delays]

## Audits

{streams} cases a row at 95 %: `truth` defective parts among the accepted ones, on average the share `near` of them in
the 10 % nearest the threshold. `looked at`: parts that the plan asks for, to show the limit where the estimate is as
expected. `held`: share of cases with a bound of at least the truth, 0.95 or more is promised (standard error 0.005).
`shown`: share of cases whose bound is within the limit (where the truth is above it, a mistake). `bound`: its mean;
`Bonferroni`: mean of the sum of exact bounds of the strata at alpha by their number, for comparison.

[audits]
"""


if __name__ == "__main__":
    main()
