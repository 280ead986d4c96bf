"""What a roll-back would do, summed up as its page and the API tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from migrations_app.engines import Undoing

CLAIM = "PersistentVolumeClaim"


@dataclass(frozen=True)
class Foreseen:
    """What would be removed, restored, made anew and left, each in order; claims, whose data goes, apart."""

    removed: list[Undoing]
    claims: list[Undoing]
    restored: list[Undoing]
    remade: list[Undoing]
    staying: list[Undoing]

    @property
    def changed(self) -> list[Undoing]:
        """What others have changed since, and would be gone or overwritten."""
        return [each for each in (*self.removed, *self.restored) if each.changed]

    @property
    def is_empty(self) -> bool:
        return not (self.removed or self.claims or self.restored or self.remade)


def summed_up(undoings: Iterable[Undoing]) -> Foreseen:
    """The objects by what would be done with them."""
    found = list(undoings)

    def of(action: str) -> list[Undoing]:
        return [each for each in found if each.action == action]

    removed = of("remove")
    return Foreseen(
        removed=[each for each in removed if each.kind != CLAIM],
        claims=[each for each in removed if each.kind == CLAIM],
        restored=of("restore"),
        remade=of("make"),
        staying=of("stay"),
    )
