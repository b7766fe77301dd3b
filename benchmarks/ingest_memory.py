"""Memory and speed of preparing large pictures: `ingest_pictures` against plain decoding.

    python benchmarks/ingest_memory.py --pictures 10000 --size 384 --work /tmp/ingest

Writes JPEG pictures of 1600 x 1250 pixels with foreground masks, `--distinct` different ones under as many names as
asked for (hard links: reading and decoding cost the same, the disk is spared), then prepares them as `run-cv` would:
blacked out and centre-embedded. Memory is what the driver and all of Ray's processes hold for themselves (private pages
in /proc/PID/smaps_rollup, so without the object store, which is shared), sampled four times a second; Linux only. Plain
decoding is `read_picture` in one process
on a sample of the same files, times the processor slots. Results go to ingest_memory.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import ray

from raylab2f.cluster.pictures.foregrounds import measure_foregrounds
from raylab2f.cluster.pictures.ingest import ingest_pictures
from raylab2f.cluster.session import cluster_slots, ray_session
from raylab2f.datasets.pictures import read_mask, read_picture
from raylab2f.preparation import PreparationSettings, with_copies

HEIGHT, WIDTH = 1250, 1600
SAMPLE = 60


def write_pictures(folder: Path, count: int, distinct: int) -> pa.Table:
    """A manifest of `count` pictures, of which `distinct` differ."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(distinct):
        coarse = generator.integers(30, 90, (25, 32, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        centre = (int(generator.integers(500, 1100)), int(generator.integers(450, 800)))
        cv2.ellipse(mask, centre, (400, 250), float(generator.uniform(0, 180)), 0, 360, 255, -1)
        picture = cv2.add(picture, cv2.merge([mask // 2] * 3))
        picture = cv2.add(picture, generator.integers(0, 24, picture.shape, dtype=np.uint8))
        cv2.imwrite(str(folder / f"original-{number}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        cv2.imwrite(str(folder / f"original-{number}.png"), mask)
    rows = []
    for number in range(count):
        names = {suffix: folder / f"{number:06d}.{suffix}" for suffix in ("jpg", "png")}
        for suffix, path in names.items():
            os.link(folder / f"original-{number % distinct}.{suffix}", path)
        rows.append(
            {
                "image_id": names["jpg"].name,
                "path": str(names["jpg"]),
                "foreground_path": str(names["png"]),
                "mask_path": None,
            }
        )
    schema = pa.schema([(name, pa.string()) for name in ("image_id", "path", "foreground_path", "mask_path")])
    return pa.Table.from_pylist(rows, schema=schema)


class MemoryWatch:
    """Peak of the memory that this process and its descendants hold for themselves, in bytes."""

    def __enter__(self) -> MemoryWatch:
        self.peak, self.largest = 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            held = [private_bytes(process) for process in descendants(os.getpid())]
            self.peak, self.largest = max(self.peak, sum(held)), max(self.largest, *held)


def descendants(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name in brackets may hold spaces; the parent stands behind it.
            children.setdefault(int(path.read_text().rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
    found = [root]
    for process in found:
        found.extend(children.get(process, []))
    return found


def private_bytes(process: int) -> int:
    """Memory that no other process shares; 0 for a process that has just ended."""
    with suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024
    return 0


def memory_of_machine() -> float:
    """In GiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def decode_rate(manifest: pa.Table) -> float:
    """Pictures with their masks that one process reads and decodes in a second."""
    rows = manifest.slice(0, SAMPLE).to_pylist()
    read_picture(rows[0]["path"])
    started = time.perf_counter()
    for row in rows:
        read_picture(row["path"])
        read_mask(row["foreground_path"])
    return len(rows) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--distinct", type=int, default=50)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--work", type=Path, required=True, help="folder that is made and deleted")
    options = parser.parse_args()
    try:
        manifest = write_pictures(options.work / "pictures", options.pictures, min(options.distinct, options.pictures))
        before = decode_rate(manifest)
        settings = PreparationSettings(mask_background=True, centre_embed="auto", fit="pad")
        pictures = with_copies(manifest, settings.angles)
        cache = options.work / "cache"
        with ray_session(), MemoryWatch() as memory:
            slots = cluster_slots()[0]
            started = time.perf_counter()
            foregrounds = measure_foregrounds(pictures, "benchmark", cache)
            measured = time.perf_counter()
            preparation = settings.resolve((options.size, options.size), foregrounds)
            ingest_pictures(pictures, "benchmark", preparation, cache, pixel_limit=10_000_000)
            ended = time.perf_counter()
        plain = slots * (before + decode_rate(manifest)) / 2
    finally:
        shutil.rmtree(options.work, ignore_errors=True)
    rate = options.pictures / (ended - measured)
    lines = [
        "# Preparing large pictures",
        "",
        f"`python benchmarks/ingest_memory.py --pictures {options.pictures} --size {options.size}`, "
        f"{options.pictures:,} JPEG pictures of {WIDTH} x {HEIGHT} pixels with foreground masks, blacked out, "
        f"centre-embedded, {options.size} x {options.size} pixels out.",
        "",
        "| | |",
        "|---|---|",
        f"| peak memory of all processes, object store apart | {memory.peak / 2**30:.2f} GiB |",
        f"| largest single process | {memory.largest / 2**30:.2f} GiB |",
        f"| first pass over the masks | {options.pictures / (measured - started):.0f} masks/s |",
        f"| preparation | {rate:.1f} pictures/s |",
        f"| plain decoding of pictures and masks, {slots} processes | {plain:.1f} pictures/s |",
        f"| preparation / plain decoding | {rate / plain:.2f} |",
        "",
        f"{slots} processor slots of {platform.machine()}, {memory_of_machine():.0f} GiB; "
        f"Python {platform.python_version()}, ray {ray.__version__}, OpenCV {cv2.__version__}.",
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
