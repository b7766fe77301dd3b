"""Import before raylab2f's detectors where OpenCV or pyarrow are absent, as on a bare GPU machine.

Training steps and inference need neither: OpenCV draws local anomalies and judges the mean picture, pyarrow writes the
feature store. But the modules that do so are imported beside those that compute, so they get stand-ins here.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

__all__ = ["HAS_OPENCV"]

HAS_OPENCV = find_spec("cv2") is not None

if not HAS_OPENCV:
    sys.modules["cv2"] = ModuleType("cv2")
if find_spec("pyarrow") is None:
    # A package without what its __init__ imports; the backbone's modules are found in it all the same.
    _features = ModuleType("raylab2f.features")
    _features.__path__ = [str(Path(__file__).parents[1] / "raylab2f" / "features")]
    sys.modules["raylab2f.features"] = _features
