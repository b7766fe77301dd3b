"""What serving over HTTP costs beside a plain loop, and what is lost when a model is exchanged or a process is killed.

    python benchmarks/serving.py --work /tmp/serving

A PaDiM of the demonstration pictures judges them: in a loop in this process, and by `raylab2f serve` with 16 clients on
the same machine, which share its cores with it. Results go to serving.md beside this file. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from raylab2f.datasets.pictures import picture_of
from raylab2f.models import Judge, load_model

BIN = Path(sys.executable).parent / "raylab2f"
PORT = 8799
REQUESTS, CLIENTS = 500, 16
PATIENCE = 120.0
#: Seconds from the command until it serves.
STARTS: list[float] = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder for the run and its models")
    work = parser.parse_args().work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    # As in the server: one thread, for equal scores.
    torch.set_num_threads(1)
    make_models(work)
    pictures = demo_pictures(work / "run")
    rows = [loop(load_model(work / "refit"), pictures, size) for size in (1, 32)]
    rows += [served(work, pictures, size, count) for size, count in ((1, CLIENTS), (8, CLIENTS), (32, CLIENTS), (8, 1))]
    faults = [exchanged(work, pictures), killed(work, pictures)]
    faults.append(f"From the command until it serves: {min(STARTS):.0f} to {max(STARTS):.0f} s, {len(STARTS)} times.")
    write_results(rows, faults)


def make_models(work: Path) -> None:
    if not (work / "run" / "summary.json").exists():
        options = ["--folds", "3", "--detector", "padim", "--preset", "fast", "--replicates", "300"]
        subprocess.run([BIN, "run-cv", *options, "--out", work / "run"], check=True, stdout=subprocess.DEVNULL)
    for name, way in (("refit", ["--refit"]), ("fold", ["--from-fold", "0"])):
        if not (work / name / "model.json").exists():
            command = [BIN, "finalise", work / "run", *way, "--out", work / name]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def demo_pictures(run: Path) -> list[bytes]:
    """32 files, some of them of defective parts."""
    paths = pq.read_table(run / "manifest.parquet")["path"].to_pylist()
    return [Path(path).read_bytes() for path in paths[:: len(paths) // 32][:32]]


def loop(judge: Judge, pictures: list[bytes], size: int) -> dict:
    """Decode and judge `size` pictures at a time, as many as are requested otherwise."""
    judge.look([picture_of("", one) for one in pictures[:size]])
    seconds = []
    for _ in range(max(1, REQUESTS // size)):
        begun = time.perf_counter()
        judge.look([picture_of("", one) for one in (pictures * 2)[:size]])
        seconds.append(time.perf_counter() - begun)
    rate = size * len(seconds) / sum(seconds)
    return {"way": f"loop, {size} at a time", "errors": 0, "seconds": seconds, "rate": rate, "load": os.getloadavg()[0]}


def served(work: Path, pictures: list[bytes], most: int, count: int) -> dict:
    with server(work / "refit", "--max-batch", str(most)):
        requests(pictures, REQUESTS // 5, count)
        begun = time.perf_counter()
        found = requests(pictures, REQUESTS, count)
        took = time.perf_counter() - begun
        batches = mean_batch()
    seconds = [one for _, one, status in found if status == 200]
    return {
        "way": f"serve, {count} client{'s' * (count > 1)}, --max-batch {most} (mean {batches:.1f})",
        "errors": sum(status != 200 for *_, status in found),
        "seconds": seconds,
        "rate": len(seconds) / took,
        "load": os.getloadavg()[0],
    }


def exchanged(work: Path, pictures: list[bytes]) -> str:
    """The model's folder is exchanged, twice, while clients ask."""
    place = work / "current"
    link(place, work / "refit")
    with server(place):
        said = load_while(pictures, lambda: [swap(place, work / name) for name in ("fold", "refit")])
    statuses, digests = Counter(status for *_, status in said), len({digest for digest, *_ in said if digest})
    failed = sum(count for status, count in statuses.items() if status != 200)
    return (
        f"A model exchanged twice under load from {CLIENTS} clients: {failed} of {len(said)} requests failed, "
        f"{digests} models answered."
    )


def killed(work: Path, pictures: list[bytes]) -> str:
    """`kill -9` of the only replica while clients ask."""
    moments: list[float] = []

    def kill() -> None:
        time.sleep(2)
        moments.append(time.perf_counter())
        os.kill(replica(), signal.SIGKILL)
        time.sleep(20)

    with server(work / "refit"):
        said = load_while(pictures, kill)
        lost = metric("raylab2f_replica_losses_total")
    failed = sum(status != 200 for *_, status in said)
    ends = sorted(end for _, end, status in said if status == 200)
    after = next(end for end in ends if end > moments[0] + 0.5)
    return (
        f"`kill -9` of the only replica under load from {CLIENTS} clients: {failed} of {len(said)} requests failed "
        f"({lost:.0f} were in the process and were judged again by the next one); {after - moments[0]:.1f} s until "
        "verdicts came again."
    )


