"""The experiments' programs read pictures with the options of `run-cv`."""

import cv2
import numpy as np
from typer.testing import CliRunner

from raylab2f.cli.experiments import experiment_app
from raylab2f.errors import UserError


def test_pictures_that_are_too_large_are_refused_or_left_out(tmp_path):
    for kind, count in (("good", 3), ("bad", 1)):
        (tmp_path / "parts" / kind).mkdir(parents=True)
        for number in range(count):
            side = 16 if number == 2 else 8
            cv2.imwrite(str(tmp_path / "parts" / kind / f"{number}.png"), np.zeros((side, side, 3), np.uint8))
    given = ["--data", tmp_path / "parts", "--nominal", "good", "--anomalous", "bad", "--pixel-limit", 100]
    words = [*map(str, given), "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    refused = CliRunner().invoke(experiment_app("one_angle"), words)
    assert isinstance(refused.exception, UserError)
    assert "good/2.png" in str(refused.exception)
    # Read without it, the pictures lack what this experiment looks at.
    skipped = CliRunner().invoke(experiment_app("one_angle"), [*words, "--skip-unreadable"])
    assert "fewer than two views" in str(skipped.exception)
