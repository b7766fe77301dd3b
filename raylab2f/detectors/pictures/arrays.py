"""Anybody's class as a detector: `fit` and `predict` over arrays are enough.

```python
class MyDetector:
    def __init__(self, **options): ...                  # each --set NAME=VALUE
    def fit(self, pictures, foregrounds, seed): ...     # (N, H, W, 3) uint8, (N, H, W) bool or None, int
    def predict(self, pictures): ...                    # scores (n,), maps (n, h, w) or None; higher: more anomalous
    def state(self): ...                                # optional: what predict needs, arrays by name
    def restore(self, state): ...                       # optional: the inverse, on a new instance
```

With `state` and `restore` its folds can be loaded again, to judge altered pictures or to be finalised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from inspect import signature
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from raylab2f import plugins
from raylab2f.detectors.fitted import require_no_epochs
from raylab2f.detectors.pictures.config import PictureConfig, option_values
from raylab2f.detectors.pictures.detector import PictureDetector
from raylab2f.detectors.pictures.seeds import global_seeds
from raylab2f.errors import UserError, first_line

__all__ = ["array_detector"]

_PRESET = PictureConfig()


@cache
def array_detector(name: str, made_from: Any) -> type[PictureDetector]:
    """A detector called `name` whose work a class with `fit` and `predict` does.

    Raises:
        UserError: the class lacks one of them, or one cannot be called as the module's text has it.
    """
    for method, arguments in (("fit", ("pictures", "foregrounds", "seed")), ("predict", ("pictures",))):
        function = getattr(made_from, method, None)
        wanted = f"{method}({', '.join(arguments)})"
        if not callable(function):
            raise UserError(f"--detector {name}: {made_from.__name__} has no {wanted}; add it.")
        try:
            signature(function).bind(None, *arguments)
        except TypeError as error:
            raise UserError(
                f"--detector {name}: {made_from.__name__}.{method} cannot be called as {wanted} ({error}); mend it."
            ) from error
        except ValueError:
            # Written in C, perhaps: it is called and seen.
            pass
    return type(made_from.__name__, (_ArrayDetector,), {"name": name, "made_from": made_from})


class _ArrayDetector(PictureDetector):
    """See `array_detector`."""

    made_from: ClassVar[type]
    # The features that are there are the nearest neighbour's.
    patch_is_known = False
    presets: ClassVar[Mapping[str, Any]] = {"fast": _PRESET, "demo": _PRESET, "paper": _PRESET}

    def __init__(
        self, config: Any, feature_shapes: Sequence[tuple[int, int, int]], backbone: nn.Module | None = None
    ) -> None:
        super().__init__(config, feature_shapes, backbone)
        with global_seeds(config.init_seed):
            self.made = self._make(config)

    @classmethod
    def check_config(cls, config: Any) -> None:
        """`UserError` if the class cannot be made with these options."""
        require_no_epochs(config.schedule)
        cls._make(config)

    @property
    def keeps_model(self) -> bool:
        """Whether the class has `state` and `restore`."""
        return callable(getattr(self.made, "state", None)) and callable(getattr(self.made, "restore", None))

    def fit_pictures(self, pictures: Tensor, foregrounds: Tensor | None, seed: int) -> None:
        """Call `fit`; what it draws from global generators descends from `seed`, too."""
        masks = None if foregrounds is None else foregrounds.cpu().numpy()
        with global_seeds(seed):
            self._call("fit", pictures.cpu().numpy(), masks, seed)

    def judge_pictures(self, pictures: Tensor) -> tuple[Any, Any]:
        """Call `predict`."""
        answer = self._call("predict", pictures.cpu().numpy())
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise UserError(
                f"--detector {self.name}: its predict gives {type(answer).__name__} and not two things, scores and "
                "maps; give `scores, maps`, or `scores, None`."
            )
        return answer[0], answer[1]

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """What `state` gives, as tensors; nothing where there is none."""
        if not self.keeps_model:
            return {}
        given = self._call("state")
        if not isinstance(given, Mapping):
            raise UserError(
                f"--detector {self.name}: its state gives {type(given).__name__}; give a dictionary of arrays by name."
            )
        return {str(name): self._array(str(name), value) for name, value in given.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Let `restore` take what `state` gave.

        Raises:
            UserError: the class keeps no model.
        """
        if not self.keeps_model:
            raise UserError(f"--detector {self.name} keeps no model, for its class has no state() and restore(state)")
        self._call("restore", {name: tensor.numpy() for name, tensor in state_dict.items()})
        return nn.modules.module._IncompatibleKeys([], [])

    def _array(self, name: str, value: Any) -> Tensor:
        try:
            return torch.as_tensor(np.array(value.detach().cpu() if isinstance(value, Tensor) else value))
        except (ValueError, TypeError, RuntimeError) as error:
            raise UserError(
                f"--detector {self.name}: what its state calls {name} is no array ({first_line(error)}); give numbers."
            ) from error

    @classmethod
    def _make(cls, config: Any) -> Any:
        try:
            return cls.made_from(**option_values(config.options))
        # Code that ends the program would take the other detectors' folds on this process with it.
        except (Exception, SystemExit) as error:
            given = ", ".join(config.options) or "no option"
            raise UserError(
                f"--detector {cls.name}: it cannot be made with {given} ({plugins.fault(error)}); mend it or --set."
            ) from error

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self.made, method)(*arguments)
        except (Exception, SystemExit) as error:
            raise UserError(
                f"--detector {self.name}: its {method} failed ({plugins.fault(error)}); mend it."
            ) from error
