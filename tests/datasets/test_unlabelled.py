"""Pictures that nobody has labelled are found, each once."""

import pytest

from raylab2f.datasets.unlabelled import find_unlabelled
from raylab2f.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("b 1.png", "a 1.png", "below/a 2.jpg", "notes.txt", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "line.csv").write_text("path,object_id\nb 1.png,7\nbelow/a 2.jpg,7\n")
    return tmp_path


def names(found):
    return [one.image_id for one in found]


def test_a_folder_is_searched_with_all_below_it(folder):
    assert names(find_unlabelled([str(folder)])) == ["a 1.png", "b 1.png", "below/a 2.jpg"]


def test_a_picture_of_a_kind_that_is_not_read_is_told(folder):
    (folder / "moving.gif").write_bytes(b"GIF89a")
    problems = {one.image_id: one.problem for one in find_unlabelled([str(folder)])}
    assert "PNG" in problems.pop("moving.gif")
    assert not any(problems.values())


def test_patterns_and_files(folder):
    assert len(find_unlabelled([f"{folder}/**/a*"])) == 2
    assert names(find_unlabelled([f"{folder}/a 1.png"])) == [f"{folder}/a 1.png"]
    assert len(find_unlabelled([f"{folder}/a 1.png", f"{folder}/b*.png"])) == 2


def test_a_manifest_needs_no_labels(folder):
    found = find_unlabelled([f"{folder}/line.csv"])
    assert [(one.image_id, one.object_id) for one in found] == [("b 1.png", "7"), ("below/a 2.jpg", "7")]
    assert found[0].path == str(folder / "b 1.png")


def test_pictures_of_a_part_follow_one_another(folder):
    found = find_unlabelled([str(folder)], r"(?P<object>[ab]) [0-9]")
    assert [one.object_id for one in found] == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        (["nowhere.png"], "nowhere.png: there is no such file"),
        (["{}/a 1.png", "{}/a*.png"], "named more than once"),
        (["{}/empty"], "there are no pictures"),
        (["{}/wrong.csv"], "path"),
    ],
)
def test_mistakes_are_told_in_one_sentence(folder, sources, says):
    (folder / "empty").mkdir()
    (folder / "wrong.csv").write_text("image_id,score\na,1\n")
    with pytest.raises(UserError, match=says) as caught:
        find_unlabelled([source.format(folder) for source in sources])
    assert "\n" not in str(caught.value)


def test_a_rule_that_does_not_fit_is_refused(folder):
    with pytest.raises(UserError, match="--object-id"):
        find_unlabelled([str(folder)], r"(?P<object>x[0-9])")
