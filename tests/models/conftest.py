"""Models that tests share."""

import pytest
from small_models import small_judge, write_small_model


@pytest.fixture(scope="session")
def judge():
    """A model of one detector that decides parts."""
    return small_judge()


@pytest.fixture(scope="session")
def model(tmp_path_factory, judge):
    """Its folder."""
    return write_small_model(tmp_path_factory.mktemp("models") / "plates", judge)
