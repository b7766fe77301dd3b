"""Small defects in large pictures: what is found, what it takes, with tiles and without.

    python benchmarks/tiles.py build/tiles-benchmark --good 40 --defective 20 --detector padim --tiles 512x512+64

Demo parts are rendered at 1,000 pixels and enlarged to 3,000 x 4,000; grain, and one defect in each defective part,
are added at that resolution: scratches from 8 to 200 pixels long. Then `raylab2f run-cv` runs on whole pictures and on
tiles, with the same folds, each with a cache of its own. What came out is in FOLDER/results.json and on the terminal.
"""

import argparse
import csv
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from raylab2f.datasets.demo import DemoConfig
from raylab2f.datasets.demo.render import demo_objects, render_object
from raylab2f.files.parquet import read_parquet
from raylab2f.seeding import numpy_generator
from raylab2f.versions import version_of

HEIGHT, WIDTH = 3000, 4000
#: Longest side of the defects, in pixels.
SIZES = (8, 16, 32, 64, 200)
CONTRAST = 70
GRAIN = 5.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--good", type=int, default=40)
    parser.add_argument("--defective", type=int, default=20)
    parser.add_argument("--detector", default="padim")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--size", default="160")
    parser.add_argument("--tiles", default="512x512+64")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--only", action="append", choices=("whole", "tiles"))
    parser.add_argument(
        "--plain", action="store_true", help="without foreground masks: all tiles are seen; other folds"
    )
    parser.add_argument("--render-only", action="store_true")
    options = parser.parse_args()
    plain, known = render(options.folder / "pictures", options.good, options.defective)
    if options.render_only:
        return
    ways = {"whole": [], "tiles": ["--tiles", options.tiles]}
    path = options.folder / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name, added in ways.items():
        if options.only is None or name in options.only:
            title = f"{options.detector}, {' '.join(added) or name}{', no foregrounds' if options.plain else ''}"
            results[title] = measure(options, title, plain if options.plain else known, added)
            path.write_text(json.dumps(results, indent=1))
    report(results)


