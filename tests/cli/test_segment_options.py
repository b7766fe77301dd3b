import pytest
from typer.testing import CliRunner

from raylab2f.cli.app import app
from raylab2f.errors import UserError
from raylab2f.options.preparation import Preparation
from raylab2f.preparation import PreparationSettings


def settings(**changes):
    return Preparation(**changes).settings()


def test_nothing_asked_is_nothing_done():
    assert settings() == PreparationSettings()


def test_centred_objects_keep_their_aspect():
    assert settings(centre_embed="600x800") == PreparationSettings(centre_embed=(600, 800), fit="pad")
    assert settings(centre_embed="auto").fit == "pad"


def test_angles():
    assert settings(train_angles="0, 90,-5.5").train_angles == (0, 90, 354.5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train_angles": "0,ninety"}, "--train-angles 0,ninety"),
        ({"eval_angles": "0,360"}, "--eval-angles"),
        ({"centre_embed": "0x5"}, "--centre-embed 0x5"),
    ],
)
def test_mistakes_name_the_option(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        settings(**changes)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--method", "grounded-sam"], "--prompt"),
        (["--prompt", "a part"], "grounded-sam"),
        (["--centre-embed", "large"], "--centre-embed large"),
    ],
)
def test_segment_says_what_does_not_go_together(options, sentence):
    result = CliRunner().invoke(app, ["segment", *options])
    assert isinstance(result.exception, UserError)
    assert sentence in str(result.exception)
