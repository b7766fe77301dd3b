"""The public data sets we know: what they are, whose they are, where they lie."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["CATALOGUE", "CatalogueEntry", "RemoteFile"]

_SCHEMES = ("https", "http", "file")


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be fetched without anybody's help.

    Arguments:
        name: what to call it on disk; a plain file name.
        addresses: where it lies, in the order to try; https, http or file.
        checksum: as published, `"<algorithm>:<hexadecimal digest>"`, e.g. `"md5:..."`; None where none is published.
        size: bytes, where published.

    Raises:
        ValueError: a name with folders in it, another scheme, or a checksum that cannot be one.
    """

    name: str
    addresses: tuple[str, ...]
    checksum: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if not _is_plain_name(self.name):
            raise ValueError(f"{self.name!r} is not a plain file name")
        if not self.addresses:
            raise ValueError(f"{self.name} has no address")
        for address in self.addresses:
            if urlsplit(address).scheme not in _SCHEMES:
                raise ValueError(f"{address} is not one of {', '.join(_SCHEMES)}")
        if self.checksum is not None:
            algorithm, _, digest = self.checksum.partition(":")
            # A shake digest has no length of its own and is never published for files.
            if algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
                raise ValueError(f"{self.checksum}: {algorithm or 'no'} algorithm is not known")
            if not re.fullmatch(rf"[0-9a-f]{{{2 * hashlib.new(algorithm).digest_size}}}", digest):
                raise ValueError(f"{self.checksum} is not a digest of {algorithm}")
        if self.size is not None and self.size < 0:
            raise ValueError(f"{self.name} cannot have {self.size} bytes")


@dataclass(frozen=True)
class CatalogueEntry:
    """A data set and the one way to get it: `files`, a `zenodo_record`, or by `by_hand`.

    Arguments:
        name: what the user types; also the folder it is put into.
        description: one line.
        licence: what its authors allow, in their words or by its short name.
        citation: the publication to cite.
        homepage: where a person reads about it.
        layout: the layout that reads it; "textures" is a folder of photographs for synthetic anomalies, not a data
            set to evaluate on.
        verification: what a download is checked against, in words for the user.
        files: what to fetch.
        zenodo_record: number of a Zenodo record; its files and checksums are asked for at download time.
        by_hand: what a person must do to obtain an archive of it, as a clause ("open ... and ...").
        object_id: regular expression that finds the object in a file name, where the published names permit one.

    Raises:
        ValueError: none or several ways to get it, or a name that is not a plain folder name.
    """

    name: str
    description: str
    licence: str
    citation: str
    homepage: str
    layout: Literal["mvtec", "mtd", "textures"]
    verification: str
    files: tuple[RemoteFile, ...] = ()
    zenodo_record: int | None = None
    by_hand: str | None = None
    object_id: str | None = None

    def __post_init__(self) -> None:
        if not _is_plain_name(self.name):
            raise ValueError(f"{self.name!r} is not a plain folder name")
        if bool(self.files) + (self.zenodo_record is not None) + (self.by_hand is not None) != 1:
            raise ValueError(f"{self.name} needs exactly one of files, zenodo_record and by_hand")
        if len({file.name for file in self.files}) != len(self.files):
            raise ValueError(f"{self.name} names two files alike")


def _is_plain_name(name: str) -> bool:
    return bool(name) and not name.startswith(".") and not re.search(r'[/\\:*?"<>|\x00-\x1f]', name)


_NO_CHECKSUM = "no checksum is published"

_ENTRIES = (
    CatalogueEntry(
        name="g-link",
        description="forged, shot-blasted coupling links, low-quality RGB photographs from several angles",
        licence="as its Zenodo record states",
        citation=(
            "S. Hönel and J. Nordqvist, From Lab to Factory: Pitfalls and Guidelines for Self-/Unsupervised Defect "
            "Detection on Low-Quality Industrial Images, 2025, arXiv:2506.16890"
        ),
        homepage="https://zenodo.org/records/15693611",
        layout="mvtec",
        verification="MD5, as Zenodo states it at the time of download",
        zenodo_record=15693611,
    ),
    CatalogueEntry(
        name="mvtec",
        description="MVTec AD: 15 objects and textures, 5354 pictures, defect masks",
        licence="CC BY-NC-SA 4.0",
        citation=(
            "P. Bergmann, K. Batzner, M. Fauser, D. Sattlegger, C. Steger, The MVTec Anomaly Detection Dataset: A "
            "Comprehensive Real-World Dataset for Unsupervised Anomaly Detection, IJCV 129(4):1038-1059, 2021, "
            "doi:10.1007/s11263-020-01400-4"
        ),
        homepage="https://www.mvtec.com/research-teaching/datasets/mvtec-ad",
        layout="mvtec",
        verification=_NO_CHECKSUM,
        # Every direct address that ever circulated has stopped working after some months.
        by_hand="open https://www.mvtec.com/research-teaching/datasets/mvtec-ad/downloads, accept what MVTec asks for "
        "there and download the whole data set (mvtec_anomaly_detection.tar.xz)",
    ),
    CatalogueEntry(
        name="mpdd",
        description="MPDD: metal parts in six categories, more than 1000 pictures, defect masks",
        licence="its page names none; passed on by others as CC BY-NC-SA 4.0",
        citation=(
            "S. Jezek, M. Jonak, R. Burget, P. Dvorak, M. Skotak, Deep learning-based defect detection of metal parts: "
            "evaluating current methods in complex conditions, ICUMT 2021, pp. 66-71, "
            "doi:10.1109/ICUMT54235.2021.9631567"
        ),
        homepage="https://github.com/stepanje/MPDD",
        layout="mvtec",
        verification=_NO_CHECKSUM,
        by_hand="open https://github.com/stepanje/MPDD, follow its download link to the university's SharePoint and "
        "download the whole folder, which arrives as a zip file",
    ),
    CatalogueEntry(
        name="mtd",
        description="Magnetic Tile Defects: five kinds of defect, 1344 greyscale pictures at several exposures, masks",
        licence="its page names none; its authors welcome use and ask to be cited",
        citation=(
            "Y. Huang, C. Qiu, K. Yuan, Surface defect saliency of magnetic tile, The Visual Computer 36:85-96, 2020, "
            "doi:10.1007/s00371-018-1588-5"
        ),
        homepage="https://github.com/abin24/Magnetic-tile-defect-datasets.",
        layout="mtd",
        verification=_NO_CHECKSUM,
        files=(
            RemoteFile(
                name="magnetic-tile-defect-datasets.zip",
                addresses=("https://github.com/abin24/Magnetic-tile-defect-datasets./archive/refs/heads/master.zip",),
            ),
        ),
    ),
    CatalogueEntry(
        name="dtd",
        description="Describable Textures Dataset r1.0.1: 5640 photographs of textures in 47 classes",
        licence="for research purposes, as its page states",
        citation=(
            "M. Cimpoi, S. Maji, I. Kokkinos, S. Mohamed, A. Vedaldi, Describing Textures in the Wild, CVPR 2014, "
            "pp. 3606-3613"
        ),
        homepage="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        layout="textures",
        verification="MD5, as torchvision pins it",
        files=(
            RemoteFile(
                name="dtd-r1.0.1.tar.gz",
                addresses=("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",),
                checksum="md5:fff73e5086ae6bdbea199a49dfb8a4c1",
                size=625_239_812,
            ),
        ),
    ),
)

CATALOGUE: dict[str, CatalogueEntry] = {entry.name: entry for entry in _ENTRIES}
