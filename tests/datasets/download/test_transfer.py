import hashlib
import socket
import threading

import pytest
from incompressible import random_bytes

from raylab2f.datasets.catalogue import RemoteFile
from raylab2f.datasets.transfer import Patience, digests, fetch_file
from raylab2f.errors import UserError

FAST = Patience(attempts=3, wait=0.001, timeout=5)
CONTENT = random_bytes(120_000)


def checksum(content, algorithm="md5"):
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def remote(site, published=None, **changes):
    return RemoteFile("data.zip", (site.address + "/data.zip",), published, **changes)


def fetched(file, folder, patience=FAST, **keywords):
    path = folder / "data.zip"
    fetch_file(file, path, patience=patience, **keywords)
    assert [p.name for p in folder.iterdir()] == ["data.zip"]
    return path.read_bytes()


def fails(file, folder, match, patience=FAST):
    with pytest.raises(UserError, match=match) as caught:
        fetch_file(file, folder / "data.zip", patience=patience)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert not (folder / "data.zip").exists()
    return str(caught.value)


PUBLISHED = pytest.mark.parametrize("published", [None, checksum(CONTENT), checksum(CONTENT, "sha256")])


@PUBLISHED
def test_fetches_and_verifies(site, tmp_path, published):
    site.put("/data.zip", CONTENT)
    seen = []
    assert fetched(remote(site, published), tmp_path, progress=lambda *p: seen.append(p)) == CONTENT
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {len(CONTENT)}
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_an_empty_file(site, tmp_path):
    site.put("/data.zip", b"")
    assert fetched(remote(site, checksum(b""), size=0), tmp_path) == b""


def test_a_right_file_is_not_fetched_again_and_a_wrong_one_is(site, tmp_path):
    site.put("/data.zip", CONTENT)
    (tmp_path / "data.zip").write_bytes(CONTENT)
    fetched(remote(site, checksum(CONTENT)), tmp_path)
    assert site.asked == []
    (tmp_path / "data.zip").write_bytes(CONTENT[1:])
    assert fetched(remote(site, checksum(CONTENT)), tmp_path) == CONTENT


@PUBLISHED
def test_broken_connections_are_taken_up_where_they_broke(site, tmp_path, published):
    site.put("/data.zip", CONTENT, breaks=[30_000, 0, 40_000, 1, 10])
    assert fetched(remote(site, published), tmp_path) == CONTENT
    assert site.ranges() == [None, *(f"bytes={n}-" for n in (30_000, 30_000, 70_000, 70_001, 70_011))]
    assert all(headers["If-Range"] == '"v1"' for _, headers in site.asked[1:])


def test_many_breaks_are_endured_as_long_as_bytes_arrive(site, tmp_path):
    site.put("/data.zip", CONTENT, breaks=[5_000] * 20)
    assert fetched(remote(site), tmp_path) == CONTENT


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(site, tmp_path):
    page = site.put("/data.zip", CONTENT, breaks=[30_000, 0, 0, 0])
    fails(remote(site), tmp_path, r"connection was lost after 30000 of 120000 bytes \(3 attempts\)")
    assert page.breaks == []
    assert fetched(remote(site), tmp_path) == CONTENT
    assert site.ranges()[-1] == "bytes=30000-"


def test_a_call_killed_just_before_the_end_needs_no_byte_more(site, tmp_path):
    site.put("/data.zip", CONTENT, breaks=[30_000, 0, 0, 0])
    fails(remote(site), tmp_path, "connection was lost")
    (tmp_path / "data.zip.part").write_bytes(CONTENT)
    site.asked.clear()
    assert fetched(remote(site, checksum(CONTENT)), tmp_path) == CONTENT
    assert site.asked == []


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("dated", [True, False])
def test_a_file_that_changed_meanwhile_is_fetched_anew(site, tmp_path, published, dated):
    days = ["Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"]
    old, new = ({"mark": None, "date": day} for day in days) if dated else ({"mark": '"v1"'}, {"mark": '"v2"'})
    file = remote(site, checksum(CONTENT) if published else None)
    site.put("/data.zip", random_bytes(len(CONTENT)), breaks=[30_000, 0, 0, 0], **old)
    fails(file, tmp_path, "connection was lost")
    site.put("/data.zip", CONTENT, **new)
    assert fetched(file, tmp_path) == CONTENT
    assert site.ranges()[-1] == "bytes=30000-"
    assert site.asked[-1][1]["If-Range"] == (days[0] if dated else '"v1"')


