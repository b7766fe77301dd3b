"""The reader of exported files that docs/export.md prints judges as the model does, without this package."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from small_models import plate, small_judge, write_small_model

import raylab2f

PAGE = Path(__file__).parents[2] / "docs" / "export.md"


def test_ten_lines_judge_a_picture_file(tmp_path):
    judge = small_judge()
    model = write_small_model(tmp_path / "model", judge)
    raylab2f.export(model)
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert "raylab2f" not in code
    (tmp_path / "reader.py").write_text(code)
    (tmp_path / "arrived").mkdir()
    for number, spot, said in ((70, False, "accept"), (71, True, "reject")):
        picture = plate(number, spot=spot, size=(90, 110))
        Image.fromarray(picture).save(tmp_path / "arrived" / "part3.png")
        words = [sys.executable, "reader.py"]
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
        score, verdict = done.stdout.split()
        assert verdict == said
        assert float(score) == pytest.approx(judge.look([picture])[0].scores[0], rel=1e-4)
