"""A run that is somebody else's: what may not be read or written is said, and is not taken for what is not there."""

import os

import pytest
from other_users import ANN, STRANGER, acting_as, folder_for_all, needs_other_users
from rich.console import Console

from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json
from raylab2f.files.digests import sha256_of
from raylab2f.reporting import Display
from raylab2f.runs.fold import fold_is_finished
from raylab2f.workflows.diagnosis import diagnose_run

pytestmark = needs_other_users


@pytest.fixture
def run(write_run):
    with folder_for_all() as folder:
        path = write_run(folder / "run", folds=2)
        (path / "figures").mkdir()
        for made in (path, *path.rglob("*")):
            os.chown(made, ANN, ANN)
        yield path


def diagnose_as(user, run):
    with acting_as(user):
        diagnose_run(str(run), cache=run.parent / "cache", display=Display(Console(quiet=True)), stored_only=True)


def test_diagnose_says_at_once_that_it_may_not_write(run):
    with pytest.raises(UserError) as error:
        diagnose_as(STRANGER, run)
    assert str(error.value) == (
        f"{run} may not be written by this user, and diagnose adds diagnosis.json and figures to the run; copy {run} "
        "and diagnose the copy, or ask its owner for permission (chmod -R g+w)."
    )


def test_folders_of_another_in_ones_own_run_count(run):
    (run / "figures").chmod(0o555)
    with pytest.raises(UserError, match="figures may not be written by this user"):
        diagnose_as(ANN, run)


@pytest.mark.parametrize("closed", ["run.json", "."])
def test_a_run_that_may_not_be_read_is_not_called_none(run, closed):
    run.chmod(0o777)
    (run / "figures").chmod(0o777)
    (run / closed).chmod(0o600 if (run / closed).is_file() else 0o700)
    with pytest.raises((UserError, PermissionError), match=r"may not be read by this user|Permission denied") as error:
        diagnose_as(STRANGER, run)
    assert "no run" not in str(error.value)


@pytest.mark.parametrize("closed", ["folds", "folds/0", "folds/0/fold.json", "folds/0/scores.parquet"])
def test_a_fold_that_may_not_be_read_is_not_called_unfinished(run, closed):
    fold = run / "folds" / "0"
    write_json(fold / "fold.json", {"files": {"scores.parquet": sha256_of(fold / "scores.parquet")}})
    with acting_as(STRANGER):
        assert fold_is_finished(fold)
    (run / closed).chmod(0o600 if (run / closed).is_file() else 0o700)
    with acting_as(STRANGER), pytest.raises(UserError, match=r"may not be read by this user.*chmod -R g\+rX"):
        fold_is_finished(fold)
