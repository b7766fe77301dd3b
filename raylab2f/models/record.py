"""The content of `model.json`: what a finalised model is, as plain values."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.files.typed_values import require_types
from raylab2f.preparation.tiling import parse_tile_score

__all__ = ["MODEL_VERSION", "Decision", "ModelRecord", "Verdict"]

#: Raised whenever a folder of before can no longer be read.
MODEL_VERSION = 1

Verdict = Literal["accept", "review", "reject"]

_DTYPES = ("float16", "float32")
_MOST_MEMBERS = 1000


@dataclass(frozen=True)
class Decision:
    """How a score becomes a verdict.

    Arguments:
        level: `object`: all pictures of a part together are decided; `image`: each picture by itself.
        object_score: from pictures' scores to that of a part, see `parse_object_score`.
        strategy: by which the threshold was chosen.
        threshold: what scores as high is rejected.
        low_threshold: what scores lower is accepted, and a person looks at the rest; `None`: there is no middle.
        carried: how a threshold came from the folds' to this model, `None` where it is a fold's own.
    """

    level: Literal["object", "image"]
    object_score: str
    strategy: str
    threshold: float
    low_threshold: float | None = None
    carried: str | None = None

    def __post_init__(self) -> None:
        parse_object_score(self.object_score)
        if self.low_threshold is not None and self.low_threshold > self.threshold:
            raise ValueError("its lower threshold is above the upper one")

    def verdict(self, score: float) -> Verdict:
        """Of a score at the level of the decision."""
        if score >= self.threshold:
            return "reject"
        return "review" if self.low_threshold is not None and score >= self.low_threshold else "accept"


@dataclass(frozen=True)
class ModelRecord:
    """Everything that is known of a finalised model beside its tensors.

    Arguments:
        name: for people, such as the run's.
        origin: `way` (`from-fold`, `refit`, `ensemble`), `run` (its name), `folds`, `seed`.
        dataset: what the run was evaluated on, as `run.json` describes it, fingerprint included.
        preparation: `Preparation.to_dict`.
        angles: degrees at which a picture is judged; its scores count as those of several pictures of the part.
        detector, config, feature_shapes: as for a fold's checkpoint.
        feature_dtype: type through which features pass, as in the run.
        members: (init_seed, centre, scale) of each of its detectors, which differ in the configuration's `init_seed`;
            the model's score is the mean of their (score - centre) / scale.
        backbone_digests: of each feature request's backbone.
        normalisations: mean and deviation of each backbone's input, where weights are inside the folder; else empty.
        decision: from score to verdict.
        map_level: values of anomaly maps that hardly any pixel of good pictures reaches.
        familiarity: `Familiarity.to_dict`, without its tensors.
        expected: `of` (what was judged, in words), `estimates` (rows as in `summary.json`) and `acceptance`.
        tile_score: where pictures are cut into tiles, a picture's score from theirs, see `preparation.tiling`.
        foreground_tiles: whether its detectors saw only tiles that show foreground, so that every picture must come
            with a mask of it.
        positions: of tiles that have a detector of their own each; none: one detector judges all.
        frame: height and width in pixels of pictures that are cut into such tiles.
        versions: of the code that made it.
        files: sha256 of every other file of the folder that is read.
    """

    name: str
    origin: dict[str, Any]
    dataset: dict[str, Any]
    preparation: dict[str, Any]
    angles: tuple[float, ...]
    detector: str
    config: dict[str, Any]
    feature_shapes: tuple[tuple[int, int, int], ...]
    feature_dtype: str
    members: tuple[tuple[int, float, float], ...]
    backbone_digests: tuple[str, ...]
    normalisations: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...]
    decision: Decision
    map_level: float
    familiarity: dict[str, Any]
    expected: dict[str, Any]
    tile_score: str = "max"
    foreground_tiles: bool = False
    positions: tuple[int, ...] = ()
    frame: tuple[int, int] | None = None
    versions: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    version: int = MODEL_VERSION

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Any) -> ModelRecord:
        """The inverse of `to_dict`.

        Raises:
            ValueError: a value is not what a model of ours can have.
        """
        if isinstance(values, dict) and values.get("version") != MODEL_VERSION:
            raise ValueError(f"it is of version {values.get('version')}, and this reads {MODEL_VERSION}")
        require_types(cls, values)
        made = {entry.name: _as_tuples(values[entry.name]) for entry in fields(cls) if entry.name in values}
        record = cls(**{**made, "decision": Decision(**values["decision"])})
        if record.feature_dtype not in _DTYPES:
            raise ValueError(f"feature_dtype is none of {', '.join(_DTYPES)}")
        if not 1 <= len(record.members) <= _MOST_MEMBERS:
            raise ValueError("it has no detector")
        if not all(scale > 0 for _, _, scale in record.members):
            raise ValueError("the scale of a detector's scores is not above 0")
        if not record.angles or not all(map(math.isfinite, record.angles)):
            raise ValueError("it judges pictures at no angle")
        parse_tile_score(record.tile_score)
        return record


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
