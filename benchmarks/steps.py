"""Training steps and inference on one CPU core, ours beside the published ones, and beside the core's limit.

python benchmarks/steps.py

Preset `fast`, the same batch and parameters for both, timed in turns in one process. Processor time is what counts:
other work on the machine stretches wall time. The limit: the floating-point operations of ours and of the published
step (torch's FlopCounterMode: products and convolutions, forwards and backwards), at the rate of a large float32
product. Results go to steps.md beside this file.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from detector_inference import csflow_inference, glass_inference
from detector_steps import SIZES, Call, Sizes, csflow_step, glass_step
from step_timing import Times, interleaved, machine, matrix_rate, versions
from torch.utils.flop_counter import FlopCounterMode

_CPU = torch.device("cpu")
_BATCH = 32
_PRODUCT = 2048
SIDES = ("ours", "published")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40, help="of timing for each comparison, about")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    torch.set_num_threads(1)

    load = os.getloadavg()
    rate = matrix_rate(_CPU, _PRODUCT)
    sizes = SIZES["fast"]
    short = Sizes(replace(sizes.csflow, precision="bfloat16"), replace(sizes.glass, precision="bfloat16"))
    kinds: dict[str, Callable[[str], Call]] = {
        "CS-Flow step, from features": partial(csflow_step, sizes=sizes, device=_CPU),
        "CS-Flow step, ours in bfloat16": partial(csflow_step, sizes=short, device=_CPU),
        "GLASS step, anomalies drawn before": partial(glass_step, sizes=sizes, device=_CPU),
        "GLASS step, ours in bfloat16": partial(glass_step, sizes=short, device=_CPU),
        "GLASS step, anomalies drawn in it": partial(glass_step, sizes=sizes, device=_CPU, drawn=True),
        f"CS-Flow, inference of {_BATCH}": partial(csflow_inference, sizes=sizes, device=_CPU, count=_BATCH),
        f"GLASS, inference of {_BATCH}": partial(glass_inference, sizes=sizes, device=_CPU, count=_BATCH),
    }
    rows = []
    for name, make in kinds.items():
        calls = {side: make(side) for side in SIDES}
        operations = {side: _operations(call) for side, call in calls.items()}
        rows.append((name, interleaved(calls, _CPU, seconds=options.seconds, most=100), operations))
    options.out.write_text(_report(rows, rate, load, options.seconds), encoding="utf-8")
    sys.stdout.write(options.out.read_text(encoding="utf-8"))


def _units() -> str:
    """Those of this processor, as Linux names them."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text(encoding="utf-8").split()) if cpuinfo.exists() else set()
    found = sorted(flags & {"amx_bf16", "avx512_bf16"})
    return f", as this one has ({', '.join(found)})" if found else ", which this one seems to lack"


def _operations(call: Call) -> int:
    """Floating-point operations of a call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def _report(
    rows: list[tuple[str, dict[str, Times], dict[str, int]]],
    rate: float,
    load: tuple[float, float, float],
    seconds: float,
) -> str:
    lines = [
        "# Training steps and inference on a CPU core, beside the published ones",
        "",
        f"`python benchmarks/steps.py --seconds {seconds:g}`: {machine(_CPU)}, one thread, load {load[0]:.1f} at the "
        f"start and {os.getloadavg()[0]:.1f} at the end; "
        + ", ".join(f"{name} {number}" for name, number in versions().items())
        + f". Preset `fast`; medians of processor and wall time. A float32 product of {_PRODUCT} x {_PRODUCT} matrices "
        f"runs at {rate / 1e9:.0f} GFLOP/s here; the limit is what the operations would take at that rate.",
        "",
        "| | rounds | ours | published | published / ours | wall: ours | published | published / ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, times, _ in rows:
        cells = [name, str(len(times["ours"].wall))]
        for kind in ("processor", "wall"):
            ours, published = (1e3 * times[side].median(kind) for side in SIDES)
            cells += [f"{ours:.1f} ms", f"{published:.1f} ms", f"**{published / ours:.2f}**"]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "| | GFLOP: ours | published | limit: ours | published | limit / processor time: ours | published |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, times, operations in rows:
        limits = [operations[side] / rate for side in SIDES]
        shares = [limit / times[side].median("processor") for side, limit in zip(SIDES, limits, strict=True)]
        cells = [f"{operations[side] / 1e9:.2f}" for side in SIDES] + [f"{1e3 * limit:.1f} ms" for limit in limits]
        lines.append(f"| {name} | " + " | ".join(cells + [f"{share:.0%}" for share in shares]) + " |")
    lines += [
        "",
        "A step of GLASS as published also passes the nominal pictures through the backbone, whose features raylab2f "
        "takes from its store; its ascent on global anomalies differentiates the discriminator by autograd, where ours "
        "runs on hidden units. Both draw local anomalies with raylab2f's code. Inference goes from prepared pictures "
        "to scores and patch maps, the backbone included. "
        f"Products of bfloat16 are fast where the processor has units for them{_units()}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
