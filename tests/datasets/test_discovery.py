import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.datasets.discovery import (
    LEFT_OUT_FOLDERS,
    PICTURE_SUFFIXES,
    list_folders,
    list_pictures,
    printable,
    search,
)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def names(root, recursive=True):
    return [path.relative_to(root).as_posix() for path in list_pictures(root, recursive=recursive)]


@pytest.mark.parametrize("suffix", [*PICTURE_SUFFIXES, ".PNG", ".JPG", ".Jfif", ".TIF", ".WebP", ".JP2", ".PGM"])
def test_suffixes_of_pictures_in_any_case(tmp_path, suffix):
    touch(tmp_path / f"a{suffix}")
    assert names(tmp_path) == [f"a{suffix}"]


def test_what_is_no_picture_or_left_out_by_rule(tmp_path):
    for name in ("notes.txt", "a.png.txt", ".a.png", ".cache/a.png", "b/.ipynb_checkpoints/a.png", "b/Thumbs.db"):
        touch(tmp_path / name)
    for folder in ("@eaDir", "__MACOSX", "$RECYCLE.BIN", "Thumbs", *LEFT_OUT_FOLDERS):
        touch(tmp_path / "b" / folder / "a.png")
    touch(tmp_path / "c" / "a.png")
    (tmp_path / "folder.png").mkdir()
    assert names(tmp_path) == ["c/a.png"]
    assert names(tmp_path, recursive=False) == []
    assert [folder.name for folder in list_folders(tmp_path)] == ["b", "c", "folder.png"]


def test_the_searched_folder_may_itself_be_called_like_one_that_is_left_out(tmp_path):
    touch(tmp_path / ".cache" / "thumbs" / "a.png")
    assert names(tmp_path / ".cache" / "thumbs") == ["a.png"]


def test_pictures_of_kinds_that_are_not_read_are_told_apart(tmp_path):
    touch(tmp_path / "a" / "x.HEIC")
    tree = search(tmp_path)
    assert tree.unread == [tmp_path / "a" / "x.HEIC"]
    assert not tree.pictures


class TestLinks:
    @pytest.fixture
    def root(self, tmp_path):
        touch(tmp_path / "root" / "a" / "1.png")
        touch(tmp_path / "elsewhere" / "deep" / "2.png")
        return tmp_path / "root"

    def test_a_linked_folder_is_followed(self, root):
        (root / "b").symlink_to("../elsewhere")
        assert names(root) == ["a/1.png", "b/deep/2.png"]
        assert [folder.name for folder in list_folders(root)] == ["a", "b"]

    def test_a_folder_that_lies_inside_anyway_counts_where_it_lies(self, root):
        (root / "0 link").symlink_to("a")
        assert names(root) == ["a/1.png"]

    @pytest.mark.parametrize("target", [".", "..", "../..", "../root", "/"])
    def test_circles_end(self, root, target):
        (root / "a" / "up").symlink_to(target)
        touch(root.parent / "not asked for.png")
        assert names(root) == ["a/1.png"]
        assert list_folders(root / "a") == []

    def test_circles_through_other_folders_end(self, root):
        (root / "b").symlink_to("../elsewhere")
        (root.parent / "elsewhere" / "back").symlink_to("../root")
        (root.parent / "elsewhere" / "deep" / "own").symlink_to("..")
        assert names(root) == ["a/1.png", "b/deep/2.png"]

    def test_two_links_to_one_folder_count_once(self, root):
        (root / "b").symlink_to("../elsewhere/deep")
        (root / "c").symlink_to("../elsewhere")
        assert names(root) == ["a/1.png", "b/2.png"]

    def test_a_linked_file_counts_once(self, root):
        (root / "a" / "0.png").symlink_to("1.png")
        (root / "3.png").symlink_to("../elsewhere/deep/2.png")
        (root / "4.png").symlink_to("../elsewhere/deep/2.png")
        assert names(root) == ["3.png", "a/1.png"]

    def test_links_that_lead_nowhere_are_told(self, root):
        (root / "gone.png").symlink_to("../elsewhere/gone.png")
        (root / "line3").symlink_to("../elsewhere/line3")
        (root / "round.png").symlink_to("round.png")
        (root / "notes.txt").symlink_to("../elsewhere/notes.txt")
        (root / ".hidden.png").symlink_to("nowhere")
        broken = {path.name: reason for path, reason in search(root).broken}
        assert broken.keys() == {"gone.png", "line3", "round.png"}
        assert broken["gone.png"] == "the file does not exist (a link to ../elsewhere/gone.png)"
        assert names(root) == ["a/1.png"]


def test_names_that_are_not_utf8_are_told(tmp_path):
    folder = os.fsencode(tmp_path)
    (tmp_path / "a").mkdir()
    for name in (b"/a/\xc4\xe3.png", b"/b\xff.png"):
        Path(os.fsdecode(folder + name)).write_bytes(b"x")
    tree = search(tmp_path)
    assert not tree.pictures
    assert {printable(path.name) for path, _ in tree.broken} == {r"\xc4\xe3.png", r"b\xff.png"}
    assert {reason for _, reason in tree.broken} == {"the file's name is not UTF-8; rename it"}


def test_a_folder_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    touch(tmp_path / "locked" / "a.png")
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert search(tmp_path).broken == [(tmp_path / "locked", "the folder cannot be opened (Permission denied)")]


@pytest.mark.parametrize(
    ("name", "text"),
    [("äß 日本.png", "äß 日本.png"), ("a\nb\t.png", r"a\nb\t.png"), ("\udcc4.png", r"\xc4.png"), ("\ud800", r"\ud800")],
)
def test_printable_names_are_one_line_of_utf8(name, text):
    assert printable(name) == text


@given(st.text(st.characters() | st.characters(categories=["Cs"])))
def test_any_name_can_be_printed(name):
    assert printable(name).isprintable()
    printable(name).encode()


FOLDERS = st.sampled_from(["a", "b", "a/c", "b/c/d", ".hidden", "a/@eaDir"])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(FOLDERS, st.sampled_from(["1.png", "2.JPG", "3.txt"])), max_size=8),
    st.lists(st.tuples(FOLDERS, st.sampled_from(["x", "y"]), FOLDERS | st.just("")), max_size=6),
)
def test_with_any_links_every_picture_is_found_once(tmp_path_factory, files, links):
    root = tmp_path_factory.mktemp("tree")
    for folder, name in files:
        touch(root / folder / name)
    for folder, name, target in links:
        link = root / folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(link) and (root / target).is_dir():
            link.symlink_to(root / target)
    lying_here = {
        Path(here, name)
        for here, _, own in os.walk(root)
        for name in own
        if name != "3.txt" and not {".hidden", "@eaDir"} & set(Path(here).relative_to(root).parts)
    }
    found = search(root).pictures
    assert len(set(found.values())) == len(found)
    assert all(os.path.realpath(path) == real for path, real in found.items())
    # What a rule leaves out may still be reached by a link that the user set.
    assert lying_here <= found.keys()
    for path in found.keys() - lying_here:
        assert any(root / target in Path(found[path]).parents for *_, target in links)
