"""Rules that derive objects, views and conditions from image ids, given by the user as regular expressions, and what is
odd about the objects of a dataset.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from raylab2f.datasets.entries import Entry, first_few
from raylab2f.errors import UserError
from raylab2f.files.cells import is_missing, padded_pairs
from raylab2f.pitfalls import Caution

__all__ = [
    "NO_OBJECTS_WARNING",
    "apply_rules",
    "equal_files_warnings",
    "mixed_objects_warnings",
    "padded_names_warnings",
]

_NAMED = 20
# Of one picture's copies.
_COPIES_NAMED = 4

NO_OBJECTS_WARNING = Caution(
    "RL201",
    "Pictures of the same part cannot be recognised here, so every picture counts as a part of its own. If parts were "
    "photographed more than once (as in G-Link and MPDD), the same part lands in training and in evaluation, and all "
    "figures come out too good. Say which part a picture shows with --object-id, a regular expression on image ids "
    "with a group called object, such as '(?P<object>[^/]+)_[0-9]+\\.png$'.",
)


def apply_rules(
    entries: Sequence[Entry], *, object_id: str | None = None, views: str | None = None, conditions: str | None = None
) -> tuple[list[Entry], bool]:
    """Entries with the objects, views and conditions that the user's rules give; without a rule they stay as they are.

    Arguments:
        object_id: regular expression with a group `object`, searched in image ids (`re.search`).
        views: likewise with a group `view`.
        conditions: likewise with a group `condition`.

    Returns:
        The entries, and whether all of them have an object.

    Raises:
        UserError: a rule is no regular expression, lacks its group, or finds nothing in a picture's image id, or only
            what says that there is no name, such as nan.
    """
    if object_id is not None:
        find = _rule("--object-id", object_id, "object")
        entries = [replace(entry, object_id=find(entry.image_id)) for entry in entries]
    if views is not None:
        find = _rule("--views", views, "view")
        entries = [replace(entry, view=find(entry.image_id)) for entry in entries]
    if conditions is not None:
        find = _rule("--conditions", conditions, "condition")
        entries = [replace(entry, condition=find(entry.image_id)) for entry in entries]
    return list(entries), all(entry.object_id is not None for entry in entries)


def _rule(option: str, rule: str, group: str) -> Callable[[str], str]:
    """What finds the group in an image id."""
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise UserError(f"{option} {rule}: this is no regular expression ({error}).") from error
    if group not in pattern.groupindex:
        raise UserError(f"{option} {rule}: there is no group (?P<{group}>...) in it, which says what the {group} is.")

    def find(image_id: str) -> str:
        match = pattern.search(image_id)
        value = (match[group] or "").strip() if match else ""
        if is_missing(value):
            found = f"only {value}, which means that there is none," if value else f"no {group}"
            raise UserError(f"{option} {rule}: finds {found} in {first_few([image_id])}; make it match every picture.")
        return value

    return find


def mixed_objects_warnings(entries: Sequence[Entry]) -> list[Caution]:
    """A question about objects, told by a rule, that hold nominal and anomalous pictures (RL210), if there are any."""
    labels: dict[str, set[int | None]] = defaultdict(set)
    for entry in entries:
        labels[entry.object_id or entry.image_id].add(entry.label)
    mixed = sorted(name for name, own in labels.items() if len(own) > 1)
    if not mixed:
        return []
    return [
        Caution(
            "RL210",
            f"{len(mixed)} of {len(labels)} objects hold both good and defective pictures ({first_few(mixed)}), and "
            "all pictures of such an object count as one defective part. Do the names restart in each folder, so that "
            "different parts share one? Then let the rule take the folder in, such as '(?P<object>.+)\\.[a-z]+$'.",
        )
    ]


def padded_names_warnings(entries: Sequence[Entry]) -> list[Caution]:
    """Objects that differ only in leading zeros (RL201), if there are any."""
    pairs = padded_pairs(entry.object_id for entry in entries if entry.object_id is not None)
    if not pairs:
        return []
    return [
        Caution(
            "RL201",
            f"Some objects differ only in leading zeros ({first_few(pairs)}) and count as different parts; write each "
            "part's name in one way if they are the same.",
        )
    ]


def equal_files_warnings(entries: Sequence[Entry]) -> list[Caution]:
    """Which files are equal although they belong to several objects (RL204); none if there are no such files."""
    by_content: dict[str | None, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_content[entry.sha256].append(entry)
    groups = [own for own in by_content.values() if len({entry.object_id or entry.image_id for entry in own}) > 1]
    if not groups:
        return []
    equal = _equalities(groups)
    objects = sorted({entry.object_id for own in groups for entry in own if entry.object_id is not None})
    where = f", {len(objects)} objects in all ({first_few(objects, _NAMED)})" if objects else ""
    torn = [own for own in groups if len({entry.label for entry in own}) > 1]
    contradiction = (
        f" {len(torn)} of them count as good and as defective ({first_few(_equalities(torn))}); decide which they are."
        if torn
        else ""
    )
    return [
        Caution(
            "RL204",
            f"{len(groups)} files occur under more than one object{where}, so the same picture can land in training "
            f"and in evaluation: {first_few(equal, _NAMED)}. Remove the copies or give an --object-id rule that unites "
            f"them.{contradiction}",
        )
    ]


def _equalities(groups: Sequence[Sequence[Entry]]) -> list[str]:
    return sorted(_equality(sorted(entry.image_id for entry in own)) for own in groups)


def _equality(names: Sequence[str]) -> str:
    more = len(names) - _COPIES_NAMED
    return " = ".join(names[:_COPIES_NAMED]) + (f" = {more} more" if more > 0 else "")