@contextlib.contextmanager
def server(model: Path, *options: str) -> Iterator[None]:
    begun = time.monotonic()
    command = [BIN, "serve", f"model={model}", "--port", str(PORT), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("serving"), line
            STARTS.append(time.monotonic() - begun)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def client(pictures: list[bytes], first: int, goes_on: Callable[[int], bool], found: list) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
    number = 0
    while goes_on(number):
        begun = time.perf_counter()
        digest = ""
        try:
            body = pictures[(first + number) % len(pictures)]
            connection.request("POST", "/v1/judge", body, {"Content-Type": "image/png"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            status, digest = response.status, answer.get("model", {}).get("digest", "")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status = type(error).__name__
        end = time.perf_counter()
        found.append((digest, end, status, end - begun))
        number += 1
    connection.close()


def clients(
    pictures: list[bytes],
    goes_on: Callable[[int], bool],
    between: Callable[[], object] | None = None,
    threads: int = CLIENTS,
) -> list:
    found: list = []
    running = [
        threading.Thread(target=client, args=(pictures, number, goes_on, found), daemon=True)
        for number in range(threads)
    ]
    for thread in running:
        thread.start()
    if between is not None:
        between()
    for thread in running:
        thread.join()
    return found


def requests(pictures: list[bytes], count: int, threads: int) -> list:
    lock, left = threading.Lock(), [count]

    def goes_on(_: int) -> bool:
        with lock:
            left[0] -= 1
            return left[0] >= 0

    return [(end, seconds, status) for _, end, status, seconds in clients(pictures, goes_on, threads=threads)]


def load_while(pictures: list[bytes], work: Callable[[], object]) -> list:
    """(digest, end, status) of all requests that clients made while, and a second after, the work was done."""
    done = threading.Event()

    def between() -> None:
        work()
        time.sleep(1)
        done.set()

    return [one[:3] for one in clients(pictures, lambda _: not done.is_set(), between)]


def link(place: Path, target: Path) -> None:
    """A link that changes in one step."""
    temporary = place.with_name(".next")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(place)


def swap(place: Path, target: Path) -> None:
    before = metric("raylab2f_models_replaced_total")
    time.sleep(1)
    link(place, target)
    until = time.monotonic() + PATIENCE
    while metric("raylab2f_models_replaced_total") == before:
        assert time.monotonic() < until, "the model was not exchanged"
        time.sleep(0.2)


def replica() -> int:
    """The process of the only replica."""
    titles = {int(path.parent.name): path for path in Path("/proc").glob("[0-9]*/cmdline")}
    for pid, path in titles.items():
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::ServeReplica:raylab2f-model"):
                return pid
    raise AssertionError("there is no replica")


def metrics() -> dict[str, float]:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


def metric(name: str) -> float:
    return metrics()[name]


def mean_batch() -> float:
    found = metrics()
    return found["raylab2f_batch_pictures_sum"] / found["raylab2f_batch_pictures_count"]


def write_results(rows: list[dict], faults: list[str]) -> None:
    lines = [
        "# Serving over HTTP, beside a plain loop",
        "",
        f"`python benchmarks/serving.py`: a PaDiM on 160-pixel pictures (PNG of 256 pixels), one thread. {REQUESTS} "
        "requests each, no picture twice in a row; the loop decodes as well. Milliseconds are of a batch in the loop, "
        "and of a request otherwise, waiting included.",
        "",
        "| way | errors | p50, ms | p99, ms | pictures a second | load |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        half, most = (1000 * np.quantile(row["seconds"], share) for share in (0.5, 0.99))
        lines.append(
            f"| {row['way']} | {row['errors']} | {half:.0f} | {most:.0f} | {row['rate']:.1f} | {row['load']:.0f} |"
        )
    lines += ["", *(f"- {fault}" for fault in faults), ""]
    packages = ", ".join(f"{name} {version(name)}" for name in ("ray", "torch", "fastapi", "uvicorn"))
    lines.append(
        f"{os.cpu_count()} cores of {platform.machine()}, shared with the clients and with other work: the load is the "
        "mean number of processes that ran or wanted to, over a minute. "
        f"Python {platform.python_version()}, {packages}."
    )
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
