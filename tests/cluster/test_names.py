"""Names in any alphabet reach Ray as names that it takes."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from raylab2f.cluster.names import as_folder, as_tag

NAMES = st.text(st.characters(), max_size=300)


@given(NAMES)
@example("schweißnaht")
@example("溶接/部品 №1\n")
@example("a" * 255)
@example("\udcff" * 85)
def test_tags_are_short_ascii_and_folders_are_folders(name):
    assert re.fullmatch(r"[ -~]{0,200}", as_tag(name))
    assert re.fullmatch(r"[A-Za-z0-9_.-]{0,60}", as_folder(name))


@given(NAMES, NAMES)
@example("schweißnaht", "schwei%C3%9Fnaht")
@example("x" * 255, "x" * 254)
def test_tags_tell_names_apart(one, other):
    assert (as_tag(one) == as_tag(other)) == (one == other)


@given(st.text("abcXYZ019 -_./[]", max_size=60))
def test_ordinary_names_stay_as_they_are(name):
    assert as_tag(name) == name
