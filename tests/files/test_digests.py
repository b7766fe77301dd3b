import hashlib
import time

import pytest

from raylab2f.files import digests
from raylab2f.files.digests import digested_once, sha256_of


@pytest.mark.parametrize("size", [0, 1, digests._BLOCK, digests._BLOCK + 1])
def test_the_digest_is_that_of_the_whole_file(tmp_path, size):
    content = bytes(index % 251 for index in range(size))
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def blocks_read(monkeypatch):
    counted = []
    original = hashlib.sha256

    class Counted:
        def __init__(self):
            self.digest = original()

        def update(self, block):
            counted.append(len(block))
            self.digest.update(block)

        def hexdigest(self):
            return self.digest.hexdigest()

    monkeypatch.setattr(digests.hashlib, "sha256", Counted)
    return counted


def test_a_file_is_read_once_a_command_and_again_in_the_next(tmp_path, monkeypatch):
    path = tmp_path / "scores"
    path.write_bytes(b"scores")
    later = time.time_ns() + 10**10
    monkeypatch.setattr(digests.time, "time_ns", lambda: later)
    read = blocks_read(monkeypatch)
    with digested_once():
        first = sha256_of(path)
        with digested_once():
            assert sha256_of(path) == first
        assert sha256_of(path) == first
        assert len(read) == 1
    sha256_of(path)
    assert len(read) == 2


@pytest.mark.parametrize("late", [0, 10**10])
def test_damage_is_seen_at_once(tmp_path, monkeypatch, late):
    """Whether the file was written just now or long ago."""
    path = tmp_path / "scores"
    path.write_bytes(b"scores")
    now = time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: now() + late)
    with digested_once():
        before = sha256_of(path)
        if late:
            time.sleep(0.05)
        path.write_bytes(b"Scores")
        assert sha256_of(path) != before
        (tmp_path / "other").write_bytes(b"scores")
        (tmp_path / "other").replace(path)
        assert sha256_of(path) == before
