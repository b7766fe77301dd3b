"""Tables from strangers: whatever the bytes, a table or one sentence."""

import codecs
import gzip
import io
import re
import zipfile

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.files.columns import select_columns, unread_columns
from raylab2f.files.tables import read_table

KNOWN = ("image_id", "label", "score")
TEXT = "image_id,label,score\na.png,0,0.5\nb.png,1,1.5\n"
ROWS = [{"image_id": "a.png", "label": "0", "score": "0.5"}, {"image_id": "b.png", "label": "1", "score": "1.5"}]


def parse(content, path="t.csv"):
    return read_table(
        path, KNOWN, what="score table", content=content if isinstance(content, bytes) else content.encode()
    )


def refusal(content, path="t.csv"):
    with pytest.raises(UserError) as error:
        parse(content, path)
    sentence = str(error.value)
    assert "t.csv" in sentence or path in sentence
    assert sentence.rstrip(".").count(". ") == 0
    return sentence


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", ", " ; ", "\t "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "txt", "dat"])
def test_separators_and_ends_of_lines(separator, end, suffix):
    text = TEXT.replace(",", separator).replace("\n", end)
    assert parse(text, f"t.{suffix}").to_pylist() == ROWS


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        "sep=;\r\n" + TEXT.replace(",", ";"),
        TEXT + "\n\n  \n",
        TEXT + ",,\n,,\n",
        "\n\n" + TEXT,
        TEXT.rstrip("\n"),
        TEXT.replace("\n", ",\n"),
        '"image_id","label","score"\n"a.png" ,"0", "0.5"\n"b.png","1","1.5"',
    ],
)
def test_what_programs_put_around_a_table(content):
    assert parse(content).to_pylist() == ROWS


def test_the_header_tells_the_separator_even_where_names_hold_another():
    table = parse("image_id;label;score\na,b,c;0;1\nd,e,f;1;2\n")
    assert table["image_id"].to_pylist() == ["a,b,c", "d,e,f"]
    table = parse('"note; or, so",image_id,label,score\nx,a,0,1\n')
    assert table.column_names == ["note; or, so", "image_id", "label", "score"]


def test_an_index_without_a_name_is_no_matter():
    table = select_columns(parse(",image_id,label,score\n0,a.png,0,0.5\n1,b.png,1,1.5\n"), KNOWN, "It")
    assert table.to_pylist() == ROWS


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b" \n\r\n", "is empty"),
        ("a.png,0,0.5\nb.png,1,1.5\n", "put a line with the names of the columns first"),
        ("image_id label score\na 0 1\n", "separate the columns by commas"),
        (TEXT + "c.png,0\n", r"row 3 has another number of cells .*line 4 has 2, not 3"),
        (TEXT.replace("0.5", "0,5"), "row 1 has another .* decimal commas, in quotes"),
        (TEXT + '"c.png,0,1\n', "a quote in or after line 4 is never closed"),
        (
            "image_id,label,score\nSchwei\u00dfnaht,0,1\n".encode("latin-1"),
            "UTF-8 text, first in line 2; save it as CSV in",
        ),
        (TEXT.encode("utf-16-le"), "NUL bytes"),
        (TEXT.replace("a.png", "a\0.png"), "NUL bytes"),
        (TEXT + f"{'x' * 200_000},0,1\n", "cell in line 4 has more than 131072 letters"),
        (gzip.compress(TEXT.encode(), mtime=0), "packed by gzip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an Excel file"),
        (b"PAR1 is how it begins", "cannot be read as a score table"),
    ],
)
def test_what_is_no_table_is_named(content, told):
    assert re.search(told, refusal(content))


def test_other_kinds_of_files_are_named_for_what_they_are():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("xl/workbook.xml", "<x/>")
    assert "an Excel file or another archive" in refusal(buffer.getvalue())
    buffer = io.BytesIO()
    pyarrow.feather.write_feather(pa.table({"image_id": ["a"]}), buffer)
    assert "an Arrow (Feather) file" in refusal(buffer.getvalue())
    assert "called Parquet but is none" in refusal(TEXT, "t.parquet")


