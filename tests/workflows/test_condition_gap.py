"""What an unseen condition costs, on rendered parts and a small detector: found where it is planted, not elsewhere."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from in_process import raylab2f
from rich.console import Console

from raylab2f.datasets.demo import DemoConfig, demo_dataset
from raylab2f.files.parquet import read_parquet
from raylab2f.reporting import Display
from raylab2f.workflows.diagnosis import diagnose_run

DEMO = DemoConfig(
    picture_size=96, nominal_objects=48, anomalous_objects=24, views=2, angle_range=(0, 30), defect_size=3.0
)
SCHEME = "leave-condition-out"
COLUMNS = ("path", "label", "object_id", "view", "condition")


def rows_of(folder, condition):
    """Rows of a rendered data set's manifest; `condition(number of the part, of the view)` names the condition."""
    table = read_parquet(folder / "manifest.parquet").to_pylist()
    parts, views = (sorted({row[name] for row in table}) for name in ("object_id", "view"))
    return [
        {
            **{name: row[name] for name in ("label", "object_id", "view")},
            "path": str(folder / row["path"]),
            "condition": condition(parts.index(row["object_id"]), views.index(row["view"])),
        }
        for row in table
    ]


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    """By name: `clean`, where conditions are only names, and `dark`, whose pictures by night have other light."""
    cache, folder = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("manifests")
    day = demo_dataset(DEMO, cache, workers=1)
    night = demo_dataset(replace(DEMO, exposure_mean=-2.0), cache, workers=1)
    found = {
        "clean": rows_of(day, lambda part, view: ("day", "night")[(part + view) % 2]),
        "dark": rows_of(day, lambda *_: "day") + rows_of(night, lambda *_: "night"),
    }
    for name, rows in found.items():
        pq.write_table(pa.Table.from_pylist(rows).select(COLUMNS), folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in found}


@pytest.fixture(scope="module")
def diagnosed(manifests, shared_ray, tmp_path_factory):
    """diagnosed(name) -> the folder of the run that leaves conditions out, and what the diagnosis says of it."""
    runs, cache = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("cache")

    def diagnose(name):
        common = ["--data", manifests[name], "--detector", "mahalanobis", "--size", 64, "--folds", 4, "--cache", cache]
        for scheme in ("balanced", SCHEME):
            out = ["--scheme", scheme, "--out", runs / name / scheme]
            done = raylab2f("run-cv", *common, *out, "--replicates", 100, "--max-parallel-folds", 1)
            assert done.returncode == 0, done.stdout + done.stderr
        folder = runs / name / SCHEME
        [finding] = diagnose_run(folder, cache=cache, display=Display(Console(quiet=True)), only=("condition",))
        return folder, finding

    return diagnose


@pytest.mark.slow
def test_another_exposure_that_was_never_seen_is_found(diagnosed):
    folder, finding = diagnosed("dark")
    assert (finding.verdict, finding.code) == ("fail", "RL109"), finding.to_dict()
    assert finding.measure("gap[night]").verdict == "fail"
    assert (folder / "diagnosis" / "condition.parquet").is_file()


@pytest.mark.slow
def test_conditions_that_differ_by_name_alone_do_not_fail(diagnosed):
    _, finding = diagnosed("clean")
    assert finding.verdict in ("pass", "warn"), finding.to_dict()
    assert {measure.name for measure in finding.measures} == {"gap[day]", "gap[night]"}
