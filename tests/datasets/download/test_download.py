import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
from incompressible import random_bytes

from raylab2f.datasets.catalogue import CatalogueEntry, RemoteFile
from raylab2f.datasets.download import SOURCE_NOTE, download_dataset
from raylab2f.datasets.transfer import Patience
from raylab2f.errors import UserError

FAST = Patience(attempts=3, wait=0.001, timeout=5)
PICTURES = {"train/good/000.png": random_bytes(70_000), "test/hole/000.png": random_bytes(50_000)}


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


ARCHIVE = zipped(PICTURES)
CHECKSUM = "md5:" + hashlib.md5(ARCHIVE).hexdigest()


def make_entry(*files, **changes):
    known = {
        "name": "tiles",
        "description": "d",
        "licence": "CC0",
        "citation": "c",
        "homepage": "https://example.org",
        "layout": "mvtec",
        "verification": "v",
        "files": files,
    }
    return CatalogueEntry(**(known | changes))


def remote(site, published=None, **changes):
    return RemoteFile("data.zip", (site.address + "/data.zip",), published, **changes)


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pictures(folder):
    return {name: content for name, content in tree(folder).items() if name != SOURCE_NOTE}


def note(folder):
    return json.loads((folder / SOURCE_NOTE).read_text(encoding="utf-8"))


def fails(entry, out, match):
    with pytest.raises(UserError, match=match) as caught:
        download_dataset(entry, out, patience=FAST)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert not (out / entry.name).exists()
    return str(caught.value)


@pytest.mark.parametrize("published", [None, CHECKSUM])
def test_fetches_unpacks_and_notes_where_it_comes_from(site, tmp_path, published):
    site.put("/data.zip", ARCHIVE)
    seen = []
    folder = download_dataset(
        make_entry(remote(site, published)), tmp_path / "new", progress=lambda *p: seen.append(p), patience=FAST
    )
    assert folder == tmp_path / "new" / "tiles"
    assert pictures(folder) == PICTURES
    assert [path.name for path in folder.parent.iterdir()] == ["tiles"]
    assert seen == sorted(seen)
    assert seen[-1] == (len(ARCHIVE), len(ARCHIVE))
    said = note(folder)
    assert said["files"] == [
        {
            "name": "data.zip",
            "addresses": [site.address + "/data.zip"],
            "bytes": len(ARCHIVE),
            "sha256": hashlib.sha256(ARCHIVE).hexdigest(),
            "published_checksum": published,
        }
    ]
    assert (said["licence"], said["citation"], said["verification"]) == ("CC0", "c", "v")


def test_what_is_there_is_not_fetched_again(site, tmp_path):
    site.put("/data.zip", ARCHIVE)
    entry = make_entry(remote(site))
    folder = download_dataset(entry, tmp_path, patience=FAST)
    assert download_dataset(entry, tmp_path, patience=FAST) == folder
    assert len(site.asked) == 1


def test_a_folder_of_somebody_else_is_left_alone(site, tmp_path):
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not put there by this command"):
        download_dataset(make_entry(remote(site)), tmp_path)
    assert tree(tmp_path) == {"tiles/mine.txt": b"mine"}
    assert site.asked == []


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(site, tmp_path):
    site.put("/data.zip", ARCHIVE, breaks=[30_000, 0, 0, 0])
    fails(make_entry(remote(site)), tmp_path, "connection was lost")
    assert pictures(download_dataset(make_entry(remote(site)), tmp_path, patience=FAST)) == PICTURES
    assert site.ranges()[-1] == "bytes=30000-"
    assert [path.name for path in tmp_path.iterdir()] == ["tiles"]


def test_a_wrong_checksum_leaves_no_data_set(site, tmp_path):
    page = site.put("/data.zip", ARCHIVE[:-1] + bytes([ARCHIVE[-1] ^ 1]))
    fails(make_entry(remote(site, CHECKSUM)), tmp_path, "md5 checksum")
    page.content = ARCHIVE
    assert pictures(download_dataset(make_entry(remote(site, CHECKSUM)), tmp_path, patience=FAST)) == PICTURES


def test_http_errors_are_a_users_matter(site, tmp_path):
    fails(make_entry(remote(site)), tmp_path, "the server answered 404 .* look for a new address")
    site.put("/data.zip", statuses=[500] * 3)
    fails(make_entry(remote(site)), tmp_path, "the server answered 500 .* try again later")


def test_room_for_the_archive_and_its_contents_is_asked_for(site, tmp_path):
    fails(make_entry(remote(site, size=10**18)), tmp_path, r"2000000000\.0 GB and .* GB are free")
    assert site.asked == []


def test_a_destination_that_cannot_be_made(site, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="choose another folder"):
        download_dataset(make_entry(remote(site)), tmp_path / "file" / "data", patience=FAST)


def test_an_archive_that_is_a_login_page(site, tmp_path):
    site.put("/data.zip", b"<!DOCTYPE html><title>Please log in</title>")
    fails(make_entry(remote(site)), tmp_path, "neither a zip nor a tar")


def test_a_dangerous_archive_leaves_nothing(site, tmp_path):
    site.put("/data.zip", zipped({"good.png": b"1", "../../evil.png": b"2"}))
    fails(make_entry(remote(site)), tmp_path, "outside the archive's folder")
    assert not list(tmp_path.rglob("*.png"))


def test_folders_that_only_wrap_are_left_out(site, tmp_path):
    site.put("/data.zip", zipped({f"repository.-master/data/{name}": x for name, x in PICTURES.items()}))
    assert pictures(download_dataset(make_entry(remote(site)), tmp_path, patience=FAST)) == PICTURES


def test_leftovers_of_a_killed_call_do_no_harm(site, tmp_path):
    site.put("/data.zip", ARCHIVE)
    left = tmp_path / "tiles.download" / "unpacking" / "content"
    left.mkdir(parents=True)
    (left / "half.png").write_bytes(b"half")
    (tmp_path / "tiles.download" / "files").mkdir()
    (tmp_path / "tiles.download" / "files" / "data.zip.part").write_bytes(b"without a note of what it is")
    (tmp_path / "tiles").mkdir()
    assert pictures(download_dataset(make_entry(remote(site)), tmp_path, patience=FAST)) == PICTURES
    assert [path.name for path in tmp_path.iterdir()] == ["tiles"]


BY_HAND = make_entry(files=(), by_hand="open https://example.org and accept the licence")


def test_what_must_be_done_by_hand_is_said(tmp_path):
    message = fails(BY_HAND, tmp_path / "new", "open https://example.org and accept the licence")
    assert "CC0" in message
    assert str(tmp_path / "new" / "tiles") in message
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["tiles.zip", "tiles.tar.xz"])
def test_what_was_fetched_by_hand_is_unpacked(tmp_path, name):
    # Told from the content: the ending need not be right.
    archive = tmp_path / name
    archive.write_bytes(ARCHIVE)
    folder = download_dataset(BY_HAND, tmp_path)
    assert pictures(folder) == PICTURES
    assert note(folder)["files"][0]["sha256"] == hashlib.sha256(ARCHIVE).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiles", name]


def test_what_was_unpacked_by_hand_is_taken_as_it_is(tmp_path):
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "x.png").write_bytes(b"1")
    assert download_dataset(BY_HAND, Path(tmp_path)) == tmp_path / "tiles"
    assert tree(tmp_path / "tiles") == {"x.png": b"1"}
