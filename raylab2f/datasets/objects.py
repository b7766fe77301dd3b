"""Rules that derive objects and views from image ids, given by the user as regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from raylab2f.datasets.entries import Entry
from raylab2f.errors import UserError
from raylab2f.pitfalls import Caution

__all__ = ["NO_OBJECTS_WARNING", "apply_rules"]

NO_OBJECTS_WARNING = Caution(
    "RL201",
    "Pictures of the same part cannot be recognised here, so every picture counts as a part of its own. If parts were "
    "photographed more than once (as in G-Link and MPDD), the same part lands in training and in evaluation, and all "
    "figures come out too good. Say which part a picture shows with --object-id, a regular expression on image ids "
    "with a group called object, such as '(?P<object>[^/]+)_[0-9]+\\.png$'.",
)


def apply_rules(
    entries: Sequence[Entry], *, object_id: str | None = None, views: str | None = None
) -> tuple[list[Entry], bool]:
    """Entries with the objects and views that the user's rules give; without a rule they stay as they are.

    Arguments:
        object_id: regular expression with a group `object`, searched in image ids (`re.search`).
        views: likewise with a group `view`.

    Returns:
        The entries, and whether all of them have an object.

    Raises:
        UserError: a rule is no regular expression, lacks its group, or does not match a picture.
    """
    if object_id is not None:
        find = _rule("--object-id", object_id, "object")
        entries = [replace(entry, object_id=find(entry.image_id)) for entry in entries]
    if views is not None:
        find = _rule("--views", views, "view")
        entries = [replace(entry, view=find(entry.image_id)) for entry in entries]
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
        value = match[group] if match else None
        if not value:
            raise UserError(f"{option} {rule}: finds no {group} in {image_id}; make it match every picture.")
        return value

    return find
