"""The tables of coverage.md."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

import numpy as np
from simulated_factory import ESTIMANDS, Setting

__all__ = ["write_tables"]

_METRICS = ("balanced_accuracy", "recall", "specificity", "auroc")
_AIM = (0.93, 0.97)
_FEW = 20


def write_tables(
    results: Mapping[Setting, Mapping[str, np.ndarray]],
    methods: Sequence[str],
    protocols: Sequence[str],
    *,
    replicates: int,
    seconds: float,
) -> str:
    """Markdown.

    Arguments:
        results: for each setting `truth` (8,) and, over d data sets, `ends` (d, methods, 2, 8), `means`
            (d, protocols, 8), `controls` (d, c) and `warned` (d,); the 8 are `ESTIMANDS`.
        methods, protocols: names; the first of each is the recommended one.
        replicates, seconds: of the run.
    """
    covered = {setting: _covered(found) for setting, found in results.items()}
    datasets = min(len(found["warned"]) for found in results.values())
    error = np.sqrt(0.95 * 0.05 / datasets)
    lines = [
        "# Coverage of nominal 95 % intervals, and bias",
        "",
        f"{datasets:,} simulated data sets a setting, {replicates} bootstrap replicates, 10 folds, strategy youden, "
        f"Python {platform.python_version()}, numpy {np.__version__}, {seconds / 60:.0f} minutes for what was not "
        f"there from an earlier run. Standard error of a coverage of 0.95: {error:.3f}. Values are picture level / "
        "object level. docs/coverage.md says what is estimated and what the tables mean.",
        "",
        f"## The default, {methods[0]}",
        "",
        "| objects x pictures | " + " | ".join(_METRICS) + " | warned |",
        "|---|" + "---|" * (len(_METRICS) + 1),
        *(_default_row(setting, covered[setting][:, 0], found) for setting, found in results.items()),
        "",
        *_verdict(covered, results),
        "",
        f"## All methods, settings with at least {_FEW} anomalous objects",
        "",
        "Mean coverage over these settings, in brackets the lowest and the highest; last the mean width of the "
        "interval of the balanced accuracy. `object-bootstrap-bca` and `naive-picture-bootstrap` were computed for "
        "every fourth data set.",
        "",
        *_methods_table(results, covered, methods),
        "",
        "## Truth and bias of the recommended protocol",
        "",
        "Truth, and mean estimate minus truth with its standard error. How easy a simulated sample is by chance is "
        "taken out by regression on control values with known expectation (`simulated_factory.draw_scores`).",
        "",
        "| objects x pictures | " + " | ".join(_METRICS) + " |",
        "|---|" + "---|" * len(_METRICS),
        *(_truth_row(setting, found) for setting, found in results.items()),
        "",
        "## Bias of shortcuts, picture level",
        "",
        "| objects x pictures | metric | " + " | ".join(protocols) + " |",
        "|---|---|" + "---|" * len(protocols),
        *(row for setting, found in results.items() for row in _protocol_rows(setting, found)),
    ]
    return "\n".join(lines) + "\n"


def _covered(found: Mapping[str, np.ndarray]) -> np.ndarray:
    """(d, methods, estimands): 1, 0, or NaN where the method does not apply."""
    low, high = found["ends"][:, :, 0], found["ends"][:, :, 1]
    inside = (low <= found["truth"]) & (found["truth"] <= high)
    return np.where(np.isnan(low), np.nan, inside)


def _mean(values: np.ndarray) -> float:
    """Of what is there; NaN if nothing is."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else np.nan


def _place(level: str, metric: str) -> int:
    return ESTIMANDS.index((level, metric))


def _pair(image: str, by_object: str) -> str:
    return f"{image} / {by_object}"


def _as_aimed(share: float) -> bool:
    """Whether the share as it is printed lies in the range aimed at."""
    return _AIM[0] <= float(f"{share:.2f}") <= _AIM[1]


def _default_row(setting: Setting, covered: np.ndarray, found: Mapping[str, np.ndarray]) -> str:
    cells = []
    for metric in _METRICS:
        shares = [_mean(covered[:, _place(level, metric)]) for level in ("image", "object")]
        marked = [_marked(share) for share in shares]
        cells.append(_pair(*marked))
    return f"| {setting.name} | " + " | ".join(cells) + f" | {found['warned'].mean():.0%} |"


def _marked(share: float) -> str:
    if np.isnan(share):
        return "–"
    return f"{share:.2f}" if _as_aimed(share) else f"**{share:.2f}**"


