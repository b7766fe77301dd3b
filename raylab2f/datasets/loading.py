"""From what the user names to a checked manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from raylab2f.datasets.discovery import printable
from raylab2f.datasets.entries import Entry, Found, LayoutOptions, first_few, refuse_duplicates
from raylab2f.datasets.file_warnings import file_warnings
from raylab2f.datasets.layouts import read_layout, table
from raylab2f.datasets.manifest import manifest_table
from raylab2f.datasets.objects import (
    NO_OBJECTS_WARNING,
    apply_rules,
    equal_files_warnings,
    mixed_objects_warnings,
    padded_names_warnings,
)
from raylab2f.datasets.pictures import PIXEL_LIMIT
from raylab2f.datasets.probing import Probed, probe_entries
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
        layout: one of `layouts.layout_names`, or `auto`.
        object_id: regular expression on image ids whose group `object` is the physical part (replaces the layout's).
        views: likewise with a group `view`.
        conditions: likewise with a group `condition`.
        nominal, anomalous: sub-folders, for layout folder.
        category: one of several, for the layouts that have them.
        skip_unreadable: leave out, and record, pictures that cannot be used: absent, empty, truncated, of an
            unsupported kind, above the pixel limit, changed since the manifest was written, or with a mask or
            foreground that is so itself or of another size than the picture; also masks without a picture,
            pictures in the wrong place, and files whose name is not UTF-8.
        pixel_limit: most pixels (width times height) of a picture.
        progress: called as `progress(pictures read, pictures in total)`.

    Raises:
        UserError: nothing at `data`, an unknown layout, an option that does not fit, duplicate image ids, files that
            cannot be used (unless skipped), no nominal or no anomalous pictures.
    """
    place = place_of(data)
    options = LayoutOptions(category, tuple(nominal), tuple(anomalous))
    found = _on_store(place, layout, options) if is_uri(place) else read_layout(_existing(place), layout, options)
    root = place
    refuse_duplicates((entry.image_id for entry in found.entries), str(root))
    entries, objects_known = apply_rules(
        sorted(found.entries, key=lambda entry: entry.image_id), object_id=object_id, views=views, conditions=conditions
    )
    # Nothing is read in vain; but a file that stands for a whole kind and cannot be used is named first.
    if not found.strays and all(entry.label is not None for entry in entries):
        _require_both_labels(entries, root, "")
    probed = probe_entries(entries, pixel_limit, progress)
    spoilt: list[Caution] = []
    if not found.recorded:
        probed, spoilt = _without_spoilt_masks(probed, pixel_limit)
    problems = [(item.entry.image_id, item.problem) for item in probed if item.problem is not None]
    problems += found.strays
    if problems and not skip_unreadable:
        listed = first_few([f"{image_id}: {reason}" for image_id, reason in problems])
        raise UserError(
            f"{root}: {len(problems)} files cannot be used ({listed}); mend them, or add --skip-unreadable to go on "
            "without them."
        )
    usable = [item.entry for item in probed if item.problem is None]
    if not found.recorded:
        usable = [_without_nominal_mask(entry) for entry in usable]
    _require_both_labels(usable, root, " that can be read")
    warnings = [*found.warnings, *spoilt, *([] if objects_known else [NO_OBJECTS_WARNING])]
    if object_id is not None:
        warnings += mixed_objects_warnings(usable)
    warnings += padded_names_warnings(usable)
    warnings += file_warnings(probed)
    warnings += equal_files_warnings(usable)
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


def _existing(place: str) -> Path:
    try:
        path = Path(place).expanduser().resolve()
        path.stat()
    except PermissionError as error:
        raise UserError(f"{first_few([place])}: cannot be looked at (permission denied).") from error
    except (OSError, RuntimeError, ValueError) as error:  # absent, a circle of links, too long a name, a null character
        raise UserError(f"{first_few([place])}: there is no such folder or manifest.") from error
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{printable(str(path))}: this name is not UTF-8; rename the file or folder.") from error
    return path


def _without_nominal_mask(entry: Entry) -> Entry:
    """Masks of nominal pictures were looked at; nothing that follows uses them."""
    return entry if entry.label else replace(entry, mask_path=None, mask_sha256=None)


def _without_spoilt_masks(probed: Sequence[Probed], pixel_limit: int) -> tuple[list[Probed], list[Caution]]:
    """Nominal pictures whose mask cannot be used are none the worse for it, as nothing uses it; but it is told."""
    spoilt = {
        index: item
        for index, item in enumerate(probed)
        if item.problem is not None and item.entry.label == 0 and item.entry.mask_path is not None
    }
    bare = probe_entries([replace(item.entry, mask_path=None) for item in spoilt.values()], pixel_limit)
    mended = {index: item for index, item in zip(spoilt, bare, strict=True) if item.problem is None}
    if not mended:
        return list(probed), []
    listed = first_few([f"{spoilt[index].entry.image_id}: {spoilt[index].problem}" for index in mended])
    return [mended.get(index, item) for index, item in enumerate(probed)], [
        Caution(
            "RL207",
            f"{len(mended)} nominal pictures have a mask that cannot be used, so that nobody knows whether anything is "
            f"marked in it ({listed}); mend or remove the masks.",
        )
    ]


def _require_both_labels(entries: Sequence[Entry], root: str, which: str) -> None:
    for label, word in ((0, "nominal"), (1, "anomalous")):
        if all(entry.label != label for entry in entries):
            raise UserError(f"{root}: there are no {word} pictures{which}; an evaluation needs both kinds.")