@pytest.mark.parametrize("mark", [None, 'W/"weak"'])
def test_without_a_strong_mark_and_a_checksum_nothing_is_pieced_together(site, tmp_path, mark):
    site.put("/data.zip", CONTENT, mark=mark, breaks=[30_000])
    assert fetched(remote(site), tmp_path) == CONTENT
    assert site.ranges() == [None, None]


def test_without_a_mark_the_checksum_decides_and_a_wrong_patchwork_is_fetched_anew(site, tmp_path):
    # The same length, another content, and nothing that says so: only the checksum can tell.
    page = site.put("/data.zip", random_bytes(len(CONTENT)), mark=None, breaks=[30_000, 0, 0, 0])
    file = remote(site, checksum(CONTENT))
    fails(file, tmp_path, "connection was lost")
    page.content = CONTENT
    assert fetched(file, tmp_path) == CONTENT
    assert site.ranges()[-2:] == ["bytes=30000-", None]


def test_a_part_without_a_note_of_what_it_is_is_not_used(site, tmp_path):
    site.put("/data.zip", CONTENT)
    (tmp_path / "data.zip.part").write_bytes(b"something")
    (tmp_path / "data.zip.part.json").write_text('{"address"')
    assert fetched(remote(site), tmp_path) == CONTENT
    assert site.ranges() == [None]


def test_a_server_without_ranges_sends_all_again(site, tmp_path):
    site.put("/data.zip", CONTENT, ranges=False, breaks=[30_000, 60_000])
    assert fetched(remote(site), tmp_path) == CONTENT
    assert site.ranges() == [None, "bytes=30000-", "bytes=60000-"]


def test_a_server_without_ranges_that_always_breaks_is_given_up(site, tmp_path):
    site.put("/data.zip", CONTENT, ranges=False, breaks=[30_000, 20_000] * 50)
    fails(remote(site), tmp_path, "connection was lost after 20000")
    assert len(site.asked) == 4


def test_a_server_that_sends_another_range_is_not_believed(site, tmp_path):
    site.put("/data.zip", CONTENT, wrong_range=True, breaks=[30_000])
    assert fetched(remote(site), tmp_path) == CONTENT
    assert site.ranges() == [None, "bytes=30000-", None]


def test_a_file_that_shrank_is_fetched_anew(site, tmp_path):
    file = remote(site, checksum(CONTENT))
    site.put("/data.zip", CONTENT * 2, mark=None, breaks=[len(CONTENT) + 5, 0, 0, 0])
    fails(file, tmp_path, "connection was lost")
    site.put("/data.zip", CONTENT, mark=None)
    assert fetched(file, tmp_path) == CONTENT
    assert site.ranges()[-1] is None


@pytest.mark.parametrize("breaks", [[], [30_000]])
def test_a_length_that_is_not_announced(site, tmp_path, breaks):
    site.put("/data.zip", CONTENT, chunked=True, breaks=breaks)
    seen = []
    assert fetched(remote(site), tmp_path, progress=lambda *p: seen.append(p)) == CONTENT
    assert (seen[0][1], seen[-1]) == (0, (len(CONTENT), len(CONTENT)))


