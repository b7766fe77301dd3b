"""Files of settings: read as the command line reads, one sentence per mistake."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.cli.run_cv import run_cv
from raylab2f.errors import UserError
from raylab2f.options.declaration import declared
from raylab2f.options.settings_file import read_settings, write_settings
from raylab2f.plugins import trust

OPTIONS = declared(run_cv)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
#: Texts that YAML takes for something else, and texts that break careless quoting.
ODD = st.sampled_from(
    ["no", "yes", "null", "~", "12:30", "1e-3", "0x1f", "012", "1_000", "", " ", "- a", "a: b", "#x", "*a", "&a", "!x",
     "'", '"', "2024-01-01", ".inf", "<<", "\n", "a\nb", "\t", "\\d+", "(?P<object>[^/]+)_", "\u2028", "\x85",
     "\ufeff", "\x00"]
)  # fmt: skip


def values_of(part):
    low, high = part.option.minimum, part.option.maximum
    if part.choices:
        one = st.sampled_from(part.choices)
    elif part.scalar is bool:
        one = st.booleans()
    elif part.scalar is int:
        one = st.integers(low if low is not None else -(10**9), high if high is not None else 10**12)
    elif part.scalar is float:
        one = st.floats(low, high, allow_nan=False, allow_infinity=False)
    else:
        one = TEXT | ODD
    return st.lists(one, min_size=1, max_size=3).map(tuple) if part.repeatable else one


#: Every option that a file may hold but those whose text is a place, which is made absolute.
FREE = [p for p in OPTIONS.values() if not p.option.passing and p.option.kind == "text" and p.option.lasting is None]


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({}, optional={part.parameter: values_of(part) for part in FREE}))
def test_what_is_written_is_read_again(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("written") / "run.yaml"
    write_settings(str(path), OPTIONS, values)
    # Who writes a class into a file has named it.
    trust(*values.get("detector", ()))
    assert read_settings(str(path), OPTIONS) == values


def read(tmp_path, text, name="run.yaml"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_settings(str(tmp_path / name), OPTIONS)


def test_values_are_read_as_on_the_command_line(tmp_path):
    text = """
# By hand.
data: parts.csv
merge-nominal-test: no
keep_views: 1:30
object_id: 012
size: 160
cost-escape: 1e2
stratify: true
skip-unreadable: False
nominal: good
anomalous: [dent, no, 1:30]
seed:
  - 3
  - 4
prevalence: null
category: ~
detector: "glass"
"""
    assert read(tmp_path, text) == {
        "data": "parts.csv",
        "merge_nominal_test": "no",
        "keep_views": "1:30",
        "object_id": "012",
        "size": "160",
        "cost_escape": 100.0,
        "stratify": True,
        "skip_unreadable": False,
        "nominal": ("good",),
        "anomalous": ("dent", "no", "1:30"),
        "seed": (3, 4),
        "detector": ("glass",),
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "\n\n", "{}"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path, text):
    assert read(tmp_path, text) == {}


def test_json_is_read_too(tmp_path):
    values = {"folds": 4, "threshold": ["cost", "mcc"], "stratify": True, "prevalence": None}
    assert read(tmp_path, json.dumps(values), "some.json") == {
        "folds": 4, "threshold": ("cost", "mcc"), "stratify": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fold: 5", "line 1: no option is called fold; did you mean folds?"),
        ("folds: 5\ncost-escpae: 3", "line 2: no option is called cost-escpae; did you mean cost-escape"),
        ("zzz: 5", "there are data, layout"),
        ("--folds: 5", "did you mean folds"),
        ("folds: many", "line 1: folds: 'many' does not fit; give a whole number"),
        ("folds: 2.5", "give a whole number"),
        ("folds: 0", "line 1: folds: 0 does not fit; give at least 1"),
        ("seed: [0, -1]", "seed: -1 does not fit; give at least 0"),
        ("beta: two", "give a number"),
        ("scheme: random", "scheme: 'random' does not fit; give one of balanced, kfold"),
        ("stratify: yes", "give true or false"),
        ("folds: null", "folds has no value"),
        ("folds:", "folds has no value"),
        ("folds: [3]", "folds takes one value, and no list"),
        ("folds: {a: 3}", "folds is one value, and no list or mapping"),
        ("set: {a: 3}", "set is one value, and no list or mapping"),
        ("nominal: [[a]]", "every value of a list is one value"),
        ("nominal: [{a: b}]", "every value of a list is one value"),
        ("folds: 3\nseed: 1\nfolds: 4", "line 3: folds stands in line 1 already"),
        ("train-on: auto\ntrain_on: auto", "line 2: train_on stands in line 1 already"),
        ("- folds", "line 1: give options as NAME: VALUE"),
        ("folds", "give options as NAME: VALUE"),
        ("folds: 3\n---\nfolds: 4", "a second document"),
        ("folds: 3\n  seed: 4", "line 1: folds: '3 seed' does not fit"),
        ("nominal: a\n  seed: 4", "line 2: this is no YAML"),
        ("nominal: [a, b", "this is no YAML"),
        ("nominal: &x [a]", "anchors, aliases and tags"),
        ("nominal: [*x]", "anchors, aliases and tags"),
        ("<<: *x", "anchors, aliases and tags"),
        ("category: !!python/object/apply:os.system [echo]", "anchors, aliases and tags"),
        ("category: !!str 5", "anchors, aliases and tags"),
        ("? [a]\n: b", "the name of an option is one value"),
        ("config: other.yaml", "config is an option of the command line only"),
        ("save-config: other.yaml", "of the command line only"),
        ("category: a\x00b", "this is no YAML"),
        ("data: s3://key:secret@bucket/parts.csv", "credentials do not belong"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(tmp_path, text, sentence):
    with pytest.raises(UserError) as raised:
        read(tmp_path, text)
    said = str(raised.value)
    assert sentence in said
    assert "\n" not in said
    assert "run.yaml" in said or "credentials" in said


def test_files_that_are_something_else(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_settings(str(tmp_path / "absent.yaml"), OPTIONS)
    with pytest.raises(UserError, match=r"run\.json: there is no such file"):
        read_settings(str(tmp_path), OPTIONS)
    (tmp_path / "large.yaml").write_bytes(b"#" * (1 << 21))
    with pytest.raises(UserError, match="at most 1 MiB"):
        read_settings(str(tmp_path / "large.yaml"), OPTIONS)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        read_settings(str(tmp_path / "picture.png"), OPTIONS)
    with pytest.raises(UserError, match="values"):
        read(tmp_path, "nominal: [" + "a," * 20_000 + "]")
    with pytest.raises(UserError, match="one value"):
        read(tmp_path, "nominal: " + "[" * 100_000)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_settings(str(tmp_path / "file" / "run.yaml"), OPTIONS, {"folds": 3})


def test_places_are_written_so_that_they_hold_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"data": "parts.csv", "cache": "s3://bucket/cache", "weights": "mine.pth", "mlflow": "m.db"}
    write_settings("run.yaml", OPTIONS, given | {"settings": ("textures=stone", "weights=hub", "epochs=3")})
    assert read_settings("run.yaml", OPTIONS) == {
        "data": str(tmp_path / "parts.csv"),
        "cache": "s3://bucket/cache",
        "weights": str(tmp_path / "mine.pth"),
        "mlflow": str(tmp_path / "m.db"),
        "settings": (f"textures={tmp_path / 'stone'}", "weights=hub", "epochs=3"),
    }
