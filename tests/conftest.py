"""Reference values: every `.npz` in a folder, told apart by the keys it holds; and an object store."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from s3_server import CREDENTIALS, S3Server

# Small runs, and a package, that several folders' tests share.
pytest_plugins = ["added_packages", "small_runs", "written_runs"]

# A test says what holds, not how fast: a busy machine must not fail it.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TESTS = Path(__file__).parent

#: Fixtures of one session that take longest, the runs and the cluster that several modules look at.
SHARED = ("csflow_run", "finished_run", "head")

KINDS = {
    "csflow_reference": lambda keys: {"x0", "z0", "param/block0.s1.conv_scale0_0.weight"} <= keys,
    "glass_training_reference": lambda keys: "patch_features_step0" in keys,
    "glass_judge_reference": lambda keys: any(key.endswith("/bgr_image") for key in keys),
}


def pytest_addoption(parser):
    parser.addoption(
        "--reference-dir",
        type=Path,
        default=TESTS / "reference",
        help="folder with reference values (.npz); default: tests/reference",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items):
    """Tests of one module, and modules that share what took long to make, stay in one process.

    What takes long comes first, so that no process waits for another at the end.
    """
    shares = {}
    for item in items:
        used = [fixture for fixture in SHARED if fixture in item.fixturenames]
        # A module goes as a whole, for it may have fixtures of its own.
        shares[item.path] = min([*used, shares.get(item.path, item.path.name)], key=_rank)
    alone = {item.path.name for item in items if "shared_ray" in item.fixturenames}
    first = [*sorted(alone), *SHARED]
    for item in items:
        item.add_marker(pytest.mark.xdist_group(shares[item.path]))
    items.sort(key=lambda item: first.index(shares[item.path]) if shares[item.path] in first else len(first))
    return (yield)


def _rank(group):
    return SHARED.index(group) if group in SHARED else len(SHARED)


def pytest_generate_tests(metafunc):
    for fixture, is_kind in KINDS.items():
        if fixture not in metafunc.fixturenames:
            continue
        folder = metafunc.config.getoption("--reference-dir")
        paths = []
        for path in sorted(folder.glob("*.npz")):
            with np.load(path, allow_pickle=False) as arrays:
                if is_kind(set(arrays.files)):
                    paths.append(path)
        skip = pytest.mark.skip(reason=f"{folder} holds no file of this kind")
        parameters = [pytest.param(path, id=path.name) for path in paths] or [pytest.param(None, marks=skip)]
        metafunc.parametrize(fixture, parameters, indirect=True)


def _arrays(request):
    with np.load(request.param, allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


@pytest.fixture
def csflow_reference(request):
    return _arrays(request)


@pytest.fixture
def glass_training_reference(request):
    return _arrays(request)


@pytest.fixture
def glass_judge_reference(request):
    return _arrays(request)


@pytest.fixture(scope="session")
def s3():
    """An S3 server with the bucket `bucket`; this process, and what it starts, has the credentials."""
    server = S3Server()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server.create_bucket("bucket")
        yield server
    server.stop()
