"""What a Zenodo record holds, asked of Zenodo itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from raylab2f.datasets.catalogue import RemoteFile
from raylab2f.datasets.transfer import Patience, fetch_file
from raylab2f.errors import UserError

__all__ = ["ZENODO_API", "ZenodoRecord", "read_record"]

ZENODO_API = "https://zenodo.org/api"


@dataclass(frozen=True)
class ZenodoRecord:
    """A published record.

    Arguments:
        files: its files with the addresses, MD5 checksums and sizes that Zenodo states.
        licence: identifier of its licence, e.g. "cc-by-4.0"; None where it states none.
    """

    files: tuple[RemoteFile, ...]
    licence: str | None


def read_record(number: int, folder: Path, *, api: str = ZENODO_API, patience: Patience | None = None) -> ZenodoRecord:
    """Ask `<api>/records/<number>`; the answer is kept in `folder` as `record.json`.

    Raises:
        UserError: Zenodo does not answer, or the answer names no files we can fetch.
    """
    path = folder / "record.json"
    path.unlink(missing_ok=True)
    address = f"{api}/records/{number}"
    fetch_file(RemoteFile(path.name, (address,)), path, patience=patience or Patience())
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(
            RemoteFile(
                name=file["key"],
                addresses=_addresses(number, file["key"], file["links"]["self"], api),
                checksum=file["checksum"],
                size=int(file["size"]),
            )
            for file in answer["files"]
        )
        licence = (answer.get("metadata", {}).get("license") or {}).get("id")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{address}: the answer is not understood ({type(error).__name__}: {error}); fetch the files by hand from "
            f"{_site(api)}/records/{number}."
        ) from error
    if not files or len({file.name for file in files}) != len(files):
        raise UserError(f"{address}: the record lists no files; see {_site(api)}/records/{number}.")
    return ZenodoRecord(files, licence)


def _addresses(number: int, name: str, link: str, api: str) -> tuple[str, ...]:
    # The file's page address answers Range requests, the API's link does not (zenodo/zenodo issue 2593).
    if urlsplit(link).scheme != urlsplit(api).scheme:
        raise ValueError(f"{link} has another scheme than {api}")
    return f"{_site(api)}/records/{number}/files/{quote(name)}?download=1", link


def _site(api: str) -> str:
    return api.removesuffix("/").removesuffix("/api")
