import io
import lzma
import struct
import tarfile
import warnings
import zipfile

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from incompressible import random_bytes

from raylab2f.datasets.archives import ExtractionLimits, extract_archive
from raylab2f.errors import UserError

KINDS = ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"]


def pack(path, kind, members):
    """Write `members`, pairs of name and content (None: a folder), as an archive of a kind."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                # ZipInfo cuts names at a zero byte and turns the system's separator; set it afterwards.
                info = zipfile.ZipInfo("x")
                info.filename = name if content is not None else name.rstrip("/") + "/"
                info.compress_type = zipfile.ZIP_DEFLATED
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about names that come twice
                    archive.writestr(info, content or b"")
    else:
        with tarfile.open(path, "w:" + kind.partition(".")[2]) as archive:
            for name, content in members:
                info = tarfile.TarInfo(name)
                if content is None:
                    info.type = tarfile.DIRTYPE
                    archive.addfile(info)
                else:
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
    return path


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def place(tmp_path):
    """A folder for the result, in surroundings that must stay as they are."""
    (tmp_path / "around").mkdir()
    (tmp_path / "around" / "precious.txt").write_text("mine")
    return tmp_path / "around" / "out"


def refused(path, place, match, **keywords):
    with pytest.raises(UserError, match=match) as caught:
        extract_archive(path, place, **keywords)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or str(place.parent) in str(caught.value)
    assert tree(place.parent) == {"precious.txt": b"mine"}
    assert [p.name for p in place.parent.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_packed_comes_out(tmp_path, place, kind):
    # Sizes around tar's block of 512 bytes, an empty file, an empty folder, odd names.
    members = [
        ("a", None),
        ("a/leer", None),
        ("a/x.png", b""),
        ("a/größe 1.png", b"1" * 512),
        ("b/c/d.png", b"2" * 513),
    ]
    path = pack(tmp_path / "no suffix", kind, members)
    assert extract_archive(path, place) == place
    assert tree(place) == {name: content for name, content in members if content is not None}
    assert (place / "a" / "leer").is_dir()
    assert sorted(p.name for p in place.parent.iterdir()) == ["out", "precious.txt"]


segment = st.sampled_from(["..", ".", "", "a", "b", "C:", "c:x", "..\\..", "\\", "a\\b", "~", "..."])
member_name = st.lists(segment, min_size=1, max_size=5).map("/".join).filter(lambda name: name and name[-1] != "/")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(kind=st.sampled_from(["zip", "tar"]), names=st.lists(member_name, min_size=1, max_size=4))
@example(kind="zip", names=["../precious.txt"])
@example(kind="tar", names=["/etc/x"])
@example(kind="zip", names=["..\\precious.txt"])
@example(kind="tar", names=["a/../../precious.txt"])
@example(kind="zip", names=["C:/x"])
@example(kind="tar", names=["a", "a/b"])
@example(kind="zip", names=["a/b", "a"])
@example(kind="zip", names=["."])
def test_whatever_the_names_nothing_lands_outside(tmp_path_factory, kind, names):
    root = tmp_path_factory.mktemp("names")
    path = pack(root / "archive", kind, [(name, b"content") for name in names])
    around = root / "around"
    around.mkdir()
    (around / "precious.txt").write_text("mine")
    try:
        extract_archive(path, around / "out")
    except UserError:
        assert tree(around) == {"precious.txt": b"mine"}
        assert not (around / "out").exists()
    else:
        found = tree(around)
        assert found.pop("precious.txt") == b"mine"
        assert len(found) == len(names)
        assert all(name.startswith("out/") for name in found)
    assert sorted(p.name for p in root.iterdir()) == ["archive", "around"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "//host/x", "C:/x", "..\\x", "\\x", "a/C:x"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, place, kind, name):
    path = pack(tmp_path / "archive", kind, [("good.png", b"1"), (name, b"2")])
    refused(path, place, "outside the archive's folder")


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_comes_twice_is_refused(tmp_path, place, kind):
    refused(pack(tmp_path / "archive", kind, [("a/x.png", b"1"), ("a/./x.png", b"2")]), place, "there twice")


def test_a_backslash_separates(tmp_path, place):
    extract_archive(pack(tmp_path / "archive", "zip", [("train\\good\\000.png", b"1")]), place)
    assert tree(place) == {"train/good/000.png": b"1"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_macos_adds_is_left_out(tmp_path, place, kind):
    members = [("a/x.png", b"1"), ("__MACOSX/a/._x.png", b"2"), ("a/._x.png", b"3"), ("a/.DS_Store", b"4")]
    extract_archive(pack(tmp_path / "archive", kind, members), place)
    assert tree(place) == {"a/x.png": b"1"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, place, kind):
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("innocent.png")
        info.type = kind
        info.linkname = "../precious.txt"
        archive.addfile(info)
    refused(path, place, "'innocent.png' is a link or a device")


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o010666])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, place, mode):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("innocent.png")
        info.external_attr = mode << 16
        archive.writestr(info, "../precious.txt")
    refused(path, place, "'innocent.png' is a link or a device")


def test_modes_of_the_archive_are_not_taken_over(tmp_path, place):
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("x.png")
        info.mode = 0o6777
        archive.addfile(info)
    extract_archive(path, place)
    assert (place / "x.png").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize("kind", KINDS)
def test_limit_on_the_unpacked_size(tmp_path, place, kind):
    path = pack(tmp_path / "archive", kind, [("a", b"1" * 600), ("b", b"2" * 600)])
    refused(path, place, r"unpacks to more than 0\.0 GB", limits=ExtractionLimits(total_bytes=1199))
    extract_archive(path, place, limits=ExtractionLimits(total_bytes=1200))


@pytest.mark.parametrize("kind", KINDS)
def test_limit_on_the_number_of_members(tmp_path, place, kind):
    path = pack(tmp_path / "archive", kind, [("a", None), ("a/b", b"1"), ("a/c", b"2")])
    refused(path, place, "more than 2 members", limits=ExtractionLimits(members=2))
    extract_archive(path, place, limits=ExtractionLimits(members=3))


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz", "tar.bz2"])
def test_limit_on_the_compression_ratio(tmp_path, place, kind):
    path = pack(tmp_path / "archive", kind, [("a", bytes(2**20)), ("b", random_bytes(2**10))])
    strict = ExtractionLimits(ratio=20, ratio_from_bytes=2**16)
    refused(path, place, "more than 20 times its size", limits=strict)
    # A small archive may be all black masks.
    extract_archive(path, place, limits=ExtractionLimits(ratio=20, ratio_from_bytes=2**21))


def test_an_ordinary_archive_of_pictures_passes_the_default_limits(tmp_path, place):
    noise = [(f"train/good/{i:03}.png", random_bytes(5000)) for i in range(50)]
    masks = [(f"ground_truth/hole/{i:03}_mask.png", bytes(100_000)) for i in range(50)]
    extract_archive(pack(tmp_path / "archive", "tar.gz", noise + masks), place)
    assert tree(place) == dict(noise + masks)


def pax_headers(path, size, number):
    """A compressed tar of nothing but headers, which are read into memory and are no members."""
    info = tarfile.TarInfo("pax")
    info.type = tarfile.XHDTYPE
    info.size = size
    with lzma.open(path, "wb", preset=0) as stream:
        for _ in range(number):
            stream.write(info.tobuf(tarfile.USTAR_FORMAT))
            stream.write(bytes(min(size, 2**23)))
        stream.write(bytes(1024))
    return path


def test_a_header_that_claims_gigabytes_is_refused(tmp_path, place):
    refused(pax_headers(tmp_path / "archive.tar.xz", 2**32, 1), place, "headers of gigabytes")


def test_many_large_headers_count_against_the_limits(tmp_path, place):
    path = pax_headers(tmp_path / "archive.tar.xz", 2**23, 4)
    refused(path, place, "more than 100 times its size", limits=ExtractionLimits(ratio_from_bytes=2**20))


def test_headers_without_end_are_refused(tmp_path, place):
    refused(pax_headers(tmp_path / "archive.tar.xz", 0, 5_000), place, "damaged")


def test_a_zip_that_lies_about_a_size_does_not_pass(tmp_path, place):
    path = pack(tmp_path / "archive.zip", "zip", [("a.png", bytes(10_000))])
    content = bytearray(path.read_bytes())
    # The uncompressed size stands at byte 24 of the central directory's record.
    record = content.index(b"PK\x01\x02")
    assert struct.unpack_from("<I", content, record + 24) == (10_000,)
    struct.pack_into("<I", content, record + 24, 10)
    path.write_bytes(content)
    refused(path, place, "damaged", limits=ExtractionLimits(total_bytes=5000))


def test_a_zip_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, place):
    path = pack(tmp_path / "archive.zip", "zip", [("a.png", b"1")])
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 2**32 - 2)
    # Four gigabytes, claimed again and again by the directory until no disk would do.
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    record, tail = bytes(content[start:end]), content[end:]
    repeats = 60_000
    struct.pack_into("<HHII", tail, 8, repeats, repeats, len(record) * repeats, start)
    path.write_bytes(bytes(content[:start]) + record * repeats + bytes(tail))
    generous = ExtractionLimits(total_bytes=2**62, ratio=1e18)
    refused(path, place, r"takes .* GB and .* GB are free", limits=generous)


def test_an_encrypted_zip_is_refused(tmp_path, place):
    path = pack(tmp_path / "archive.zip", "zip", [("a.png", b"1")])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused(path, place, "encrypted")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><title>Please log in</title>", b"\x89PNG" + bytes(1000)])
def test_what_is_no_archive_is_refused(tmp_path, place, content):
    path = tmp_path / "archive.zip"
    path.write_bytes(content)
    refused(path, place, "neither a zip nor a tar")


def test_a_compressed_file_that_is_no_tar_is_refused(tmp_path, place):
    path = tmp_path / "archive.tar.xz"
    path.write_bytes(lzma.compress(b"no tar at all" * 1000))
    refused(path, place, "damaged")


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_noticed(tmp_path, place, kind):
    whole = pack(tmp_path / "archive", kind, [("a.png", random_bytes(700)), ("b.png", random_bytes(1024))])
    content = whole.read_bytes()
    # A plain tar ends with zeros up to a record of 10 kB; without the last of them it is still whole.
    end = content.rstrip(b"\0") if kind == "tar" else content
    for length in {*range(300, len(end), 97), *range(512, len(end), 512), len(end) - 1}:
        whole.write_bytes(content[:length])
        refused(whole, place, "damaged|neither a zip nor a tar")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(kind=st.sampled_from(KINDS), position=st.integers(0, 4000), flip=st.integers(1, 255))
@example(kind="zip", position=433, flip=1)
def test_a_flipped_byte_ends_in_an_intact_folder_or_none(tmp_path_factory, kind, position, flip):
    root = tmp_path_factory.mktemp("flip")
    members = [("a/x.png", bytes(range(256)) * 3), ("a/y.png", b"y" * 700), ("ü.png", b"z")]
    path = pack(root / "archive", kind, members)
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= flip
    path.write_bytes(content)
    try:
        extract_archive(path, root / "out")
    except UserError:
        assert [p.name for p in root.iterdir()] == ["archive"]
    else:
        # The byte did not matter, as in a date; only a plain tar has no checksum of its contents.
        assert kind == "tar" or sorted(tree(root / "out").values()) == sorted(content for _, content in members)


def test_a_corrupt_header_in_the_middle_of_a_tar_is_noticed(tmp_path, place):
    path = pack(tmp_path / "archive.tar", "tar", [("a.png", b"1" * 512), ("b.png", b"2" * 512)])
    content = bytearray(path.read_bytes())
    content[1024 + 150] ^= 1
    path.write_bytes(content)
    refused(path, place, "damaged")


def test_a_destination_in_use_is_left_alone(tmp_path):
    path = pack(tmp_path / "archive.zip", "zip", [("a.png", b"1")])
    used = tmp_path / "used"
    used.mkdir()
    (used / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="in use already"):
        extract_archive(path, used)
    assert tree(used) == {"mine.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    assert tree(extract_archive(path, tmp_path / "empty")) == {"a.png": b"1"}


def test_a_missing_archive_is_a_users_mistake(tmp_path, place):
    refused(tmp_path / "nowhere.zip", place, "No such file")
