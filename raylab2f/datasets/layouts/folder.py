"""Layout `folder`: sub-folders that the user names as nominal or anomalous, with pictures at any depth below them.

Nominal pictures are given as training pictures, anomalous ones as test pictures; the defect type is the name of the
folder that the user named. Masks cannot be told from pictures here: a manifest brings them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions, first_few, list_pictures
from raylab2f.errors import UserError

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "sub-folders of pictures named with --nominal and --anomalous"


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether the user named folders."""
    return bool(options.nominal or options.anomalous)


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of the named folders.

    Raises:
        UserError: one kind of folder is not named, a folder is absent or outside `root`, or a picture would be both
            nominal and anomalous.
    """
    if not (options.nominal and options.anomalous):
        raise UserError(f"{root}: layout folder needs {LOOKED_FOR}, at least one of each.")
    nominal = dict(_entries(root, options.nominal, label=0))
    anomalous = dict(_entries(root, options.anomalous, label=1))
    both = sorted(nominal.keys() & anomalous.keys())
    if both:
        raise UserError(
            f"--nominal and --anomalous overlap: {first_few(both)} would be both; name folders that do not contain "
            "one another."
        )
    entries = sorted({**nominal, **anomalous}.values(), key=lambda entry: entry.image_id)
    return Found(root.name, tuple(entries))


def _entries(root: Path, names: tuple[str, ...], *, label: int) -> Iterator[tuple[str, Entry]]:
    option = "--anomalous" if label else "--nominal"
    for name in names:
        folder = (root / name).resolve()
        if not folder.is_relative_to(root):
            raise UserError(f"{option} {name}: the folder must lie inside {root}.")
        if not folder.is_dir():
            raise UserError(f"{option} {name}: there is no such folder in {root}.")
        pictures = list_pictures(folder, recursive=True)
        if not pictures:
            raise UserError(f"{option} {name}: there are no pictures in {folder}.")
        for path in pictures:
            image_id = path.relative_to(root).as_posix()
            yield (
                image_id,
                Entry(
                    image_id=image_id,
                    path=str(path),
                    label=label,
                    # A nominal folder's own name would break the rule that nominal pictures are "good".
                    defect_type=_defect_type(folder) if label else NOMINAL,
                    given_split="test" if label else "train",
                ),
            )


def _defect_type(folder: Path) -> str:
    return folder.name if folder.name != NOMINAL else "defect"
