"""A folder on a store and its mirrors on two machines."""

import hashlib
import json
import os
import threading

import pytest

from raylab2f.errors import UserError
from raylab2f.files import mirror
from raylab2f.files.mirror import erase, fetch, fetch_file, local, publish, remove, repair
from raylab2f.files.places import join, place_of
from raylab2f.preparation import drop_damaged_shards


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Become the machine of this name: its mirror is another folder."""

    def become(name):
        monkeypatch.setenv("RAYLAB2F_MIRROR", str(tmp_path / name))

    become("first")
    return become


@pytest.fixture
def place(s3, machine, request):
    return place_of(s3.uri(f"bucket/{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}/a folder"))


@pytest.fixture
def key(place):
    """The folder's path on the server."""
    return place.removeprefix("s3://").partition("?")[0].replace("%20", " ")


def write(place, name, content):
    path = local(place) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def shards(contents):
    """A folder of shards, as far as their checksums go."""
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    files = {f"part-{number:05d}.parquet": content for number, content in enumerate(contents)}
    return {**files, "shards.json": json.dumps({"sha256": digests}).encode()}


def test_what_one_machine_publishes_another_one_fetches(place, machine, s3, key):
    write(place, "folds/0/scores 1.parquet", b"scores")
    write(place, "run.json", b"{}")
    write(place, ".hidden", b"not ours")
    publish(place)
    assert s3.names(key) == ["folds/0/scores 1.parquet", "run.json"]
    machine("second")
    folder = fetch(place)
    assert (folder / "folds" / "0" / "scores 1.parquet").read_bytes() == b"scores"
    assert fetch_file(join(place, "folds", "0", "scores 1.parquet")).read_bytes() == b"scores"
    assert not list(folder.rglob(".*"))


def test_nothing_is_transferred_twice(place, machine, monkeypatch):
    write(place, "a.parquet", b"a")
    publish(place)
    machine("second")
    fetch(place)

    def refuse(*_):
        raise AssertionError("transferred again")

    for name in ("_download", "_upload", "_read"):
        monkeypatch.setattr(mirror, name, refuse)
    fetch(place)
    publish(place)
    machine("first")
    fetch(place)
    publish(place)


def test_a_file_of_the_same_size_that_changed_is_fetched(place, machine, s3, key):
    write(place, "checkpoint.safetensors", b"one")
    publish(place)
    before = s3.files().get_file_info(f"{key}/checkpoint.safetensors").mtime_ns // 10**9
    machine("second")
    fetch(place)
    machine("first")
    while True:
        # Times on a store are whole seconds.
        write(place, "checkpoint.safetensors", b"two")
        publish(place)
        if s3.files().get_file_info(f"{key}/checkpoint.safetensors").mtime_ns // 10**9 > before:
            break
    machine("second")
    assert (fetch(place) / "checkpoint.safetensors").read_bytes() == b"two"


def test_what_the_store_no_longer_has_goes_here_too_but_not_what_was_written_here(place, machine):
    write(place, "error.json", b"{}")
    publish(place)
    machine("second")
    fetch(place)
    write(place, "mine.parquet", b"not published yet")
    machine("first")
    remove(place, "error.json", "never there")
    machine("second")
    folder = fetch(place)
    assert {path.name for path in folder.iterdir()} == {"mine.parquet"}
    fetch(place, alone=True)
    assert not list(folder.iterdir())


def test_an_interrupted_upload_leaves_an_unfinished_folder_and_the_next_one_completes_it(
    place, machine, s3, key, monkeypatch
):
    files = shards([b"first", b"second", b"third"])
    for name, content in files.items():
        write(place, name, content)
    upload = mirror._upload

    def dying(place, name, path):
        if name == "part-00001.parquet":
            raise KeyboardInterrupt
        upload(place, name, path)

    monkeypatch.setattr(mirror, "_upload", dying)
    with pytest.raises(KeyboardInterrupt):
        publish(place)
    assert "shards.json" not in s3.names(key)
    machine("second")
    assert not (fetch(place) / "shards.json").exists()
    machine("first")
    monkeypatch.setattr(mirror, "_upload", upload)
    publish(place)
    assert s3.names(key) == sorted(files)


def test_an_interrupted_download_leaves_an_unfinished_folder(place, machine, monkeypatch):
    for name, content in shards([b"first", b"second", b"third"]).items():
        write(place, name, content)
    publish(place)
    machine("second")
    download = mirror._download

    def dying(place, name, *rest):
        if name == "part-00001.parquet":
            raise KeyboardInterrupt
        download(place, name, *rest)

    monkeypatch.setattr(mirror, "_download", dying)
    with pytest.raises(KeyboardInterrupt):
        fetch(place)
    assert not (local(place) / "shards.json").exists()
    monkeypatch.setattr(mirror, "_download", download)
    assert drop_damaged_shards(fetch(place)) == []
    assert (local(place) / "shards.json").exists()


