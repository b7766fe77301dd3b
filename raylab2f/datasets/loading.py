"""From what the user names to a checked manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from raylab2f.datasets.entries import Entry, Found, LayoutOptions, first_few, refuse_duplicates
from raylab2f.datasets.file_warnings import file_warnings
from raylab2f.datasets.layouts import read_layout, table
from raylab2f.datasets.manifest import manifest_table
from raylab2f.datasets.objects import NO_OBJECTS_WARNING, apply_rules
from raylab2f.datasets.pictures import PIXEL_LIMIT
from raylab2f.datasets.probing import probe_entries
from raylab2f.errors import UserError
from raylab2f.files.places import is_uri, place_of
from raylab2f.pitfalls import Caution

__all__ = ["Dataset", "load_dataset"]


@dataclass(frozen=True)
class Dataset:
    """Pictures that can all be read.

    Attributes:
        name: of the folder, category or manifest.
        manifest: in `manifest.MANIFEST_SCHEMA`, with absolute paths, sorted by image id.
        warnings: what the user must know about the data before trusting figures from it.
        skipped: (image id, reason) of what was left out on `skip_unreadable`.
    """

    name: str
    manifest: pa.Table
    warnings: tuple[Caution, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


def load_dataset(
    data: str | Path,
    *,
    layout: str = "auto",
    object_id: str | None = None,
    views: str | None = None,
    conditions: str | None = None,
    nominal: Sequence[str] = (),
    anomalous: Sequence[str] = (),
    category: str | None = None,
    skip_unreadable: bool = False,
    pixel_limit: int = PIXEL_LIMIT,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Find the pictures, read each once, and check all that can be checked.

    Arguments:
        data: folder of pictures, or a manifest; on a store a manifest, or a folder with one.
        layout: a key of `layouts.LAYOUTS`, or `auto`.
        object_id: regular expression on image ids whose group `object` is the physical part (replaces the layout's).
        views: likewise with a group `view`.
        conditions: likewise with a group `condition`.
        nominal, anomalous: sub-folders, for layout folder.
        category: one of several, for layout mvtec.
        skip_unreadable: leave out, and record, pictures that cannot be used: absent, empty, truncated, of an
            unsupported kind, above the pixel limit, changed since the manifest was written, or with a mask or
            foreground that is so itself or of another size than the picture; also masks without a picture and
            pictures in the wrong place.
        pixel_limit: most pixels (width times height) of a picture.
        progress: called as `progress(pictures read, pictures in total)`.

    Raises:
        UserError: nothing at `data`, an unknown layout, an option that does not fit, duplicate image ids, files that
            cannot be used (unless skipped), no nominal or no anomalous pictures.
    """
    place = place_of(data)
    options = LayoutOptions(category, tuple(nominal), tuple(anomalous))
    if is_uri(place):
        found = _on_store(place, layout, options)
    else:
        path = Path(place).expanduser()
        if not path.exists():
            raise UserError(f"{data}: there is no such folder or manifest.")
        found = read_layout(path.resolve(), layout, options)
    root = place
    refuse_duplicates((entry.image_id for entry in found.entries), str(root))
    entries, objects_known = apply_rules(
        sorted(found.entries, key=lambda entry: entry.image_id), object_id=object_id, views=views
    )
    if all(entry.label is not None for entry in entries):
        _require_both_labels(entries, root, "")
    probed = probe_entries(entries, pixel_limit, progress)
    problems = [(item.entry.image_id, item.problem) for item in probed if item.problem is not None]
    problems += found.strays
    if problems and not skip_unreadable:
        listed = first_few([f"{image_id}: {reason}" for image_id, reason in problems])
        raise UserError(
            f"{root}: {len(problems)} files cannot be used ({listed}); mend them, or add --skip-unreadable to go on "
            "without them."
        )
    usable = [item.entry for item in probed if item.problem is None]
    _require_both_labels(usable, root, " that can be read")
    warnings = [] if objects_known else [NO_OBJECTS_WARNING]
    warnings += file_warnings(probed) + _repeated_files(usable)
    return Dataset(found.name, manifest_table(usable), tuple(warnings), tuple(problems))


def _on_store(place: str, layout: str, options: LayoutOptions) -> Found:
    """A manifest; the other layouts would have to list a whole folder of the store."""
    if layout not in ("auto", "manifest") or options != LayoutOptions():
        raise UserError(
            f"{place}: only a manifest can be read from a store; leave --layout, --category, --nominal and --anomalous "
            "out, and make one with raylab2f datasets manifest."
        )
    found = table.read(place, options)
    if not found.entries:
        raise UserError(f"{place}: there are no pictures in this manifest.")
    return found


def _require_both_labels(entries: Sequence[Entry], root: str, which: str) -> None:
    for label, word in ((0, "nominal"), (1, "anomalous")):
        if all(entry.label != label for entry in entries):
            raise UserError(f"{root}: there are no {word} pictures{which}; an evaluation needs both kinds.")


def _repeated_files(usable: Sequence[Entry]) -> list[Caution]:
    warnings = []
    objects: dict[str | None, set[str]] = defaultdict(set)
    for entry in usable:
        objects[entry.sha256].add(entry.object_id or entry.image_id)
    repeated = sorted(min(owners) for owners in objects.values() if len(owners) > 1)
    if repeated:
        warnings.append(
            Caution(
                "RL204",
                f"{len(repeated)} files occur under more than one object ({first_few(repeated)}), so the same picture "
                "can land in training and in evaluation; remove the copies or give an --object-id rule that unites "
                "them.",
            )
        )
    return warnings
