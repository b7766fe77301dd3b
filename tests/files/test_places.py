import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.files.places import (
    absolute,
    file_exists,
    is_uri,
    join,
    name_of,
    parent_of,
    place_of,
    read_file,
    subfolders,
    write_file,
)

NAMES = st.text(st.characters(exclude_categories=("C",), exclude_characters="/"), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_parts_of_a_uri_come_out_as_they_went_in(names):
    bucket = "s3://bucket?endpoint_override=http://127.0.0.1:9&region=eu"
    place = join(bucket, *names)
    assert place_of(place) == place
    assert place.endswith("?endpoint_override=http://127.0.0.1:9&region=eu")
    for name in reversed(names):
        assert name_of(place) == name
        place = parent_of(place)
    assert place == bucket == parent_of(bucket)


def test_one_place_has_one_form():
    assert place_of("s3://bucket//a b/c/") == place_of("s3://bucket/a%20b/c") == "s3://bucket/a%20b/c"
    assert place_of("runs/first") == "runs/first"
    assert name_of("s3://bucket") == "bucket"


def test_files_of_this_machine_by_uri_are_local_paths(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    place = place_of(tmp_path.as_uri() + "/a%20folder")
    assert place == str(folder)
    assert not is_uri(tmp_path.as_uri())
    assert absolute(place) == str(folder)
    assert subfolders(str(tmp_path)) == [str(folder)]


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA:hidden@bucket/run",
        "s3://hidden@bucket/run",
        "abfs://container:hidden@account/run",
        "s3://bucket/run?secret_key=hidden",
        "s3://bucket/run?session_token=hidden",
        "s3://bucket/run?endpoint_override=http://me:hidden@host:9000",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri):
    with pytest.raises(UserError, match="credentials do not belong") as refusal:
        place_of(uri)
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize("uri", ["s3://", "s3:///run", "s3://bucket/a/../b", "s3://bucket/a%2F..%2Fb"])
def test_what_is_no_place_is_refused(uri):
    with pytest.raises(UserError, match="no place on a store"):
        place_of(uri)


@pytest.mark.parametrize("uri", ["s4://bucket/run", "s3://bucket/run?endpoint=http://x"])
def test_unknown_stores_and_options_are_named(uri):
    with pytest.raises(UserError, match=uri[:2]):
        subfolders(uri)


@pytest.mark.parametrize("kind", ["store", "folder"])
def test_small_files_are_written_and_read_anywhere(s3, tmp_path, kind):
    folder = place_of(s3.uri("bucket/places/a b")) if kind == "store" else str(tmp_path / "a b")
    file = join(folder, "c d", "e.txt")
    assert not file_exists(file)
    with pytest.raises(FileNotFoundError):
        read_file(file)
    write_file(file, b"content")
    assert file_exists(file)
    assert read_file(file) == b"content"
    assert not file_exists(folder)
    assert subfolders(folder) == [join(folder, "c d")]
