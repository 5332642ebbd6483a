"""What a server may offer besides: ground truth, accounts, web-hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from data_engine.types import AccountRole, Person


def frames_of(share: float, size: int) -> int:
    """How many of a task's frames its ground truth is made of; at least one."""
    return min(size, max(1, round(share * size)))


@runtime_checkable
class QualitySource(Protocol):
    """A backend whose server compares jobs with frames that were labelled a second time, unseen: its ground truth."""

    def ground_truth(self, task_id: int, share: float, seed: int) -> int:
        """The task's ground-truth job by its number; where there is none yet, it is made of a share of the frames.

        :meth:`AnnotationBackend.jobs` does not list it, but it is read and changed by its number as others are, and
        its annotations hold the frames that were drawn.

        Args:
            task_id: the task's number.
            share: of its frames, above 0 to 1: :func:`frames_of` them.
            seed: which frames are drawn.

        Raises:
            MissingInputError: no such task.
        """
        ...

    def quality(self, task_id: int) -> Mapping[str, Any]:
        """The server's newest summary: ``precision``, ``recall``, ``accuracy`` (0 to 1, None where undefined) …

        It is computed anew when this is called; empty while the ground truth is not finished.
        """
        ...


@runtime_checkable
class Team(Protocol):
    """A backend that keeps accounts."""

    def has_roles(self) -> bool:
        """Whether accounts have roles here: where they have none, anybody may annotate and review."""
        ...

    def people(self) -> list[Person]:
        """As of :class:`AnnotationBackend`."""
        ...

    def add_person(self, name: str, email: str, password: str, role: AccountRole = "annotator") -> Person:
        """Make an account, with the role where there are any.

        Raises:
            ConflictError: there is such a name or e-mail.
            UsageError: the server does not let this account make others, has no such role, or refuses the name or the
                password; the hint says what to do.
        """
        ...


@runtime_checkable
class WebhookSource(Protocol):
    """A backend whose server tells an address of every change."""

    def register_webhook(self, url: str, secret: str) -> int:
        """Have the server POST what happens to jobs to an address, signed with the secret (HMAC-SHA256).

        The same address again keeps its web-hook and gives it this secret.

        Returns:
            the server's number of the web-hook.

        Raises:
            UsageError: this account may not make one, or the server refuses the address.
        """
        ...
