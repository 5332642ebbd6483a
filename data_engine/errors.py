"""Every error a user can meet: its class, its exit code and the next command to type.

Only these classes count as expected.  The command line turns them into one line of text and an exit code;
any other exception is a bug and shows its traceback.
"""

from __future__ import annotations

from typing import ClassVar


class DataEngineError(Exception):
    """An expected error.

    Args:
        message: what happened, in one sentence, naming the file or the value.
        hint: the next command to type, or how to repair it; empty when there is nothing to say.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (executors); the default reduce would lose the keyword argument.
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(cls: type[DataEngineError], message: str, hint: str) -> DataEngineError:
    return cls(message, hint=hint)


class UsageError(DataEngineError):
    """Wrong options or configuration."""

    exit_code = 2


class UnknownPersonError(UsageError):
    """A job is to be given to somebody whom the annotation server does not know, or does not show to this account."""


class MissingInputError(DataEngineError):
    """An input is not there yet; the hint names the command that makes it."""

    exit_code = 3


class DamagedInputError(DataEngineError):
    """An input is damaged, or not what it claims to be."""

    exit_code = 4


class MissingDependencyError(DataEngineError):
    """An optional package is missing; the hint is the install command."""

    exit_code = 5


class ServiceError(DataEngineError):
    """A service did not answer; it is safe to try again."""

    exit_code = 6


class ConflictError(DataEngineError):
    """Somebody else changed it, or holds it."""

    exit_code = 7


class PartialFailureError(DataEngineError):
    """Part of the work failed; the rest is done and recorded."""

    exit_code = 8


class StorageFullError(DataEngineError):
    """The disk is full; what was finished before is recorded, nothing half-written was left behind."""

    exit_code = 1