def render(folder, good, defective):
    """Pictures and two manifests of them, without and with foreground masks; what is there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    config = DemoConfig(
        nominal_objects=good + defective,
        anomalous_objects=0,
        views=1,
        angle_range=(0, 0),
        angle_jitter=1.0,
        exposure_spread=0.03,
        clutter=0.0,
        picture_size=1000,
        test_share=0.0,
    )
    rows = []
    for number, item in enumerate(demo_objects(config)):
        size = None if number < good else SIZES[(number - good) % len(SIZES)]
        name = f"part{number:03d}.jpg"
        row = {
            "image_id": name,
            "path": name,
            "label": int(size is not None),
            "object_id": f"part{number:03d}",
            "mask_path": f"defect {name}.png" if size is not None else "",
            "foreground_path": f"part {name}.png",
            "size": size or "",
        }
        rows.append(row)
        if not (folder / name).exists():
            write_picture(folder, row, next(iter(render_object(config, item))), number)
    without = [name for name in rows[0] if name != "foreground_path"]
    for manifest, columns in (("plain.csv", without), ("known.csv", list(rows[0]))):
        with (folder / manifest).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    return folder / "plain.csv", folder / "known.csv"


def write_picture(folder, row, rendering, number):
    random = numpy_generator(0, "large picture", number)
    top = (WIDTH - HEIGHT) // 2
    window = slice(top, top + HEIGHT)
    picture = cv2.resize(rendering.picture, (WIDTH, WIDTH), interpolation=cv2.INTER_CUBIC)[window].astype(np.float32)
    part = cv2.resize(rendering.foreground.astype(np.uint8), (WIDTH, WIDTH), interpolation=cv2.INTER_NEAREST)[window]
    if row["label"]:
        defect = draw_defect(part, int(row["size"]), random)
        picture -= (defect * CONTRAST)[..., None]
        cv2.imwrite(str(folder / row["mask_path"]), (defect > 0.5).astype(np.uint8) * 255)
    picture += random.standard_normal(picture.shape[:2], dtype=np.float32)[..., None] * GRAIN
    cv2.imwrite(str(folder / row["foreground_path"]), part * 255)
    encoded = picture.clip(0, 255).astype(np.uint8)[..., ::-1]
    cv2.imwrite(str(folder / row["path"]), encoded, [cv2.IMWRITE_JPEG_QUALITY, 95])


def draw_defect(part, size, random):
    """(H, W) float32 from 0 to 1: a scratch, a quarter as wide as it is long, well inside the part."""
    inner = cv2.erode(part, np.ones((121, 121), np.uint8), borderValue=0)
    rows, columns = np.nonzero(inner if inner.any() else part)
    place = int(random.integers(len(rows)))
    defect = np.zeros(part.shape, np.uint8)
    axes = max(size // 2, 1), max(size // 8, 2)
    cv2.ellipse(defect, (int(columns[place]), int(rows[place])), axes, float(random.uniform(0, 180)), 0, 360, 255, -1)
    return cv2.GaussianBlur(defect, (0, 0), 0.8).astype(np.float32) / 255


def measure(options, name, manifest, added):
    """One run of the command line: seconds, peak memory of its processes together, what it found."""
    out, cache = options.folder / "runs" / name, options.folder / "caches" / name
    for folder in (out, cache):
        shutil.rmtree(folder, ignore_errors=True)
    command = [Path(sys.executable).with_name("raylab2f"), "run-cv", "--data", manifest, "--detector", options.detector]
    command += ["--preset", options.preset, "--size", options.size, "--folds", options.folds, "--replicates", 100]
    command += ["--cache", cache, "--out", out, *added]
    started = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    watch = Watch(process.pid)
    said, _ = process.communicate()
    seconds = time.monotonic() - started
    if process.returncode:
        raise SystemExit(said)
    (out / "said.txt").write_text(said)
    folds = [json.loads(path.read_text()) for path in out.glob("folds/*/fold.json")]
    return {
        "seconds": seconds,
        "fold_seconds": float(np.mean([fold["seconds"] for fold in folds])),
        **watch.stop(),
        "features_bytes": sum(path.stat().st_size for path in cache.glob("features/*/*.npy")),
        **found(out, manifest),
    }


def found(out, manifest):
    """Recall by size, overkill and pixel metrics over all folds, by the threshold of the fold."""
    with manifest.open(encoding="utf-8") as file:
        sizes = {row["image_id"]: row["size"] for row in csv.DictReader(file)}
    metrics = [row for row in read_parquet(out / "metrics.parquet").to_pylist() if row["level"] == "image"]
    thresholds = {row["fold"]: row["threshold"] for row in metrics if row["threshold"] is not None}
    decided = {size: [] for size in ("", *map(str, SIZES))}
    for path in sorted(out.glob("folds/*/scores.parquet")):
        for row in read_parquet(path).to_pylist():
            if row["partition"] == "inference":
                decided[sizes[row["image_id"]]].append(row["score"] >= thresholds[row["fold"]])
    summary = json.loads((out / "summary.json").read_text())
    values = {(row["level"], row["metric"]): row["mean"] for row in summary["estimates"]}
    return {
        "recall": {size: (int(sum(hits)), len(hits)) for size, hits in decided.items() if size},
        "overkill": (int(sum(decided[""])), len(decided[""])),
        "auroc": values.get(("image", "auroc")),
        "aupro": values.get(("pixel", "aupro_30")),
    }


class Watch:
    """Memory and work of a process with all that descend from it, looked at every two seconds.

    `most` is the greatest proportional memory of all together, `worker` that of the largest, in bytes; `seconds` are of
    processors, which tell more than a clock where others use the machine, too.
    """

    def __init__(self, pid):
        self.pid, self.most, self.worker, self.seconds, self.done = pid, 0, 0, {}, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.done.wait(2):
            alive = descendants(self.pid)
            sizes = [pss(pid) for pid in alive]
            self.most, self.worker = max(self.most, sum(sizes)), max(self.worker, *sizes)
            self.seconds |= {pid: seconds for pid in alive if (seconds := worked(pid)) is not None}

    def stop(self):
        self.done.set()
        self.thread.join()
        return {"peak_bytes": self.most, "process_bytes": self.worker, "work_seconds": sum(self.seconds.values())}


def worked(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descendants(pid):
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    todo, known = [pid], []
    while todo:
        known.append(todo.pop())
        todo += children.get(known[-1], [])
    return known


def pss(pid):
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def report(results):
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version_of(name)}" for name in ("raylab2f", "torch", "timm", "ray")))
    sizes = [f"{size} px" for size in SIZES]
    print(
        "|",
        " | ".join(["way", *sizes, "overkill", "AUROC", "AUPRO", "clock", "work", "largest process", "features"]),
        "|",
    )
    print("|---" * (len(SIZES) + 8) + "|")
    for name, row in results.items():
        cells = [share(row["recall"][str(size)]) for size in SIZES] + [share(row["overkill"])]
        cells += ["" if row[key] is None else f"{row[key]:.3f}" for key in ("auroc", "aupro")]
        cells += [f"{row[key]:.0f} s" for key in ("seconds", "work_seconds")]
        cells += [f"{row[key] / 2**20:,.0f} MiB" for key in ("process_bytes", "features_bytes")]
        print(f"| {name} |", " | ".join(cells), "|")


def share(counts):
    return f"{counts[0]}/{counts[1]}"


if __name__ == "__main__":
    main()
