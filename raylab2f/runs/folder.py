"""What a run is made of, and the folder that holds it.

```
run.json            settings, dataset, versions (of packages that add parts, too)
manifest.parquet    the dataset
pictures.parquet    its prepared pictures: the manifest with rows for turned copies (`rotation`, `source_id`)
folds/{k}/          split.parquet, scores.parquet, baseline.parquet, maps.parquet, model.safetensors, model.json,
                    fold.json | error.json, epoch_scores.parquet if asked for, pixels.parquet and segmentation.parquet
                    where there are defect masks, tiles.parquet where pictures are cut into tiles
metrics.parquet     one row per fold, strategy, level and metric
probabilities.parquet  how likely each judged picture and part is defective, where it was asked for
summary.json        the estimates with their intervals
summary.txt         the same as tables
acceptance.json     where limits were set: whether they are kept
report.html, .md    the page
```
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any, Literal, TypeVar

from raylab2f.datasets.entries import first_few
from raylab2f.errors import UserError
from raylab2f.evaluation import check_rules
from raylab2f.evaluation.acceptance.limits import LimitSet
from raylab2f.evaluation.plans.training_choice import TrainOn
from raylab2f.files.atomic import remove_temporaries, write_json
from raylab2f.files.locks import empty_folders_removed, folder_in_use
from raylab2f.files.mirror import fetch, local
from raylab2f.files.places import absolute, is_uri, join, name_of, names_in
from raylab2f.files.strangers import read_json
from raylab2f.files.typed_values import require_types
from raylab2f.plugins import plugin_packages
from raylab2f.preparation import PreparationSettings
from raylab2f.runs.continuing import differing_options
from raylab2f.versions import version_of

__all__ = ["TUNE_FOLDER", "DataSettings", "RunFolder", "RunSettings"]

#: Ray Tune's own files while it works, in the run's folder; deleted before and after.
TUNE_FOLDER = ".raylab2f-tune"

_T = TypeVar("_T")

# What settings may be at least and at most; more folds than anybody trains would be planned until memory ends.
_RANGES: dict[str, tuple[float, float]] = {
    "folds": (1, 10_000),
    "seed": (0, 2**63),
    "train_fraction": (1e-9, 1),
    "epoch_scores": (0, 10**9),
    "memory_budget": (1, 2**60),
}
_RULES = {*signature(check_rules).parameters, "mute"}

_VERSIONED = ("raylab2f", "ray", "torch", "timm", "FrEIA", "numpy", "pyarrow", "scikit-learn")


@dataclass(frozen=True)
class DataSettings:
    """Which pictures, and how they are read.

    Arguments:
        data: folder or manifest file, or the URI of a manifest; `None`: the embedded demo.
        layout: `auto` or a layout's name.
        category: one category of a folder that holds several.
        nominal, anomalous: folder names for the layout `folder`.
        object_id, views, conditions: regular expressions on `image_id` with groups `object`, `view` and `condition`.
        skip_unreadable: go on without pictures that cannot be read.
        pixel_limit: a picture of more pixels is refused.
    """

    data: str | None = None
    layout: str = "auto"
    category: str | None = None
    nominal: tuple[str, ...] = ()
    anomalous: tuple[str, ...] = ()
    object_id: str | None = None
    views: str | None = None
    conditions: str | None = None
    skip_unreadable: bool = False
    pixel_limit: int = 100_000_000


@dataclass(frozen=True)
class RunSettings:
    """Everything that determines a run's results; where and how fast it is computed is not part of it.

    Arguments:
        data: the pictures.
        detector, preset: names; `config` is the preset's configuration after the user's changes, as a dictionary.
        preparation: what is done to the pictures.
        folds: resamplings of the fold plan.
        seed: everything random descends from it.
        scheme: `balanced` partitions drawn anew in every fold; `kfold`, where every object is judged exactly once; or
            `leave-condition-out`, where every fold judges a condition that it has never seen.
        split_by: `object`, or `picture` (which leaks; for comparison only).
        stratify: halve every defect type by itself.
        train_fraction: share of the nominal training objects that train, for learning curves.
        merge_nominal_test: `auto`, `yes` or `no`: whether given test nominals join the nominal pool.
        train_on: `good-objects`, `good-pictures` (those of defective objects too), or `auto`: these only where good
            objects are too few.
        feature_dtype: of the feature store.
        epoch_scores: keep the scores after so many epochs each, for contrast only; 0: do not.
        memory_budget: bytes for a process of a fold; features are read as they are needed where they exceed it; `None`:
            all are held.
        evaluation: keyword arguments of `raylab2f.evaluation.evaluate`, muted codes included.
        limits: on wrong decisions, set before anything is trained: `LimitSet.to_dict`, empty where there are none.
    """

    data: DataSettings
    detector: str
    preset: str
    config: dict[str, Any]
    preparation: PreparationSettings = field(default_factory=PreparationSettings)
    folds: int = 10
    seed: int = 0
    scheme: Literal["balanced", "kfold", "leave-condition-out"] = "balanced"
    split_by: Literal["object", "picture"] = "object"
    stratify: bool = False
    train_fraction: float = 1.0
    merge_nominal_test: Literal["auto", "yes", "no"] = "auto"
    train_on: TrainOn = "auto"
    feature_dtype: str = "float16"
    epoch_scores: int = 0
    memory_budget: int | None = None
    evaluation: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunSettings:
        """The inverse of `to_dict`; a setting that is newer than the values has its default.

        Raises:
            ValueError: a value is not what a run of ours can have.
            UserError: likewise.
        """
        require_types(cls, values)
        for name, (least, most) in _RANGES.items():
            if not least <= (least if (value := values.get(name)) is None else value) <= most:
                raise ValueError(f"{name} is not from {least:g} to {most:g}")
        if unknown := set(values.get("evaluation", {})) - _RULES:
            raise ValueError(f"there is no evaluation.{sorted(map(str, unknown))[0][:60]}")
        LimitSet.from_dict(values.get("limits", {}))
        data: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values["data"].items()
        }
        preparation = PreparationSettings.from_dict(values["preparation"])
        return cls(**{**values, "data": DataSettings(**data), "preparation": preparation})


@dataclass(frozen=True)
class RunFolder:
    """Paths inside a run's folder.

    Arguments:
        place: the folder; its files are read and written in `path`, which for a folder on a store is its mirror here.
    """

    place: str

    @property
    def path(self) -> Path:
        return local(self.place)

    @property
    def name(self) -> str:
        return name_of(self.place)

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.parquet"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures.parquet"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.parquet"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    def fold(self, number: int) -> Path:
        """The folder of one fold."""
        return self.path / "folds" / str(number)

    def fold_place(self, number: int) -> str:
        """The place of one fold's folder, as other processes find it."""
        return absolute(join(self.place, "folds", str(number)))

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "run.json").exists()

    def begins_or_continues(self, settings: RunSettings, *, resume: bool) -> bool:
        """Whether a run with these settings goes on here, rather than begins.

        Raises:
            UserError: there is a run and it shall not go on, or cannot with these settings; or there are other files.
        """
        fetch(self.place, ["run.json"])
        if not (resume and self.exists()):
            self.require_new()
            return False
        self.check_continues(settings)
        return True

    def require_new(self) -> None:
        """`UserError` where a run was begun here, or other files are; what a store holds is fetched before."""
        if self.exists():
            raise UserError(
                f"--out {self.place} holds a run already; add --resume to go on with it, or choose another."
            )
        if others := names_in(self.place):
            raise UserError(f"--out {self.place} holds no run, but {first_few(others)}; choose an empty folder.")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep other commands out of the folder inside the block, and delete what a killed one left half-written.

        A folder that was made for the block and is empty at its end goes again, and so do those made above it. A folder
        on a store cannot be kept for oneself.

        Raises:
            UserError: another command works in it, or nobody may write there.
        """
        if is_uri(self.place):
            yield
            return
        with empty_folders_removed(self.path), folder_in_use(self.path):
            remove_temporaries(self.path)
            yield

    def refuse_links(self) -> None:
        """`UserError` if anything inside is a link, through which results would be written elsewhere."""
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                if (path := Path(folder) / name).is_symlink():
                    raise UserError(f"{path} is a link; put what it points to in its place, or choose another --out.")
            folders[:] = [name for name in folders if name != TUNE_FOLDER]

    def settings(self) -> RunSettings:
        """Those the run was begun with; `UserError` when there is no run, or it cannot be read."""
        return self._recorded(lambda record: RunSettings.from_dict(record["settings"]))

    def begin(
        self,
        settings: RunSettings,
        dataset: dict[str, Any],
        partitions: list[dict[str, Any]],
        cache: str | None = None,
    ) -> None:
        """Record the settings, the dataset's description, each fold's partition sizes, the cache's place, and the
        versions in use.
        """
        versions = {name: version_of(name) for name in _VERSIONED} | plugin_packages()
        record = {
            "settings": settings.to_dict(),
            "dataset": dataset,
            "partitions": partitions,
            "cache": cache,
            "versions": {"python": platform.python_version(), **versions},
            "machine": {"system": platform.platform(), "processor": platform.machine()},
        }
        write_json(self.path / "run.json", record)

    def check_continues(self, settings: RunSettings) -> None:
        """`UserError` unless a run begun here may go on with `settings`: all equal but the number of folds, which may
        grow, what happens to the scores afterwards, and how much memory the folds that are missing may take.
        """
        self.refuse_links()
        before, now = self.settings().to_dict(), settings.to_dict()
        grows = settings.scheme != "kfold"
        if grows and now["folds"] < before["folds"]:
            raise UserError(
                f"--resume: {self.place} was begun with --folds {before['folds']}; ask for as many or more, or choose "
                "another --out."
            )
        free = {"evaluation", "memory_budget"} | ({"folds"} if grows else set())
        before, now = ({k: v for k, v in values.items() if k not in free} for values in (before, now))
        if differing := differing_options(before, now):
            raise UserError(
                f"--resume: {self.place} was begun otherwise ({'; '.join(differing)}); leave these options out, or "
                "choose another --out."
            )

    def check_pictures(self, identity: str) -> None:
        """`UserError` if a run was begun here on pictures with another fingerprint."""
        if not self.exists():
            return
        name, pictures, before = self._recorded(
            lambda record: [record["dataset"][key] for key in ("name", "pictures", "fingerprint")]
        )
        if before != identity:
            raise UserError(
                f"--resume: {self.place} was begun on other pictures ({name}, {pictures} pictures); restore them, or "
                "choose another --out."
            )

    def _recorded(self, pick: Callable[[dict[str, Any]], _T]) -> _T:
        """What `pick` finds in `run.json`."""
        try:
            return pick(read_json(self.path / "run.json"))
        except FileNotFoundError as error:
            raise UserError(f"{self.place} holds no run (no run.json); give the folder of one.") from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise UserError(
                f"{join(self.place, 'run.json')} cannot be read ({error}); choose another --out."
            ) from error
