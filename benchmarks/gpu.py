"""What a GPU makes of the detectors: right values, time of a step beside the published one, several folds, inference.

    PYTHONPATH=. python benchmarks/gpu.py --json gpu.json
    PYTHONPATH=. python benchmarks/gpu.py --device cpu --small --only parity,training

Needs torch, numpy, scipy, threadpoolctl, FrEIA, timm and safetensors; with OpenCV and scikit-image, local anomalies are
drawn as well. Sizes are the publications', weights and pictures are random: that changes no time, and no detection is
asked for. Under 8 minutes on an H100; `--small` takes less than one on a CPU core. A part that fails leaves the others
alone; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import light_imports
import torch
from gpu_parts import PARTS, Row, Task
from step_timing import machine, versions

_REFERENCE = Path(__file__).parents[1] / "tests" / "reference"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--reference", type=Path, default=_REFERENCE, help="folder of reference values")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that all works")
    parser.add_argument("--only", type=_parts, default=tuple(PARTS), metavar="A,B", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=2.0, help="that a timing takes, about (small: 0.1)")
    parser.add_argument("--json", type=Path, help="write the results there as well")
    options = parser.parse_args(arguments)

    device = torch.device(options.device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", 0)
    if device.type == "cpu":
        torch.set_num_threads(1)
    sizes = "small" if options.small else "paper"
    task = Task(device, sizes, options.reference, seconds=0.1 if options.small else options.seconds)
    results: dict[str, Any] = {"machine": _machine(device), "versions": versions(), "sizes": sizes, "parts": {}}
    for name in options.only:
        start = time.perf_counter()
        rows, error = _attempt(name, task)
        seconds = time.perf_counter() - start
        results["parts"][name] = {"rows": [asdict(row) for row in rows], "error": error, "seconds": seconds}
        # Whoever stops the program has what was measured until then.
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(_report(results))
    return int(any(part["error"] for part in results["parts"].values()))


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(
            f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        )
    return names


def _attempt(name: str, task: Task) -> tuple[list[Row], str | None]:
    try:
        return PARTS[name](task), None
    except Exception as error:
        traceback.print_exc()
        return [], f"{type(error).__name__}: {error}"


def _machine(device: torch.device) -> dict[str, Any]:
    found: dict[str, Any] = {
        "device": machine(device),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg(),
        "anomalies drawn": light_imports.HAS_OPENCV,
    }
    if device.type == "cuda":
        found |= {
            "memory_gib": torch.cuda.get_device_properties(device).total_memory / 2**30,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "tf32_convolutions": torch.backends.cudnn.allow_tf32,
            "tf32_products": torch.backends.cuda.matmul.allow_tf32,
        }
    return found


def _report(results: dict[str, Any]) -> str:
    facts = results["machine"] | results["versions"]
    lines = [
        f"Sizes: {results['sizes']}; random weights and pictures. "
        + ", ".join(f"{name} {value}" for name, value in facts.items()),
        "",
        "| | ours | published | ours / published | unit | |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in results["parts"].items():
        lines.append(f"| **{name}** ({part['seconds']:.0f} s) | | | | | |")
        if part["error"]:
            lines.append(f"| failed | | | | | {part['error'].splitlines()[-1]} |")
        for row in part["rows"]:
            ours, published = row["ours"], row["published"]
            ratio = f"{ours / published:.2f}" if ours is not None and published else ""
            cells = [row["what"], _number(ours), _number(published), ratio, row["unit"], row["note"]]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main())
