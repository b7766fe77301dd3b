"""Users of one group fill, use and mend one cache; others are told what they may not."""

import os
from pathlib import Path

import numpy as np
import pytest
from other_users import ANN, BOB, LAB, STRANGER, acting_as, folder_for_all, needs_other_users, start_as

from raylab2f.errors import UserError
from raylab2f.features import FeatureStore, drop_damaged_parts, finish_store, missing_parts, write_part
from raylab2f.files.atomic import remove_temporaries
from raylab2f.files.locks import folder_in_use
from raylab2f.preparation import PictureShards, drop_damaged_shards, finish_shards, write_shard
from raylab2f.preparation.shards import shard_path

pytestmark = needs_other_users

PARTS = 40


def fill(cache):
    """What runs do with a cache; returns the files that were found damaged, and what all files hold."""
    features, pictures = Path(cache, "features", "f00"), Path(cache, "pictures", "p00")
    damaged = []
    for folder, drop in ((features, drop_damaged_parts), (pictures, drop_damaged_shards)):
        remove_temporaries(folder, 60)
        damaged += drop(folder)
    if not (pictures / "shards.json").exists():
        blank = np.zeros((2, 4, 4, 3), np.uint8)
        write_shard(shard_path(pictures, 0), ["a", "b"], blank, blank[..., 0] > 0, blank[..., 0] > 0)
        finish_shards(pictures, ["a", "b"], False, {})
    for part in missing_parts(features, PARTS):
        write_part(features, part, [str(part)], ["l"], [np.full((1, 2, 3, 3), part, np.float32)])
    finish_store(features, {"dtype": "float16", "layers": ["l"]})
    store = FeatureStore.open(features)
    store.verify()
    values = store.read([str(part) for part in range(PARTS)], "l")[:, 0, 0, 0].tolist()
    return damaged, values == list(range(PARTS)) and not PictureShards.open(pictures).read(["b"])["picture"].any()


def fill_as(user, cache, umask=0o022):
    with acting_as(user, umask):
        return fill(cache)


@pytest.fixture
def cache():
    with folder_for_all() as folder:
        cache = folder / "cache"
        cache.mkdir()
        os.chown(cache, ANN, LAB)
        cache.chmod(0o2775)
        yield cache


@pytest.mark.parametrize("umask", [0o022, 0o077], ids=oct)
def test_what_one_makes_the_other_uses_and_mends(cache, umask):
    assert fill_as(ANN, cache, umask) == ([], True)
    assert fill_as(BOB, cache, umask) == ([], True)
    assert (cache / "features" / "f00" / "store.json").stat().st_uid == ANN
    (cache / "features" / "f00" / "part-00003.l.npy").write_bytes(b"other")
    (cache / "pictures" / "p00" / "part-00000.parquet").write_bytes(b"other")
    assert fill_as(BOB, cache, umask) == (["part-00003.l.npy", "part-00000.parquet"], True)
    assert fill_as(ANN, cache, umask) == ([], True)


def test_two_at_the_same_time_both_end_right(cache):
    source = (
        "import sys, time; sys.path[:0] = sys.argv[2:]; from test_two_users import *\n"
        "print('ready', flush=True); deadline = time.monotonic() + 60\n"
        "while not (Path(sys.argv[1]).parent / 'go').exists() and time.monotonic() < deadline: pass\n"
        "print(*(fill(Path(sys.argv[1]) / str(n))[1] for n in range(5)))"
    )
    tests = Path(__file__).parent
    places = (cache, tests, tests.parent / "support")
    users = [start_as(user, source, *places, umask=0o077) for user in (ANN, BOB)]
    for user in users:
        assert user.stdout.readline() == "ready\n"
    (cache.parent / "go").touch()
    assert [user.communicate()[0].split() for user in users] == [["True"] * 5] * 2
    owners = {path.stat().st_uid for path in cache.rglob("*")}
    assert owners == {ANN, BOB}


def test_what_a_killed_command_of_another_left_is_no_hindrance(cache):
    fill_as(ANN, cache)
    left = cache / "features" / "f00" / ".part-00001.l.npy.123.0123abcd.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    left.parent.chmod(0o755)
    assert fill_as(BOB, cache) == ([], True)
    left.parent.chmod(0o2775)
    assert fill_as(BOB, cache) == ([], True)
    assert not left.exists()


def test_a_cache_that_others_may_only_read_serves_them(cache):
    fill_as(ANN, cache)
    assert fill_as(STRANGER, cache) == ([], True)
    (cache / "features" / "f00" / "part-00003.l.npy").write_bytes(b"other")
    with pytest.raises(UserError) as error:
        fill_as(STRANGER, cache)
    assert str(error.value) == (
        f"{cache}/features/f00 is damaged (store.json), and this user may not mend it; ask its owner to delete it, or "
        "choose another --cache."
    )


def test_what_others_may_only_read_is_not_added_to(cache):
    fill_as(ANN, cache)
    (cache / "features" / "f00" / "store.json").unlink()
    (cache / "features" / "f00" / "part-00003.json").unlink()
    with pytest.raises(UserError, match=r"part-00003\.l\.npy cannot be written \(Permission denied\)"):
        fill_as(STRANGER, cache)


@pytest.mark.parametrize("closed", [".", "features/f00", "features/f00/store.json", "features/f00/index.parquet"])
def test_a_cache_that_is_closed_is_not_called_damaged(cache, closed):
    fill_as(ANN, cache)
    (cache / closed).chmod(0o700 if (cache / closed).is_dir() else 0o600)
    with acting_as(STRANGER), pytest.raises(UserError, match=r"may not be read by this user.*chmod -R g\+rX"):
        FeatureStore.open(cache / "features" / "f00")


def test_a_lock_of_one_can_be_taken_by_the_other(cache):
    for user in (ANN, BOB, ANN):
        with acting_as(user, 0o077), folder_in_use(cache / "run"):
            assert [path.name for path in (cache / "run").iterdir()] == [".in-use.lock"]
    assert (cache / "run" / ".in-use.lock").stat().st_uid == ANN
