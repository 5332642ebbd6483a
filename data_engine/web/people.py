"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from data_engine.types import AccountRole

ROLES: tuple[AccountRole, ...] = ("annotator", "reviewer", "admin")
"""Each may what those before it may; who annotated a job never reviews it, whatever their role."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in."""

    name: str
    role: AccountRole

    def is_at_least(self, role: AccountRole) -> bool:
        """Whether they may what this role may."""
        return ROLES.index(self.role) >= ROLES.index(role)
