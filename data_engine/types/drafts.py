"""What somebody is drawing and has not handed in yet."""

from __future__ import annotations

from dataclasses import dataclass

from data_engine.errors import ConflictError
from data_engine.types.ids import content_id
from data_engine.types.labelling import Box


@dataclass(frozen=True, slots=True)
class Draft:
    """The boxes of one frame as they are being edited."""

    boxes: tuple[Box, ...]
    by: str | None = None
    """Who saved them; None where nobody has said so: they are as they were proposed or handed in, or a file was edited
    by hand."""
    at: str | None = None
    """When, in ISO 8601."""

    @property
    def revision(self) -> str:
        """Content id of the boxes: whoever saves says which ones they changed."""
        return content_id("draft", *(part for box in self.boxes for part in _parts(box)))


class DraftMovedError(ConflictError):
    """Somebody else saved the frame since it was read.

    Args:
        message: as of every expected error.
        theirs: what they left; nothing was changed.
        hint: as of every expected error.
    """

    def __init__(self, message: str, theirs: Draft, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.theirs = theirs

    def __reduce__(self) -> tuple[object, ...]:
        return (_moved, (self.message, self.theirs, self.hint))


def _moved(message: str, theirs: Draft, hint: str) -> DraftMovedError:
    return DraftMovedError(message, theirs, hint=hint)


def _parts(box: Box) -> tuple[str, ...]:
    numbers = (*box.xywh, box.score)
    others = sorted((str(name), repr(value)) for name, value in box.attributes.items())
    # -0.0 is 0.0, and an integer its float: equal boxes have equal parts.
    plain = ("" if number is None else repr(float(number) + 0.0) for number in numbers)
    return (box.label, *plain, box.proposal_id or "", str(box.iscrowd), repr(others))
