"""FiftyOne: `samples.json` of a data set exported as `FiftyOneDataset`.

A sample has `filepath`, and fields that its user named. The label is the classification in `ground_truth` or, without
that field, in the only field of classifications whose name does not begin with `pred`; its class is good, or the type
of a defect. The score is the only field of numbers with `score` in its name, such as `anomaly_score`: confidences of
predicted classes are none, for they grow with the certainty that a picture is good as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.readers.reader import Found, Reader, class_of, forward, table_of_columns
from raylab2f.files.cells import shown

__all__ = ["READER"]

_PASSED_ON = ("object_id", "view", "condition", "partition", "fold", "repeat")


def _recognises(found: Found) -> bool:
    content = found.content
    samples = content.get("samples") if isinstance(content, dict) else None
    return isinstance(samples, list) and all(isinstance(sample, dict) and "filepath" in sample for sample in samples)


def _read(found: Found) -> pa.Table:
    where = f"'{found.path}'"
    samples: list[Mapping[str, Any]] = found.content["samples"]
    fields = list(dict.fromkeys(name for sample in samples for name in sample))
    score = _the_one(
        [
            name
            for name in fields
            if "score" in name.lower() and any(_is_number(sample.get(name)) for sample in samples)
        ],
        f"{where} has {{}} of numbers with score in their names; export one field of anomaly scores",
    )
    columns: dict[str, Sequence[Any]] = {
        "image_id": [forward(str(sample["filepath"])) for sample in samples],
        "score": [sample.get(score) for sample in samples],
        **{name: [sample.get(name) for sample in samples] for name in _PASSED_ON if name in fields},
    }
    classified = [name for name in fields if any(_class(sample.get(name)) is not None for sample in samples)]
    truths = [name for name in classified if not name.lower().startswith("pred")]
    if classified:
        label = (
            "ground_truth"
            if "ground_truth" in classified
            else _the_one(truths, f"{where} has {{}} that may hold true classes; call the right one ground_truth")
        )
        classes = [None if (name := _class(sample.get(label))) is None else class_of(name) for sample in samples]
        columns["label"] = [None if one is None else one[0] for one in classes]
        columns["defect_type"] = [None if one is None else one[1] for one in classes]
    return table_of_columns(columns, {name: name for name in columns} | _PLAIN, where)


_PLAIN = {name.replace("_", ""): name for name in ("image_id", "label", "score", "defect_type", *_PASSED_ON)}


def _the_one(names: Sequence[str], sentence: str) -> str:
    if len(names) == 1:
        return names[0]
    found = f"the fields {', '.join(map(shown, names[:5]))}" if names else "no field"
    raise UserError(f"{sentence.format(found)}.")


def _class(value: Any) -> str | None:
    if isinstance(value, dict) and value.get("_cls") == "Classification" and isinstance(value.get("label"), str):
        return value["label"]
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


READER = Reader("fiftyone", "samples.json of a FiftyOneDataset", _recognises, _read)
