import hashlib
import io
import json
import tarfile

import pytest
from incompressible import random_bytes

from raylab2f.datasets.catalogue import CatalogueEntry
from raylab2f.datasets.download import SOURCE_NOTE, download_dataset
from raylab2f.datasets.transfer import Patience
from raylab2f.errors import UserError

CONTENT = random_bytes(60_000)
ENTRY = CatalogueEntry("links", "d", "as stated there", "c", "https://example.org", "mvtec", "v", zenodo_record=42)


def tarred(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVE = tarred({"train/good/1.png": CONTENT, "test/hole/1.png": b"x"})
PICTURES = {"train/good/1.png": CONTENT, "test/hole/1.png": b"x"}


def md5(content):
    return "md5:" + hashlib.md5(content).hexdigest()


def listing(site, files):
    return [
        {
            "key": name,
            "size": len(content),
            "checksum": md5(content),
            "links": {"self": f"{site.address}/api/records/42/files/{name}/content"},
        }
        for name, content in files.items()
    ]


def put_record(site, files, metadata=None):
    """What Zenodo's interface answers for a record."""
    answer = {"id": 42, "metadata": metadata or {"title": "t", "license": {"id": "cc-by-4.0"}}, "files": files}
    site.put("/api/records/42", json.dumps(answer).encode())


def page(name):
    return f"/records/42/files/{name}?download=1"


def fetch(site, out, **keywords):
    patience = Patience(attempts=3, wait=0.001, timeout=5)
    return download_dataset(ENTRY, out, zenodo_api=site.address + "/api", patience=patience, **keywords)


def tree(folder):
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return found, json.loads(found.pop(SOURCE_NOTE))


def test_every_file_of_a_record_is_fetched_resumed_and_verified(site, tmp_path):
    files = {
        "raw.tar.xz": ARCHIVE,
        "masked set.tgz": tarred({"masked/train/good/1.png": b"abc"}),
        "README.md": b"# read",
        # A zip by its content, but nothing to unpack.
        "paper.docx": b"PK\x03\x04" + CONTENT,
    }
    put_record(site, listing(site, files))
    for name, content in files.items():
        site.put(page(name.replace(" ", "%20")), content, breaks=[len(content) // 2])
    seen = []
    found, note = tree(fetch(site, tmp_path, progress=lambda *p: seen.append(p)))
    assert found == {
        **{f"raw/{name}": content for name, content in PICTURES.items()},
        "masked set/1.png": b"abc",
        "README.md": files["README.md"],
        "paper.docx": files["paper.docx"],
    }
    assert note["licence"] == "cc-by-4.0"
    assert [file["published_checksum"] for file in note["files"]] == [md5(content) for content in files.values()]
    # Every step is one of all files together.
    whole = sum(map(len, files.values()))
    assert {total for _, total in seen} == {whole}
    assert seen == sorted(seen)
    assert seen[-1] == (whole, whole)
    # The record, then two requests a file: the second takes up the first.
    assert len(site.asked) == 1 + 2 * len(files)
    assert all("Range" in headers for _, headers in site.asked[2::2])


def test_a_single_archive_is_the_data_set_and_the_interfaces_link_the_way_out(site, tmp_path):
    put_record(site, listing(site, {"data.tar.xz": ARCHIVE}), metadata={"title": "no licence"})
    site.put("/api/records/42/files/data.tar.xz/content", ARCHIVE, ranges=False)
    found, note = tree(fetch(site, tmp_path))
    assert found == PICTURES
    assert note["licence"] == "as stated there"
    assert [path for path, _ in site.asked][1:] == [page("data.tar.xz"), "/api/records/42/files/data.tar.xz/content"]


def test_zenodos_checksum_counts(site, tmp_path):
    put_record(site, listing(site, {"data.tar.xz": ARCHIVE}))
    site.put(page("data.tar.xz"), ARCHIVE[:-1] + bytes([ARCHIVE[-1] ^ 1]))
    with pytest.raises(UserError, match="md5 checksum"):
        fetch(site, tmp_path)
    assert not (tmp_path / "links").exists()


def test_files_of_a_record_are_kept_when_a_later_one_fails(site, tmp_path):
    put_record(site, listing(site, {"a.tar.xz": ARCHIVE, "b.csv": b"1,2"}))
    site.put(page("a.tar.xz"), ARCHIVE)
    with pytest.raises(UserError, match="404"):
        fetch(site, tmp_path)
    site.put(page("b.csv"), b"1,2")
    found, _ = tree(fetch(site, tmp_path))
    assert found == {f"a/{name}": content for name, content in PICTURES.items()} | {"b.csv": b"1,2"}
    assert len(site.ranges(page("a.tar.xz"))) == 1


GOOD = {"key": "x", "size": 1, "checksum": md5(b"1"), "links": {"self": "http://127.0.0.1/x"}}


@pytest.mark.parametrize(
    "files",
    [
        None,
        "none",
        [],
        [{}],
        [GOOD | {"key": "../../x"}],
        [GOOD | {"key": None}],
        [GOOD | {"checksum": "md5:0"}],
        [GOOD | {"checksum": "0"}],
        [GOOD | {"links": {"self": "file:///etc/hostname"}}],
        [GOOD | {"links": []}],
        [GOOD | {"size": "?"}],
        [GOOD | {"size": -1}],
        [GOOD, GOOD],
    ],
    ids=str,
)
def test_an_answer_that_is_not_understood(site, tmp_path, files):
    put_record(site, files)
    with pytest.raises(UserError, match=r"/api/records/42: the (answer|record) .*/records/42\.") as caught:
        fetch(site, tmp_path)
    assert "\n" not in str(caught.value)
    assert [path for path, _ in site.asked] == ["/api/records/42"]


def test_no_answer_and_no_json(site, tmp_path):
    with pytest.raises(UserError, match="404"):
        fetch(site, tmp_path)
    site.put("/api/records/42", b"<html>maintenance</html>")
    with pytest.raises(UserError, match="not understood"):
        fetch(site, tmp_path)
