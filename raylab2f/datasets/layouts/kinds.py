"""Pictures of one defect type in a folder of their own, with their masks in another: what many layouts are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from raylab2f.datasets.discovery import is_folder, list_pictures
from raylab2f.datasets.entries import NOMINAL, Entry, Found
from raylab2f.datasets.layouts.nominal_names import is_nominal_name, name_warnings
from raylab2f.datasets.mask_pairing import NO_PICTURE, key_of, match_masks, pair_masks

__all__ = ["Pictures"]


@dataclass
class Pictures:
    """Gathers the pictures of a category, folder by folder.

    Attributes:
        category: its folder, where image ids start.
        entries: the pictures so far.
        strays: masks without a picture so far, as (relative path, what is wrong).
        left_out: what is left out on purpose so far, as (relative folder, reason).
        folders: name and relative path of each folder of pictures so far.
    """

    category: Path
    entries: list[Entry] = field(default_factory=list)
    strays: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    folders: list[tuple[str, str]] = field(default_factory=list)

    def add(self, folder: Path, given_split: str, name: str = NOMINAL, masks: Path | None = None) -> None:
        """Take all pictures of a folder, at any depth; masks beside them are told by `mask_pairing.pair_masks`.

        Arguments:
            folder: may be absent, and then gives nothing.
            given_split: train or test.
            name: of the folder that tells the defect type, or that there is none.
            masks: folder of masks, where there may be one; which is whose is told by `mask_pairing.match_masks`.

        Raises:
            UserError: two masks of the same name, or it cannot be told which file is a picture and which its mask.
        """
        paired = pair_masks(folder, self.category)
        files = [] if masks is None else [(key_of(path, masks), path) for path in list_pictures(masks, recursive=True)]
        without = {key_of(path, folder): path for path in paired.pictures if path not in paired.masks}
        found, left = match_masks(without, files)
        found = {**paired.masks, **found}
        nominal = is_nominal_name(name)
        for path in paired.pictures:
            mask = found.get(path)
            self.entries.append(
                Entry(
                    image_id=self._relative(path),
                    path=str(path),
                    label=0 if nominal else 1,
                    defect_type=NOMINAL if nominal else name,
                    given_split=given_split,
                    mask_path=None if mask is None else str(mask),
                )
            )
        if paired.pictures:
            self.folders.append((name, self._relative(folder)))
        self.strays += [(self._relative(path), NO_PICTURE) for path in (*paired.strays, *left)]

    def leave_out(self, folder: Path, reason: str) -> None:
        """Record that the pictures of a folder, where there is one, are no pictures of the task."""
        if is_folder(folder):
            self.left_out.append((self._relative(folder), reason))

    def found(self) -> Found:
        """All of it, under the name of the category."""
        return Found(
            self.category.name,
            tuple(self.entries),
            tuple(self.strays),
            left_out=tuple(self.left_out),
            warnings=name_warnings(self.folders),
        )

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.category).as_posix()
