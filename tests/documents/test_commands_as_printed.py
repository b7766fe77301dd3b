"""Every command and every piece of Python in the documentation does what it is there for, as printed, on small data.

`run-cv` gets options beside those printed that make its detectors small, and few folds; nothing else is changed but the
names of a cluster's machines and shared folder.
"""

import contextlib
import io
import re
import shutil
from pathlib import Path

import pytest
from documents import PAGES, Step, steps
from documents_world import World
from in_process import raylab2f

pytestmark = pytest.mark.xdist_group("documents")

SMALL = {"--epochs": "1", "--replicates": "100", "--max-parallel-folds": "1", "--folds": "2"}
MOST_FOLDS = 3
#: For pictures as small as ours.
SMALL_TILES = "48+8"
#: The smallest sizes that the presets' layers allow.
SIZES = {"glass": "64", "csflow": "128"}
#: Refuse epochs.
FITTED = {"dfm", "patchcore", "padim", "mahalanobis"}
#: What readers have done before they come to a page that speaks of it.
BEFORE = [
    Step("before", words=("run-cv", "--data", "parts.csv", "--folds", "3", "--out", f"runs/{name}", "--detector", name))
    for name in ("glass", "csflow")
]
#: What readers meet first is run with every test, but of the README's runs only those that later commands look at; the
#: others, and the other pages, by `make docs-check`.
ALWAYS = ("before", "README.md")
LOOKED_AT = ("runs/first", "runs/line")
#: What needs a model that is not here, or machines.
ELSEWHERE = ("grounded-sam", "tiny", "runs/tiny")
ON_A_CLUSTER = ("submit", "cluster", "jobs")
#: What ends only when it is told to; `tests/cluster/serving` tells it.
UNTIL_STOPPED = ("serve",)
#: Detectors whose module a page prints beside the command; `test_other_detectors` runs those.
_OF_A_PAGE = re.compile(r"(?!anomalib:)[a-z]+:[A-Z]")


def _every_step():
    """Each once, on the first page that has it."""
    found = {}
    for step in [*BEFORE, *(step for page in PAGES for step in steps(page))]:
        if not any(word in ELSEWHERE for word in step.words):
            found.setdefault((step.words, step.source), step)
    return [
        pytest.param(step, id=str(step), marks=() if _is_always_run(step) else pytest.mark.documents)
        for step in found.values()
        if not set(step.words[:1]) & {*ON_A_CLUSTER, *UNTIL_STOPPED} and not any(map(_OF_A_PAGE.match, step.words))
    ]


def _is_always_run(step):
    trains = step.words[:1] == ("run-cv",) and step.page not in ALWAYS[:1]
    return step.page in ALWAYS and (not trains or any(out in LOOKED_AT for out in _after("--out", step.words)))


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with all that the pages take for granted."""
    return World(tmp_path_factory.mktemp("reader")).folder


def small(words):
    """A command's words with options that make its detectors small, unless it has its own or those of another run."""
    of_a_run = "--resume" in words or any(word.startswith("runs/") for word in _after("--config", words))
    if words[0] != "run-cv" or of_a_run:
        return list(words)
    detectors = _after("--detector", words)
    size = max((SIZES.get(name, SIZES["glass"]) for name in detectors), key=int, default=SIZES["glass"])
    options = SMALL | {"--size": size}
    if FITTED.intersection(detectors):
        del options["--epochs"]
    added = [part for name in options if name not in words for part in (name, options[name])]
    folds = _after("--folds", words)
    words = [SMALL_TILES if word in _after("--tiles", words) else word for word in words]
    few = [str(min(int(word), MOST_FOLDS)) if word in folds and word.isdigit() else word for word in words]
    return [*few, *added]


def _after(option, words):
    return [words[at + 1] for at, word in enumerate(words) if word == option]


def _make_room(words):
    """Each page begins anew: what another one left at --out goes."""
    if "--resume" not in words:
        for out in _after("--out", words):
            place = Path(out)
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)


def _run_python(source):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(source, "page", "exec"), {"__name__": "page"})
    return said.getvalue()


@pytest.mark.parametrize("step", _every_step())
def test_what_a_page_shows_works(step, world, shared_ray, monkeypatch):
    monkeypatch.chdir(world)
    monkeypatch.setenv("RAYLAB2F_CACHE", str(world.parent / "cache"))
    if step.source:
        _run_python(step.source)
        return
    _make_room(step.words)
    done = raylab2f(*small(step.words))
    # A verdict has a code of its own: not yet shown, or refuted, by so few pictures.
    expected = {0, 3, 4} if step.words[0] == "accept" else {0}
    assert done.returncode in expected, done.stdout[-2000:] + done.stderr[-2000:]