def _verdict(covered: Mapping[Setting, np.ndarray], results: Mapping[Setting, Mapping[str, np.ndarray]]) -> list[str]:
    enough = [setting for setting in covered if setting.anomalous >= _FEW]
    if not enough:
        return []
    shares = np.array([[_mean(column) for column in covered[setting][:, 0].T] for setting in enough])
    known = ~np.isnan(shares)
    inside = np.vectorize(_as_aimed)(shares) & known
    bias = max(float(np.nanmax(np.abs(_bias(found, 0)[0]))) for found in results.values())
    below = (~inside & (shares < _AIM[0])).sum()
    outside = [
        f"{setting.name} (warned: {results[setting]['warned'].mean():.0%})"
        for setting, cells in zip(enough, inside | ~known, strict=True)
        if not cells.all()
    ]
    return [
        f"From {_FEW} anomalous objects up, {inside.sum()} of {known.sum()} values lie in {_AIM[0]} to {_AIM[1]}, "
        f"{below} below (lowest {np.nanmin(shares):.3f}) and {known.sum() - inside.sum() - below} above (highest "
        f"{np.nanmax(shares):.3f}); their mean is {np.nanmean(shares):.3f}. Values outside are in bold. `warned` is "
        "the share of data sets whose summary holds a warning. Settings with a value outside: "
        f"{'; '.join(outside) or 'none'}. The largest bias of the recommended protocol in any setting is {bias:.4f}.",
    ]


def _methods_table(
    results: Mapping[Setting, Mapping[str, np.ndarray]],
    covered: Mapping[Setting, np.ndarray],
    methods: Sequence[str],
) -> list[str]:
    enough = [setting for setting in covered if setting.anomalous >= _FEW]
    lines = ["| method | " + " | ".join(_METRICS) + " | width |", "|---|" + "---|" * (len(_METRICS) + 1)]
    for number, method in enumerate(methods):
        cells = []
        for metric in _METRICS:
            texts = []
            for level in ("image", "object"):
                shares = np.array([_mean(covered[setting][:, number, _place(level, metric)]) for setting in enough])
                texts.append(
                    "–"
                    if not len(shares) or np.isnan(shares).all()
                    else f"{np.nanmean(shares):.2f} ({np.nanmin(shares):.2f}–{np.nanmax(shares):.2f})"
                )
            cells.append("–" if set(texts) == {"–"} else _pair(*texts))
        widths = []
        for level in ("image", "object"):
            ends = [results[setting]["ends"][:, number, :, _place(level, "balanced_accuracy")] for setting in enough]
            width = float(np.mean([_mean(end[:, 1] - end[:, 0]) for end in ends])) if ends else np.nan
            widths.append("–" if np.isnan(width) else f"{width:.2f}")
        cells.append("–" if set(widths) == {"–"} else _pair(*widths))
        lines.append(f"| `{method}` | " + " | ".join(cells) + " |")
    return lines


def _bias(found: Mapping[str, np.ndarray], protocol: int) -> tuple[np.ndarray, np.ndarray]:
    """(8,) mean estimate minus truth, and its standard error: the intercept of a regression on the controls."""
    values = found["means"][:, protocol] - found["truth"]
    rows = ~np.isnan(values[:, 0])
    design = np.column_stack((np.ones(int(rows.sum())), found["controls"][rows]))
    solution = np.linalg.lstsq(design, np.nan_to_num(values[rows]), rcond=None)[0]
    left = values[rows] - design @ solution
    # Controls may coincide: with one picture an object, pictures and objects are the same.
    inverse = np.linalg.pinv(design.T @ design)[0, 0]
    undefined = np.isnan(values[rows]).any(axis=0)
    error = np.sqrt((left**2).sum(axis=0) / (len(left) - design.shape[1]) * inverse)
    return np.where(undefined, np.nan, solution[0]), np.where(undefined, np.nan, error)


def _truth_row(setting: Setting, found: Mapping[str, np.ndarray]) -> str:
    bias, error = _bias(found, 0)
    cells = []
    for metric in _METRICS:
        pair = [_place(level, metric) for level in ("image", "object")]
        texts = [f"{found['truth'][p]:.3f} {bias[p]:+.4f} ± {error[p]:.4f}" for p in pair]
        cells.append(_pair(*("–" if np.isnan(bias[p]) else text for p, text in zip(pair, texts, strict=True))))
    return f"| {setting.name} | " + " | ".join(cells) + " |"


def _protocol_rows(setting: Setting, found: Mapping[str, np.ndarray]) -> list[str]:
    protocols = found["means"].shape[1]
    bias = np.stack([_bias(found, protocol)[0] for protocol in range(protocols)])
    rows = []
    for metric in ("balanced_accuracy", "auroc"):
        values = " | ".join(f"{value:+.4f}" for value in bias[:, _place("image", metric)])
        rows.append(f"| {setting.name} | {metric} | {values} |")
    return rows