def test_a_damaged_file_on_the_store_is_left_out_found_and_replaced(place, machine, s3, key):
    files = shards([b"first", b"second"])
    for name, content in files.items():
        write(place, name, content)
    publish(place)
    s3.write(f"{key}/part-00001.parquet", b"sec0nd")
    machine("second")
    assert {path.name for path in fetch(place).iterdir()} == {"part-00000.parquet", "shards.json"}
    assert repair(place, drop_damaged_shards) == ["part-00001.parquet"]
    assert s3.names(key) == ["part-00000.parquet"]
    write(place, "part-00001.parquet", b"second")
    write(place, "shards.json", files["shards.json"])
    publish(place)
    machine("third")
    assert repair(place, drop_damaged_shards) == []
    assert (local(place) / "part-00001.parquet").read_bytes() == b"second"


def test_a_damaged_copy_costs_a_download_only(place, machine, s3, key):
    for name, content in shards([b"first", b"second"]).items():
        write(place, name, content)
    publish(place)
    machine("second")
    path = fetch(place) / "part-00000.parquet"
    time = path.stat().st_mtime_ns
    path.write_bytes(b"fir5t")
    os.utime(path, ns=(time, time))
    assert repair(place, drop_damaged_shards) == []
    assert path.read_bytes() == b"first"
    assert "shards.json" in s3.names(key)


def test_damaged_files_of_folds_and_feature_stores_are_left_out(place, machine, s3, key):
    digest = hashlib.sha256(b"good").hexdigest()
    write(place, "folds/0/scores.parquet", b"good")
    write(place, "folds/0/fold.json", json.dumps({"files": {"scores.parquet": digest}}).encode())
    write(place, "store/part-00000.deep.npy", b"good")
    write(place, "store/index.parquet", b"good")
    mark = {"index": {"sha256": digest}, "parts": [{"rows": 1, "files": {"deep": {"sha256": digest, "bytes": 4}}}]}
    write(place, "store/store.json", json.dumps(mark).encode())
    publish(place)
    for name in ("folds/0/scores.parquet", "store/part-00000.deep.npy", "store/index.parquet"):
        s3.write(f"{key}/{name}", b"g00d")
    machine("second")
    fetch(place)
    assert sorted(p.name for p in local(place).rglob("*.*")) == ["fold.json", "store.json"]


def test_several_processes_fetch_and_publish_at_the_same_time(place, machine):
    for number in range(20):
        write(place, f"{number}.parquet", bytes([number]) * 100_000)
    errors = []

    def work(what):
        try:
            what(place)
        except Exception as error:
            errors.append(error)

    for what in (publish, fetch):
        threads = [threading.Thread(target=work, args=(what,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        machine("second")
    assert errors == []
    assert {int(p.stem): p.read_bytes() for p in local(place).iterdir()} == {
        number: bytes([number]) * 100_000 for number in range(20)
    }


def test_a_key_that_leads_out_of_the_folder_is_nobodys(s3, machine, tmp_path):
    place = s3.uri("bucket/outside/run")
    s3.write("bucket/outside/run/good.json", b"{}")
    boto3 = pytest.importorskip("boto3")
    client = boto3.client("s3", endpoint_url=s3.endpoint)
    client.put_object(Bucket="bucket", Key="outside/run/../../../escaped.json", Body=b"{}")
    fetch(place)
    assert [path.name for path in tmp_path.rglob("*.json")] == ["good.json"]


def test_names_are_taken_letter_by_letter_but_for_stars(place, machine):
    names = ["a/scores[a].csv", "a/scoresa.csv", "a/what?.csv", "a/whats.csv"]
    for name in names:
        write(place, name, name.encode())
    publish(place, ["a/what?.csv", "a/s*.csv"])
    machine("second")
    assert fetch_file(join(place, "a", "scores[a].csv")).read_bytes() == b"a/scores[a].csv"
    folder = fetch(place)
    assert sorted(path.name for path in folder.rglob("*.csv")) == ["scores[a].csv", "scoresa.csv", "what?.csv"]


def test_a_folder_is_erased_here_and_there(place, s3, key):
    write(place, "x/y.json", b"{}")
    publish(place)
    erase(place)
    assert s3.names(key) == []
    assert not local(place).exists()
    erase(place)


def test_local_places_are_their_own_mirror(tmp_path):
    (tmp_path / "a").write_text("a", encoding="utf-8")
    assert local(tmp_path) == fetch(tmp_path, alone=True) == tmp_path
    publish(tmp_path)
    assert (tmp_path / "a").exists()
    remove(tmp_path, "a", "b")
    assert not list(tmp_path.iterdir())


def test_a_bucket_that_does_not_exist_is_named(s3, machine):
    with pytest.raises(UserError, match="there is no such bucket"):
        fetch(s3.uri("nobody/run"))
    write(s3.uri("nobody/run"), "run.json", b"{}")
    with pytest.raises(UserError, match="there is no such bucket"):
        publish(s3.uri("nobody/run"))
