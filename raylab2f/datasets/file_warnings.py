"""What only the files of a dataset tell, and the reader of results must know: ranges, missing and odd masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from raylab2f.datasets.entries import first_few
from raylab2f.datasets.file_kinds import file_kind_warnings
from raylab2f.datasets.mask_contents import PLAIN
from raylab2f.datasets.probing import Probed
from raylab2f.pitfalls import Caution

__all__ = ["file_warnings"]

# Photographs of parts stay far below: 0.42 at most in Magnetic Tile Defects, KolektorSDD and casting products.
_PHOTOGRAPH = 0.7


def file_warnings(probed: Sequence[Probed]) -> list[Caution]:
    """Warnings with numbers and the first few names.

    Arguments:
        probed: all pictures that were read; of those with a problem only a mask's quarter turn is told.
    """
    usable = [item for item in probed if item.problem is None]
    return [
        *_masks_among_pictures(usable),
        *_dark_pictures(usable),
        *_missing_masks(usable),
        *_masks_against_labels(usable),
        *_several_classes(usable),
        *_turned_masks(probed),
        *_doubtful_backgrounds(usable),
        *file_kind_warnings(usable),
    ]


def _masks_among_pictures(usable: Sequence[Probed]) -> Iterator[Caution]:
    plain = [item.entry.image_id for item in usable if item.plainness >= PLAIN]
    photographs = sum(item.plainness <= _PHOTOGRAPH for item in usable)
    # Where there is something in between, pictures are of many kinds.
    if plain and photographs and len(plain) + photographs == len(usable):
        yield Caution(
            "RL217",
            f"{len(plain)} of {len(usable)} pictures hold next to nothing but a few values, as masks do, unlike the "
            f"others ({first_few(plain)}), yet count as parts; if they are masks, call them like their pictures with "
            "the ending _mask, or take them out of the folders of pictures; if they show nothing, remove them.",
        )


def _dark_pictures(usable: Sequence[Probed]) -> Iterator[Caution]:
    peaks = [item.peak for item in usable if item.peak is not None]
    if peaks and max(peaks) < 2**12:
        yield Caution(
            "RL202",
            f"{len(peaks)} pictures are 16-bit but use only values up to {max(peaks)}. They are read in the full "
            "range 0..65535 and come out almost black; rescale them to the full range first.",
        )


def _missing_masks(usable: Sequence[Probed]) -> Iterator[Caution]:
    without = [item.entry.image_id for item in usable if item.entry.label == 1 and item.entry.mask_path is None]
    if without and any(item.entry.mask_path is not None for item in usable):
        yield Caution(
            "RL203", f"{len(without)} anomalous pictures have no mask although others have: {first_few(without)}."
        )


def _masks_against_labels(usable: Sequence[Probed]) -> Iterator[Caution]:
    empty = [item.entry.image_id for item in usable if item.entry.label == 1 and item.mask and not item.mask.marked]
    if empty:
        yield Caution(
            "RL207",
            f"{len(empty)} anomalous pictures have a mask in which nothing is marked ({first_few(empty)}). They count "
            "as defective, and pixel metrics leave them out like pictures without a mask; mark the defect, or put the "
            "pictures among the nominal ones if there is none.",
        )
    marked = [item.entry.image_id for item in usable if item.entry.label == 0 and item.mask and item.mask.marked]
    if marked:
        yield Caution(
            "RL207",
            f"{len(marked)} nominal pictures have a mask in which something is marked ({first_few(marked)}). They "
            "count as nominal all over, and may train; put them among the anomalous ones, or empty their masks.",
        )


def _several_classes(usable: Sequence[Probed]) -> Iterator[Caution]:
    found = {item.entry.image_id: item.mask.classes for item in usable if item.mask and (item.mask.classes or 0) > 1}
    if found:
        most = max(count for count in found.values() if count is not None)
        yield Caution(
            "RL208",
            f"{len(found)} masks hold more than one value beside the background, up to {most} "
            f"({first_few(list(found))}). All of them count as defect; where one of them marks something else, such "
            "as the part or what is to be ignored, set it to black first.",
        )


def _turned_masks(probed: Sequence[Probed]) -> Iterator[Caution]:
    transposed = [item.entry.image_id for item in probed if item.transposed]
    if transposed:
        yield Caution(
            "RL209",
            f"{len(transposed)} pictures were left out because their mask is turned by a quarter against them "
            f"({first_few(transposed)}); turn the masks as viewers show the pictures.",
        )
    unseen = [item.entry.image_id for item in probed if item.problem is None and item.turn_unseen]
    if unseen:
        yield Caution(
            "RL209",
            f"{len(unseen)} pictures and their masks have different EXIF orientations, and their sizes cannot tell "
            f"whether the mask was drawn on the picture as viewers show it ({first_few(unseen)}). It is taken so; look "
            "at one of them, and turn the masks if it is not.",
        )


def _doubtful_backgrounds(usable: Sequence[Probed]) -> Iterator[Caution]:
    doubts = {item.entry.image_id: item.mask.unsure for item in usable if item.mask and item.mask.unsure}
    for reason in sorted(Counter(doubts.values())):
        names = [name for name, doubt in doubts.items() if doubt == reason]
        yield Caution(
            "RL216",
            f"In {len(names)} masks {reason} ({first_few(names)}); check what they mark, and make the background "
            "black.",
        )
    inverted = [item.entry.image_id for item in usable if item.mask and item.mask.inverted]
    if inverted:
        yield Caution(
            "RL216",
            f"{len(inverted)} masks mark more than half of their picture and most of its rim ({first_few(inverted)}). "
            "Black is taken as background, so invert them if they show the defect black on white.",
        )
