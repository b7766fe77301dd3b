"""What a page of several runs shows: a study of training fractions, and defects of several types and sizes."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
from sized_scores import scores

from raylab2f.files.digests import sha256_of
from raylab2f.workflows.report.detection import detection_content

__all__ = ["planted_detection", "with_fewer_trained"]


def with_fewer_trained(run, folder, fraction=0.5):
    """A copy of a run in which, by its records, so many of the training parts trained."""
    shutil.copytree(run, folder)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    record["settings"]["train_fraction"] = fraction
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    for path in folder.glob("folds/*/split.parquet"):
        rows = pq.read_table(path).to_pylist()
        trained = [row for row in rows if row["partition"] == "train"]
        left_out = trained[int(fraction * len(trained)) :]
        pq.write_table(pa.Table.from_pylist([row for row in rows if row not in left_out]), path)
        written = json.loads((path.parent / "fold.json").read_text(encoding="utf-8"))
        written["files"][path.name] = sha256_of(path)
        (path.parent / "fold.json").write_text(json.dumps(written), encoding="utf-8")
    return folder


def planted_detection(folder, **options):
    """What a page says of sizes: of dents and scratches, whose sizes decide, and of stains, of which there are few."""
    table = scores(**{"slope": 2.0, "defective": 240, **options})
    types = [
        "stain" if name in ("part 0", "part 2") else kind
        for name, kind in zip(table["object_id"].to_pylist(), table["defect_type"].to_pylist(), strict=True)
    ]
    table = table.set_column(table.column_names.index("defect_type"), "defect_type", pa.array(types))
    folder.mkdir()
    pq.write_table(table.select(["image_id", "label", "size"]), folder / "manifest.parquet")
    rules = {"strategies": ["youden"], "object_score": "max", "replicates": 60}
    return detection_content(str(folder), table.drop_columns(["size"]), {"settings": rules, "seed": 0}, "object")
