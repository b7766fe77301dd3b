"""PatchCore's and GLASS's published code: what it writes, and the arrays that can be read in its place.

Both write a `results.csv` with one row a data set: `instance_auroc` and others (amazon-science/patchcore-inspection),
`image_auroc` and others (cqylunlun/GLASS). There is no score of any picture in it, so nothing can be judged anew from
it, and no interval made. The scores exist only while the program runs, as arrays in the order of the test pictures;
saved with `numpy.savez`, they are read: `scores`, and optionally `labels` (`labels_gt`) and `image_paths` (`paths`,
`names`). PatchCore's are those that `PatchCore.predict` gives back, before `bin/run_patchcore.py` scales them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError, first_line
from raylab2f.evaluation.readers.anomalib import finish
from raylab2f.evaluation.readers.reader import Found, Reader, table_of_columns

__all__ = ["GLASS", "PATCHCORE"]

_ALIASES = {
    "scores": "score",
    "labels": "label",
    "labelsgt": "label",
    "imagepaths": "image_id",
    "paths": "image_id",
    "names": "image_id",
}
_ROW_NAMES = "rownames"
# A score, a label and a name for each picture; maps and masks are not looked at.
_MOST_BYTES = 1 << 30


def _recognises(measure: str) -> Callable[[Found], bool]:
    def recognises(found: Found) -> bool:
        if found.kind == "arrays":
            return "scores" in found.columns
        return found.kind == "table" and {_ROW_NAMES, measure} <= found.columns

    return recognises


def _read(found: Found) -> pa.Table:
    where = f"'{found.path}'"
    if found.kind != "arrays":
        raise UserError(
            f"{where} holds the AUROC of whole data sets and no score of any picture; save the scores, labels and "
            "paths of the test pictures with numpy.savez, and give that file."
        )
    arrays = {}
    try:
        with zipfile.ZipFile(found.path) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                if name.replace("_", "").lower() not in _ALIASES:
                    continue
                if entry.file_size > _MOST_BYTES:
                    raise UserError(
                        f"{where}: the array {name} has {entry.file_size:,} bytes; save one value a picture."
                    )
                # Objects would be pickles, which run code.
                arrays[name] = np.lib.format.read_array(io.BytesIO(archive.read(entry)), allow_pickle=False)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f"{where} cannot be read as arrays ({first_line(error)}); save scores, labels and paths as arrays of "
            "numbers and text with numpy.savez."
        ) from error
    sizes = {name: np.squeeze(array).shape for name, array in arrays.items()}
    if len(set(sizes.values())) > 1 or any(len(shape) > 1 for shape in sizes.values()):
        listed = ", ".join(f"{name} {'x'.join(map(str, array.shape)) or 'one'}" for name, array in arrays.items())
        raise UserError(f"{where}: each array must have one value for each picture; they are {listed}.")
    columns = {name: np.atleast_1d(np.squeeze(array)).tolist() for name, array in arrays.items()}
    table = table_of_columns(columns, _ALIASES, where)
    if "image_id" not in table.column_names:
        if "label" not in table.column_names:
            raise UserError(
                f"{where} has neither labels nor image_paths, so nothing says what each score is of; add one."
            )
        table = table.append_column("image_id", pa.array([f"{row:06d}" for row in range(table.num_rows)]))
    return finish(table, where)


_ARRAYS = "a .npz of arrays scores, labels and image_paths"
PATCHCORE = Reader(
    "patchcore", f"output of PatchCore's published code ({_ARRAYS})", _recognises("instanceauroc"), _read
)
GLASS = Reader("glass", f"output of GLASS's published code ({_ARRAYS})", _recognises("imageauroc"), _read)
