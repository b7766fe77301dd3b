"""A data set of the catalogue, fetched, verified and unpacked into a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from raylab2f import __version__
from raylab2f.datasets.archives import ARCHIVE_SUFFIXES, extract_archive
from raylab2f.datasets.catalogue import CatalogueEntry, RemoteFile
from raylab2f.datasets.transfer import Patience, Progress, check_room, digests, fetch_file
from raylab2f.datasets.zenodo import ZENODO_API, read_record
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json
from raylab2f.files.permissions import make_folders, share_below

__all__ = ["SOURCE_NOTE", "download_dataset"]

SOURCE_NOTE = "raylab2f-source.json"

_DEFAULT_PATIENCE = Patience()


def download_dataset(
    entry: CatalogueEntry,
    destination: Path,
    *,
    progress: Progress | None = None,
    zenodo_api: str = ZENODO_API,
    patience: Patience = _DEFAULT_PATIENCE,
) -> Path:
    """Put a data set into `destination/<name>` and return that folder; one that is there already stays as it is.

    What is under way lies in `destination/<name>.download`; calling again after an interruption goes on from there.
    The finished folder appears at once, under its name, and holds `raylab2f-source.json`: addresses, sizes, the
    SHA-256 of what arrived and the checksum that was published, null where none is.

    A single archive is unpacked straight into the folder, without folders that only wrap it; of several files every
    archive gets a folder of its own. A data set to be obtained by hand is unpacked from `destination/<name>.zip` (or
    .tar.xz, ...) once somebody has put it there.

    Arguments:
        entry: one of `CATALOGUE`.
        destination: where data sets are kept; created if need be.
        progress: called with (bytes fetched, bytes in all; 0 while unknown).
        zenodo_api: base address of Zenodo's REST interface.
        patience: how long to try.

    Raises:
        UserError: what a person must do for a data set that needs one; a server that does not answer, another
            checksum than published, no room, an archive that is damaged or dangerous, a folder in the way.
    """
    destination = Path(destination)
    target = destination / entry.name
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        if entry.by_hand is not None or (target / SOURCE_NOTE).is_file():
            return target
        raise UserError(f"{target}: was not put there by this command; move it away or choose another folder.")
    work = destination / f"{entry.name}.download"
    licence, files = entry.licence, entry.files
    try:
        if entry.by_hand is not None:
            fetched = [_brought_by_hand(entry, destination)]
            notes = [_note(fetched[0], None)]
        else:
            make_folders(work)
            if entry.zenodo_record is not None:
                record = read_record(entry.zenodo_record, work, api=zenodo_api, patience=patience)
                licence, files = record.licence or entry.licence, record.files
            fetched = _fetch(files, work, progress, patience)
            notes = [_note(path, file) for path, file in zip(fetched, files, strict=True)]
        unpacked = _unpack(fetched, work / "unpacking")
        write_json(
            unpacked / SOURCE_NOTE,
            {
                "name": entry.name,
                "homepage": entry.homepage,
                "licence": licence,
                "citation": entry.citation,
                "verification": entry.verification,
                "files": notes,
                "raylab2f": __version__,
            },
        )
        if target.exists():
            target.rmdir()
        share_below(unpacked)
        unpacked.rename(target)
        shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"{error.filename or destination}: cannot be written ({error.strerror or error}); choose another folder."
        ) from error
    return target


def _fetch(files: tuple[RemoteFile, ...], folder: Path, progress: Progress | None, patience: Patience) -> list[Path]:
    sizes = [file.size for file in files]
    paths = [folder / "files" / file.name for file in files]
    make_folders(folder / "files")
    whole = sum(size or 0 for size in sizes)
    if None in sizes:
        whole = 0
    else:
        # Archives of pictures unpack to about their own size, and both lie there for a while.
        here = sum(path.stat().st_size for path in (folder / "files").iterdir())
        check_room(folder, folder.stem, max(0, 2 * whole - here))
    before = 0
    for file, path in zip(files, paths, strict=True):
        fetch_file(file, path, progress=_shifted(progress, before, whole), patience=patience)
        before += path.stat().st_size
    return paths


def _shifted(progress: Progress | None, before: int, whole: int) -> Progress | None:
    """Progress of one file as progress of all, where all sizes are known."""
    if progress is None:
        return None

    def report(done: int, total: int) -> None:
        progress(before + done, whole or (before + total if total else 0))

    return report


def _brought_by_hand(entry: CatalogueEntry, destination: Path) -> Path:
    for suffix in ARCHIVE_SUFFIXES:
        path = destination / f"{entry.name}{suffix}"
        if path.is_file():
            return path
    raise UserError(
        f"{entry.name} ({entry.licence}) has to be fetched by hand: {entry.by_hand}, save it as "
        f"{destination / entry.name}.zip or .tar.xz and run this command again, or unpack it into "
        f"{destination / entry.name} yourself."
    )


def _note(path: Path, file: RemoteFile | None) -> dict[str, Any]:
    return {
        "name": path.name,
        "addresses": list(file.addresses) if file is not None else [],
        "bytes": path.stat().st_size,
        "sha256": digests(path, "sha256")["sha256"],
        "published_checksum": file.checksum if file is not None else None,
    }


def _unpack(paths: list[Path], folder: Path) -> Path:
    """Unpack into a folder within `folder`, which is emptied first: an interrupted call may have left something."""
    shutil.rmtree(folder, ignore_errors=True)
    make_folders(folder)
    content = folder / "content"
    if len(paths) == 1 and _suffix(paths[0]):
        return _without_wrapping(extract_archive(paths[0], content))
    content.mkdir()
    for path in paths:
        suffix = _suffix(path)
        if suffix:
            extracted = extract_archive(path, folder / "archive")
            _without_wrapping(extracted).rename(content / path.name[: -len(suffix)])
            shutil.rmtree(extracted, ignore_errors=True)
        else:
            shutil.copyfile(path, content / path.name)
    return content


def _suffix(path: Path) -> str:
    """The ending that makes it an archive to unpack; office documents are zips too and are left alone."""
    return max((suffix for suffix in ARCHIVE_SUFFIXES if path.name.lower().endswith(suffix)), key=len, default="")


def _without_wrapping(folder: Path) -> Path:
    """The innermost of folders that hold nothing but one another."""
    while len(entries := list(folder.iterdir())) == 1 and entries[0].is_dir():
        folder = entries[0]
    return folder