def test_parquet_is_known_by_its_content(tmp_path):
    pq.write_table(pa.table({"image_id": ["a"], "label": [0], "score": [0.5]}), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv", KNOWN, what="score table")["label"].to_pylist() == [0]


def test_places_without_a_table(tmp_path):
    for path, told in ((tmp_path, "is a folder"), (tmp_path / "no.csv", "There is no score table")):
        with pytest.raises(UserError, match=told):
            read_table(path, KNOWN, what="score table")


@pytest.mark.parametrize("name", ["Score", " score", "SCORE", "sc ore"])
def test_two_columns_that_could_be_the_same_are_both_named(name):
    table = pa.table({"score": [1], name: [2]})
    with pytest.raises(UserError, match=f"columns 'score' and '{name}'.*could each be score"):
        select_columns(table, KNOWN, "It")


@pytest.mark.parametrize("name", ["Image ID", "image-id", "ImageID", " IMAGE_ID "])
def test_columns_are_found_however_their_names_are_written(name):
    assert select_columns(pa.table({name: ["a"], "other": [1]}), KNOWN, "It").to_pylist() == [{"image_id": "a"}]


def test_a_column_twice_is_refused_only_where_it_means_something():
    arrays = [pa.array([1]), pa.array([2]), pa.array(["a"])]
    with pytest.raises(UserError, match="It has the column score twice"):
        select_columns(pa.Table.from_arrays(arrays, ["score", "score", "image_id"]), KNOWN, "It")
    table = pa.Table.from_arrays(arrays, ["note", "note", "image_id"])
    assert select_columns(table, KNOWN, "It").column_names == ["image_id"]


def table_or_sentence(content, path):
    try:
        sentence = ""
        table = parse(content, path)
        select_columns(table, KNOWN, "It").to_pylist()
    except UserError as error:
        sentence = str(error)
    assert "\n" not in sentence


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200), st.sampled_from(["t.csv", "t.tsv", "t.parquet"]))
@example(b"PAR1", "t.parquet")
@example(b"PAR1\x00\x00\x00\x00PAR1", "t.parquet")
@example(b"\xff\xfe\x00nothing", "t.csv")
@example(b"\xff\xfe\x00\x00", "t.csv")
@example(b"sep=;\n", "t.csv")
@example(b'"', "t.csv")
def test_any_bytes_give_a_table_or_one_sentence(content, path):
    table_or_sentence(content, path)


@settings(deadline=None, max_examples=200)
@given(st.text(st.sampled_from("image_id,label,score\r\n\"';\t| a0.5\ufeff"), max_size=120), st.booleans())
def test_anything_like_a_table_gives_a_table_or_one_sentence(text, header):
    table_or_sentence((("image_id,label,score\n" if header else "") + text).encode(), "t.csv")


def parquet_bytes():
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image_id": ["a", "b"] * 20, "label": [0, 1] * 20, "score": [0.5, 1.5] * 20}), buffer)
    return buffer.getvalue()


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_damaged_parquet_file_gives_a_table_or_one_sentence(data):
    content = bytearray(parquet_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    table_or_sentence(bytes(content[: data.draw(st.integers(4, len(content)))]), "t.parquet")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("# from line 3\n" + TEXT, "the lines above that with the names of the columns must go"),
        ("Report;;\n;;\n" + TEXT.replace(",", ";"), "image_id, label, score.; remove the lines above that"),
        (TEXT + "c.png,1\n", "cells are missing there"),
        (TEXT.replace(".5", ",5"), "in quotes"),
        ('{"image_id": "a.png", "label": 0, "score": 1}\n', "it is JSON; save it as CSV"),
        ('[{"image_id": "a.png"}]', "it is JSON; save it as CSV"),
    ],
)
def test_the_mend_fits_what_is_wrong(content, sentence):
    assert re.search(sentence, refusal(content))


def test_a_column_twice_in_parquet_is_named(tmp_path):
    table = pa.Table.from_arrays(
        [pa.array(["a"]), pa.array([0]), pa.array([1.0]), pa.array([2.0])], names=[*KNOWN, "score"]
    )
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"t\.parquet' has the column score more than once; rename or remove one"):
        read_table(tmp_path / "t.parquet", KNOWN, what="score table")


@pytest.mark.parametrize(
    ("names", "unread"),
    [
        (["image_id", "Part ID", "score"], {"object_id": ["Part ID"]}),
        (["image_id", "object", "serial_no"], {"object_id": ["object", "serial_no"]}),
        (["image_id", "object", "object_id"], {}),
        (["image_id", "Split"], {"partition": ["Split"]}),
        (["image_id", "objct_id", "partitoin"], {"object_id": ["objct_id"], "partition": ["partitoin"]}),
        (["image_id", "notes", "created", "comment", "width"], {}),
    ],
)
def test_columns_that_may_be_meant_but_are_not_read(names, unread):
    assert unread_columns(names, (*KNOWN, "object_id", "partition")) == unread
