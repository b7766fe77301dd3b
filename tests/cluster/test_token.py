"""The token file: made when there is none, and kept from others before it is used."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from in_process import raylab2f

from raylab2f.cluster.token import ensure_token, has_token, keep_token, refusal, token_state, use_token
from raylab2f.errors import UserError

SOMEBODY, SOMEBODY_ELSE = 65533, 65534
root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root may act as other accounts")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def named(monkeypatch, tmp_path):
    """A file that RAY_AUTH_TOKEN_PATH names."""
    path = tmp_path / "shared_token"
    path.write_text("t" * 64, encoding="utf-8")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    return path


@pytest.fixture
def somebody(tmp_path):
    """Act as an account without rights until the test ends."""
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            if folder.name.startswith("pytest-") or folder == tmp_path:
                folder.chmod(folder.stat().st_mode | 0o011)
            else:
                pytest.skip(f"{folder} is closed to other accounts")
    yield lambda: os.seteuid(SOMEBODY)
    os.seteuid(0)


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_token_is_made_once_for_its_owner_alone(home, capsys):
    ensure_token()
    path = home / ".ray" / "auth_token"
    token = path.read_text("utf-8")
    assert len(token) == 64
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert has_token()
    assert capsys.readouterr().err == ""
    assert [entry.name for entry in path.parent.iterdir()] == ["auth_token"]


@pytest.mark.parametrize("use", [ensure_token, use_token, keep_token, has_token])
def test_whatever_uses_the_file_closes_it_and_says_so(home, capsys, use):
    """As `ray get-auth-token --generate` leaves it."""
    path = home / ".ray" / "auth_token"
    path.parent.mkdir(mode=0o775, parents=True)
    path.write_text("t" * 64, encoding="utf-8")
    path.chmod(0o644)
    assert token_state()[0] is False
    use()
    assert (path.read_text("utf-8"), mode(path), mode(path.parent)) == ("t" * 64, 0o600, 0o700)
    [said] = capsys.readouterr().err.splitlines()
    assert f"{path}: others than its owner may read the token (mode 0644" in said
    assert token_state() == (True, f"{path}: mode 0600, yours")
    use()
    assert capsys.readouterr().err == ""


def test_a_file_that_the_user_named_may_be_a_groups(named, home, capsys):
    named.chmod(0o640)
    ensure_token()
    assert (named.read_text("utf-8"), mode(named)) == ("t" * 64, 0o640)
    named.chmod(0o666)
    ensure_token()
    assert mode(named) == 0o640
    assert "may write the token" in capsys.readouterr().err
    assert not home.exists()


@root_only
@pytest.mark.parametrize(("bits", "open_to"), [(0o600, None), (0o640, None), (0o644, "read"), (0o660, "write")])
def test_a_file_of_somebody_elses_is_refused_where_it_is_open(named, bits, open_to):
    os.chown(named, SOMEBODY_ELSE, SOMEBODY_ELSE)
    named.chmod(bits)
    if not open_to:
        assert has_token()
        assert token_state()[0]
        return
    for use in (ensure_token, use_token, keep_token):
        with pytest.raises(UserError, match=f"may {open_to} the token .*chmod 600 it"):
            use()
    assert mode(named) == bits
    assert not token_state()[0]


@root_only
def test_a_secret_that_root_mounted_is_used_as_it_is(named, somebody):
    named.chmod(0o644)
    somebody()
    assert has_token()
    assert token_state() == (True, f"{named}: mode 0644, root's")
    os.seteuid(0)
    named.chmod(0o646)
    somebody()
    with pytest.raises(UserError, match="may write the token"):
        has_token()


@root_only
def test_a_file_that_may_not_be_read_is_said_and_not_taken_for_none(named, somebody):
    os.chown(named, SOMEBODY_ELSE, SOMEBODY_ELSE)
    named.chmod(0o600)
    somebody()
    with pytest.raises(UserError, match="cannot be read \\(Permission denied\\)"):
        has_token()


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


@pytest.mark.parametrize("content", ["", "   \n", "two words", "schlüssel", "t" * 5000])
def test_what_is_no_token_is_not_taken_for_one(named, content):
    named.write_text(content, encoding="utf-8")
    assert not has_token()
    with pytest.raises(UserError, match="holds no token"):
        ensure_token()


def make_folder(path):
    path.mkdir()


def make_pipe(path):
    os.mkfifo(path)


def link_to_itself(path):
    path.symlink_to(path)


@pytest.mark.parametrize("make", [make_folder, make_pipe, link_to_itself])
def test_what_is_no_file_is_said_at_once(named, make):
    named.unlink()
    make(named)
    for use in (ensure_token, use_token, keep_token):
        with pytest.raises(UserError, match="shared_token"):
            use()
    assert not token_state()[0]


def test_a_link_leads_to_the_file(named, tmp_path):
    behind = tmp_path / "behind"
    named.rename(behind)
    named.symlink_to(behind)
    behind.chmod(0o604)
    assert has_token()
    assert (mode(behind), named.is_symlink()) == (0o600, True)
    behind.unlink()
    assert not has_token()


def test_of_processes_that_make_one_at_once_all_have_the_same(home, tmp_path):
    program = "from raylab2f.cluster.token import keep_token; print(keep_token())"
    command = [sys.executable, "-c", program]

    def make(_):
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(make, range(3)))
    path = home / ".ray" / "auth_token"
    assert all(f"{path} holds" in line for line in said)
    assert mode(path) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["auth_token"]


def test_the_command_says_where_the_token_is_and_not_what(home):
    for which in ("a new", "the"):
        process = raylab2f("cluster", "token")
        path = home / ".ray" / "auth_token"
        assert (process.returncode, process.stderr) == (0, "")
        assert process.stdout == f"{path} holds {which} token: mode 0600, yours.\n"
    assert len(path.read_text("utf-8")) == 64


def test_why_a_cluster_lets_nobody_in_is_told_apart(monkeypatch):
    assert "asks for a token, and here is none" in refusal()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "t")
    assert "refuses the token" in refusal()
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert "unset RAY_AUTH_MODE" in refusal()
