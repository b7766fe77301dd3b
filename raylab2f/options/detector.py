"""Which detector, with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from raylab2f.errors import UserError
from raylab2f.options.declaration import Option, one_of
from raylab2f.options.detector_settings import configure, lasting_assignment, lasting_setting
from raylab2f.plugins import DETECTORS, added_names, trust

__all__ = ["DetectorChoice"]

_PANEL = "Detector"
# The registry's, which would import torch for a page of help.
_OWN = ("csflow", "dfm", "glass", "mahalanobis", "padim", "patchcore")


@dataclass(frozen=True)
class DetectorChoice:
    """Which detector, with which settings."""

    detector: Annotated[
        tuple[str, ...],
        Option(
            f"{one_of(*_OWN, *added_names(DETECTORS))}; repeatable.",
            panel=_PANEL,
        ),
    ] = ("glass",)
    preset: Annotated[
        str | None,
        Option("demo, fast or paper; patchcore: paper-vit.", usual="demo on the demo data, else fast", panel=_PANEL),
    ] = None
    epochs: Annotated[int | None, Option(minimum=1, panel=_PANEL)] = None
    size: Annotated[str | None, Option("Pixels: N or HEIGHTxWIDTH.", panel=_PANEL)] = None
    backbone: Annotated[str | None, Option("timm model name.", panel=_PANEL)] = None
    layers: Annotated[str | None, Option("Modules of the backbone, with commas.", panel=_PANEL)] = None
    weights: Annotated[
        str | None,
        Option("bundled, hub, or a file.", panel=_PANEL, lasting=partial(lasting_setting, "weights")),
    ] = None
    settings: Annotated[
        tuple[str, ...],
        Option(
            "Any other setting, [DETECTOR/]NAME=VALUE; repeatable.",
            name="set",
            panel=_PANEL,
            lasting=lasting_assignment,
        ),
    ] = ()
    feature_dtype: Annotated[Literal["float16", "float32"], Option("Of stored features.", panel=_PANEL)] = "float16"

    def preset_for(self, data: str | None) -> str:
        """The preset's name; without one the embedded demo (no `data`) has its own."""
        return self.preset or ("demo" if data is None else "fast")

    def configs(self, preset: str) -> tuple[dict[str, dict[str, Any]], list[UserError]]:
        """The configuration of every detector that can be made, by name, and why others cannot.

        Raises:
            UserError: an option that makes no sense, a name that is nobody's, or no detector that can be made.
        """
        from raylab2f.detectors.registry import config_from_dict, detector_class

        trust(*self.detector)
        configs: dict[str, dict[str, Any]] = {}
        refused: list[UserError] = []
        for name in self.detector:
            try:
                cls = detector_class(name)
            except UserError as error:
                # A slip of the pen is mended before hours are spent.
                if ":" not in name and name not in added_names(DETECTORS):
                    raise
                refused.append(error)
                continue
            config = self._one_of_several(name, preset)
            try:
                cls.check_config(config_from_dict(name, config))
                configs[name] = config
            except UserError as error:
                refused.append(error)
        if not configs:
            raise refused[0]
        return configs, refused

    def config(self, detector: str, preset: str) -> dict[str, Any]:
        """The preset's configuration of one detector with these changes."""
        # By the user, for what files name was refused when they were read.
        trust(*self.detector)
        changes = {name: getattr(self, name) for name in ("epochs", "size", "backbone", "layers", "weights")}
        return configure(detector, preset, changes, self._settings_of(detector))

    def _one_of_several(self, name: str, preset: str) -> dict[str, Any]:
        """`config` of a detector; beside others, what it refuses is said to be its matter."""
        try:
            return self.config(name, preset)
        except UserError as error:
            if len(self.detector) == 1 or name in str(error):
                raise
            raise UserError(
                f"--detector {name}, {error} What is meant for another goes to it alone by --set DETECTOR/NAME=VALUE."
            ) from error

    def _settings_of(self, detector: str) -> list[str]:
        """Those for all detectors, and those for this one, without its name."""
        own = []
        for setting in self.settings:
            owner, slash, rest = setting.partition("/")
            # A value may be a path; a name has no slash.
            if not slash or "=" in owner:
                own.append(setting)
            elif owner == detector:
                own.append(rest)
            elif owner not in self.detector:
                raise UserError(f"--set {setting}: no --detector {owner} is asked for; leave it out, or ask for it.")
        return own
