"""The token file: made when there is none, kept from others where it is ours alone, and never changed elsewhere."""

import errno
import os

import pytest

from raylab2f.cluster.token import ensure_token, has_token
from raylab2f.errors import UserError


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_token_is_made_once_for_its_owner_alone(home):
    ensure_token()
    path = home / ".ray" / "auth_token"
    token = path.read_text("utf-8")
    assert len(token) == 64
    assert mode(path) == 0o600
    assert has_token()
    path.chmod(0o644)
    ensure_token()
    assert (path.read_text("utf-8"), mode(path)) == (token, 0o600)
    assert [entry.name for entry in path.parent.iterdir()] == ["auth_token"]


def test_a_file_that_the_user_named_is_used_as_it_is(monkeypatch, tmp_path, home):
    path = tmp_path / "shared_token"
    path.write_text("t" * 64, encoding="utf-8")
    path.chmod(0o640)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    ensure_token()
    assert (path.read_text("utf-8"), mode(path)) == ("t" * 64, 0o640)
    assert not home.exists()


def test_a_home_that_cannot_be_written_is_said_in_a_sentence(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="RAY_AUTH_TOKEN"):
        ensure_token()


def test_so_is_a_file_system_without_links(monkeypatch, home):
    def link(source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(UserError, match="RAY_AUTH_TOKEN"):
        ensure_token()
    assert list((home / ".ray").iterdir()) == []


def test_an_empty_file_is_no_token(home):
    path = home / ".ray" / "auth_token"
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(UserError, match="holds no token"):
        ensure_token()
