"""What records a run elsewhere never ends it."""

from raylab2f.workflows.tracking.harmless import Harmless
from raylab2f.workflows.tracking.tensorboard import tensorboard_logging


def test_the_first_failure_is_told_and_the_last():
    said, seen = [], []

    def record(value):
        seen.append(value)
        if value > 1:
            raise UnicodeEncodeError("ascii", "schweißnaht", 6, 7, "ordinal not in range(128)")
        return value

    metrics = Harmless("the metrics", said.append)
    listener = metrics.guard(record)
    assert metrics(record, 1) == 1
    for value in (0, 2, 3):
        listener(value)
    assert metrics(record, 4) is None
    assert seen == [1, 0, 2]
    assert len(said) == 1
    assert said[0].startswith("the metrics cannot be written (UnicodeEncodeError: 'ascii' codec")


def test_a_folder_that_cannot_be_written_costs_tensorboard_only(tmp_path):
    said = []
    (tmp_path / "tensorboard").touch()
    numbers = {"epoch": 1, "loss": 0.5, "pictures_per_second": 3.0}
    with tensorboard_logging(said.append) as progress:
        progress(str(tmp_path / "folds" / "0"), numbers)
        progress(str(tmp_path / "folds" / "1"), numbers)
    assert len(said) == 1
    assert "TensorBoard's files cannot be written" in said[0]
