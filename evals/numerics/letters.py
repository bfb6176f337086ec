"""Tie groups: systems share a letter unless they are shown to differ."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from string import ascii_lowercase

Group = frozenset[str]


def compact_letters(systems: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Assigns letters so that two systems share one if, and only if, they are not told apart.

    Args:
        systems: Best first; letters are given in this order.
        different: Pairs that are shown to differ, in any order.

    Returns:
        System -> its letters in alphabetical order; beyond z they are ``a1``, ``b1`` and so on,
        with a dot between them.

    Source:
        Insert and absorb: Piepho, "An algorithm for a letter-based representation of all-pairwise
        comparisons", J. Comput. Graph. Stat. 2004. Letters that add nothing are left out after
        Gramm et al., "Algorithms for compact letter displays", Comput. Stat. Data Anal. 2007.
    """
    place = {system: number for number, system in enumerate(systems)}
    groups: set[Group] = {frozenset(systems)} if systems else set()
    for pair in sorted({tuple(sorted(pair, key=place.__getitem__)) for pair in different}):
        groups = _absorbed(_split(groups, *pair))
    kept = _needed(sorted(groups, key=lambda group: sorted(place[name] for name in group)))
    names = _names(len(kept))
    joint = "" if len(kept) <= len(ascii_lowercase) else "."
    return {
        system: joint.join(name for name, group in zip(names, kept, strict=True) if system in group)
        for system in systems
    }


def _split(groups: set[Group], first: str, second: str) -> set[Group]:
    """Puts two systems into different groups wherever they share one."""
    parted: set[Group] = set()
    for group in groups:
        is_shared = {first, second} <= group
        parted |= {group - {first}, group - {second}} if is_shared else {group}
    return parted


def _absorbed(groups: set[Group]) -> set[Group]:
    """Drops groups that lie in another one."""
    return {group for group in groups if not any(group < other for other in groups)}


def _needed(groups: list[Group]) -> list[Group]:
    """Drops groups of which each pair, and each system, is in another group as well; last first."""
    kept = list(groups)
    for group in reversed(groups):
        others = [other for other in kept if other != group]
        parts = [*({name} for name in group), *map(set, combinations(group, 2))]
        if all(any(part <= other for other in others) for part in parts):
            kept = others
    return kept


def _names(count: int) -> list[str]:
    size = len(ascii_lowercase)
    return [
        ascii_lowercase[number % size] + (str(number // size) if number >= size else "")
        for number in range(count)
    ]
