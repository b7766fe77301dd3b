"""Options of groups become parameters, and find their way back into groups."""

from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from raylab2f.api.functions import offered
from raylab2f.errors import UserError
from raylab2f.options.declaration import Option, declared


@dataclass(frozen=True)
class Size:
    width: Annotated[int, Option("In pixels.", minimum=1)] = 8
    names: Annotated[tuple[str, ...], Option("Repeatable.", name="name")] = ()


@offered
def measure(
    what: Annotated[str, Option(kind="place")],
    size: Size,
    share: Annotated[float | None, Option(maximum=1)] = None,
    way: Annotated[Literal["up", "down"], Option()] = "up",
    sure: Annotated[bool, Option()] = False,
    other: object = "nothing",
) -> tuple:
    return what, size, share, way, sure, other


def test_fields_of_groups_are_parameters_with_their_defaults():
    parameters = signature(measure).parameters
    assert list(parameters) == ["what", "width", "names", "share", "way", "sure", "other"]
    assert {name: p.default for name, p in parameters.items() if name != "what"} == {
        "width": 8, "names": (), "share": None, "way": "up", "sure": False, "other": "nothing",
    }  # fmt: skip
    assert parameters["what"].kind is Parameter.POSITIONAL_OR_KEYWORD
    assert list(declared(measure)) == ["what", "width", "names", "share", "way", "sure"]
    assert declared(measure)["names"].name == "name"


def test_values_reach_their_groups():
    assert measure("here") == ("here", Size(), None, "up", False, "nothing")
    given = measure(Path("here"), width=np.int64(3), names="one", share=1, way="down", sure=True, other=...)
    assert given == ("here", Size(3, ("one",)), 1.0, "down", True, ...)
    assert measure("here", names=["one", "two"])[1] == Size(8, ("one", "two"))
    assert measure("here", names=None, share=None)[1:3] == (Size(), None)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"width": 0}, "width: 0 does not fit; give at least 1"),
        ({"width": 2.5}, "width: 2.5 does not fit; give a whole number"),
        ({"width": True}, "width: True does not fit"),
        ({"width": None}, "width: None does not fit"),
        ({"share": 1.5}, "share: 1.5 does not fit; give at most 1"),
        ({"share": "much"}, "share: 'much' does not fit; give a number"),
        ({"way": "left"}, "way: 'left' does not fit; give one of up, down"),
        ({"sure": "yes"}, "sure: 'yes' does not fit; give true or false"),
        ({"names": [1, None]}, "names: None does not fit"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(given, sentence):
    with pytest.raises(UserError) as raised:
        measure("here", **given)
    assert sentence in str(raised.value)


def test_a_name_that_nothing_has_is_pythons_matter():
    with pytest.raises(TypeError, match="colour"):
        measure("here", colour="red")