def test_a_wrong_checksum_is_refused_and_the_file_not_kept(site, tmp_path):
    page = site.put("/data.zip", CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    file = remote(site, checksum(CONTENT))
    assert site.address in fails(file, tmp_path, "has the md5 checksum .* where .* is published")
    assert len(site.asked) == 1
    assert list(tmp_path.iterdir()) == []
    page.content = CONTENT
    assert fetched(file, tmp_path) == CONTENT


def test_a_wrong_size_is_refused(site, tmp_path):
    site.put("/data.zip", CONTENT)
    fails(remote(site, size=len(CONTENT) + 1), tmp_path, "has 120000 bytes where 120001 are published")


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_lasting_refusal_is_not_repeated(site, tmp_path, status):
    site.put("/data.zip", statuses=[status] * 9)
    assert f"{site.address}/data.zip" in fails(remote(site), tmp_path, f"the server answered {status}")
    assert len(site.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_passing_failure_is_waited_out(site, tmp_path, status):
    site.put("/data.zip", CONTENT, statuses=[status] * 2, headers={"Retry-After": "0"})
    assert fetched(remote(site), tmp_path) == CONTENT
    assert len(site.asked) == 3


def test_a_server_that_keeps_failing_is_given_up(site, tmp_path):
    site.put("/data.zip", statuses=[500] * 9)
    fails(remote(site), tmp_path, r"the server answered 500 .* \(3 attempts\)")
    assert len(site.asked) == 3


def test_nobody_at_the_address(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        file = RemoteFile("data.zip", (f"http://127.0.0.1:{taken.getsockname()[1]}/data.zip",))
        fails(file, tmp_path, r"refused \(3 attempts\)")


def test_a_server_that_falls_silent_is_given_up(site, tmp_path):
    site.put("/data.zip", CONTENT)
    silence, answer = threading.Event(), site.answer

    def hesitate(request, page):
        silence.wait(10)
        answer(request, page)

    site.answer = hesitate
    fails(remote(site), tmp_path, "timed out", patience=Patience(attempts=2, wait=0.001, timeout=0.05))
    silence.set()
    assert len(site.asked) == 2


def test_the_next_address_is_tried_and_takes_up_what_is_there(site, tmp_path):
    site.put("/broken.zip", CONTENT, breaks=[30_000], statuses=[200, 404])
    site.put("/mirror.zip", CONTENT, mark='"of the mirror"')
    file = RemoteFile("data.zip", (site.address + "/broken.zip", site.address + "/mirror.zip"), checksum(CONTENT))
    assert fetched(file, tmp_path) == CONTENT
    assert [path for path, _ in site.asked] == ["/broken.zip", "/broken.zip", "/mirror.zip"]
    assert site.ranges("/mirror.zip") == ["bytes=30000-"]
    # A version mark means something to the server that gave it only.
    assert "If-Range" not in site.asked[-1][1]


def test_redirects_keep_the_range(site, tmp_path):
    site.put("/data.zip", location=site.address + "/real.zip")
    site.put("/real.zip", CONTENT, breaks=[30_000])
    assert fetched(remote(site), tmp_path) == CONTENT
    assert site.ranges("/real.zip") == [None, "bytes=30000-"]


@pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_to_other_schemes_are_refused(site, tmp_path, location):
    site.put("/data.zip", location=location)
    fails(remote(site), tmp_path, "the server answered 302")


def test_a_local_file_can_be_an_address(tmp_path):
    stick = tmp_path / "brought on a stick"
    stick.mkdir()
    (stick / "any.zip").write_bytes(CONTENT)
    (tmp_path / "out").mkdir()
    file = RemoteFile("data.zip", ((stick / "any.zip").as_uri(),), checksum(CONTENT))
    assert fetched(file, tmp_path / "out") == CONTENT
    (tmp_path / "other").mkdir()
    missing = RemoteFile("data.zip", ((stick / "missing.zip").as_uri(),))
    fails(missing, tmp_path / "other", "No such file")


def test_no_room_is_noticed_before_anything_is_written(site, tmp_path):
    site.put("/data.zip", CONTENT, claimed=10**18)
    fails(remote(site), tmp_path, r"1000000000\.0 GB and .* GB are free")
    assert list(tmp_path.iterdir()) == []


def test_digests(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # RFC 1321, appendix A.5; FIPS 180-2, appendix B.1.
    assert digests(tmp_path / "abc", "md5", "sha256") == {
        "md5": "900150983cd24fb0d6963f7d28e17f72",
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }
