"""What cells mean: one name for one thing, labels as people write them, numbers that can be read in one way only."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.files.cells import clean_name, clean_path, clean_text, padded_pairs, read_label, read_numbers

SPACES = st.sampled_from(["", " ", "  ", "\t", "\u00a0", "\ufeff", " \u200b "])
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1)


def cased(words):
    """Each word in any mixture of upper and lower case."""
    return st.sampled_from(words).flatmap(
        lambda word: st.lists(st.booleans(), min_size=len(word), max_size=len(word)).map(
            lambda upper: "".join(c.upper() if up else c.lower() for c, up in zip(word, upper, strict=True))
        )
    )


@given(NUMBERS, SPACES, SPACES, st.integers(1, 3))
def test_a_number_has_one_name_however_it_is_written(number, before, after, zeros):
    spelled = [number, float(number), str(number), f"{number}.{'0' * zeros}", f"{before}{number}{after}"]
    assert {clean_name(one) for one in spelled} == {str(number)}


@given(st.text(min_size=1), SPACES, SPACES)
def test_spaces_around_a_name_do_not_make_another_and_cleaning_ends(name, before, after):
    try:
        once = clean_name(name)
    except ValueError:
        return
    assert clean_name(before + name + after) == once
    if once is not None:
        assert clean_name(once) == once


def test_letters_that_look_the_same_are_the_same():
    assert clean_name("Schwei\u00dfnaht \u00e4") == clean_name("Schwei\u00dfnaht a\u0308")


@pytest.mark.parametrize(
    "pair", [("007", "7"), ("A7", "a7"), ("7.1", "7.10"), ("7", "7a"), ("-7", "7"), ("1.0.0", "1")]
)
def test_what_may_mean_something_keeps_names_apart(pair):
    assert clean_name(pair[0]) != clean_name(pair[1])


@given(cased(["nan", "none", "null", "na", "<na>", "n/a", "nat", "#n/a", ""]), SPACES, SPACES)
def test_words_for_nothing_are_no_names(word, before, after):
    cell = before + word + after
    assert clean_name(cell) is None
    assert clean_text(cell) is None
    assert clean_path(cell) is None


@pytest.mark.parametrize("value", [None, math.nan])
def test_null_and_nan_are_no_names(value):
    assert clean_name(value) is None


@pytest.mark.parametrize("name", ["nano", "Nancy", "nan 1", "none.png", "nullpunkt", "na1", "0", "-"])
def test_names_that_only_begin_like_nothing(name):
    assert clean_name(name) == name


@pytest.mark.parametrize("value", ["1.23457E+11", "1,23457e+11", "1E+05", 2.0**53, 1e300, math.inf])
def test_numbers_that_lost_digits_are_no_names(value):
    with pytest.raises(ValueError, match=r"\d|inf"):
        clean_name(value)


@given(cased(["good", "ok", "normal", "nominal", "pass", "false", "0", "0.0"]), SPACES, SPACES)
def test_words_for_nominal(word, before, after):
    assert read_label(before + word + after) is False


@given(cased(["bad", "ng", "ko", "defective", "anomalous", "fail", "true", "1", "1.0"]), SPACES, SPACES)
def test_words_for_anomalous(word, before, after):
    assert read_label(before + word + after) is True


def test_labels_that_are_no_text():
    assert [read_label(value) for value in (0, 0.0, False, 1, 1.0, True)] == [False] * 3 + [True] * 3
    assert [read_label(value) for value in (2, -1, 0.5, math.nan, None, "", "2", "-1", "maybe", "good?", "10")] == [
        None
    ] * 11


FINITE = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))


@given(st.lists(FINITE, min_size=1))
def test_numbers_are_read_as_they_were_written(values):
    assert read_numbers([repr(value) for value in values], "It") == values


def may_mean_thousands(cell):
    whole, _, rest = cell.lstrip("-").partition(",")
    return whole != "0" and len(whole) <= 3 and len(rest) == 3


@given(st.lists(FINITE, min_size=1))
@example([1000.875])
@example([100.875])
def test_decimal_commas_are_read_or_refused_but_never_read_wrongly(values):
    cells = [repr(value).replace(".", ",") for value in values]
    if not all(may_mean_thousands(cell) for cell in cells):
        assert read_numbers(cells, "It") == values
    else:
        with pytest.raises(UserError, match="may mean"):
            read_numbers(cells, "It")


def test_one_number_shows_what_the_comma_is():
    assert read_numbers(["1,234", "0,5", None, "NaN", "7"], "It") == [1.234, 0.5, None, None, 7.0]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["1", "1.234,5"], "It has '1.234,5' in row 2, which is no number"),
        (["1,234.5"], "'1,234.5' in row 1"),
        (["1 234"], "'1 234'"),
        (["1'234"], "\"?'1'234'"),
        (["1,234,567"], "'1,234,567'"),
        (["1_000"], "'1_000'"),
        (["95 %"], "'95 %'"),
        (["\u0661"], "which is no number"),
        (["0,5", "0.5"], "'0,5' in row 1 and '0.5' in row 2"),
        (["1,234", "12"], "'1,234' in row 1, which may mean 1.234 or 1234"),
        (["x" * 500], r"x{60}\.\.\.'"),
        (["\x1b[31m"], r"'\?\[31m'"),
    ],
)
def test_what_can_be_read_in_two_ways_or_none_names_the_cell(cells, told):
    with pytest.raises(UserError, match=told):
        read_numbers(cells, "It")


@pytest.mark.parametrize("cells", [["950", "1.250", "3.100"], ["12.345", "7", None], ["-1.000", "-20"]])
def test_points_that_may_separate_thousands_are_refused(cells):
    with pytest.raises(UserError, match="the point may separate thousands"):
        read_numbers(cells, "The column")


@pytest.mark.parametrize(
    "cells", [["1.250", "3.100"], ["0.950", "1"], ["1.25", "3"], ["1.250", "1000"], ["1e3", "1.250"]]
)
def test_decimal_points_are_decimal_points(cells):
    assert read_numbers(cells, "The column") == [float(cell) for cell in cells]


def test_names_that_differ_in_leading_zeros():
    assert padded_pairs(["7", "07", "007", "8", "x", "00", "0", "012"]) == ["00 and 0", "007 and 7", "07 and 7"]
