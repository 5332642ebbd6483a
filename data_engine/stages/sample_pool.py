"""The best frames over all videos.

Of the videos that were read, no more candidates lie on the disk than twice what will be kept; those of the videos that
are being read come on top.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from data_engine.errors import MissingInputError
from data_engine.stages.sample_scratch import Finished
from data_engine.stages.sample_video import Order, over

if TYPE_CHECKING:
    from data_engine.ports import Storage

_NAME = "pool.json"


@dataclass(slots=True)
class Candidates:
    """What one video offers."""

    order: Order
    finished: Finished
    """Its frames, best first."""
    near: int
    """Frames that were left out before because they are near another video's."""


class Pool:
    """Candidates of one video after the other, of which the best stay.

    What falls out is taken out of the video's kept result before its picture is deleted, so that a killed run goes on
    with what is there; and as it fell out because of certain other videos, that is forgotten when one of them is no
    longer part of the work.

    Args:
        storage: where the scratch folder lies.
        scratch: key of the scratch folder of all videos.
        room: frames to keep in all.
        orders: of all videos that will be added, in their order.
    """

    def __init__(self, storage: Storage, scratch: str, room: int, orders: Sequence[Order]) -> None:
        self.candidates: list[Candidates] = []
        self._count = 0
        self._storage = storage
        self._key = f"{scratch}/{_NAME}"
        self._room = room
        self._videos = sorted(order.video.id for order in orders)
        before = self._read()
        # More videos push out more; but where frames fall out for being near another's, one more may bring some back.
        grown = set(before) <= set(self._videos) and all(order.settings.tolerance is None for order in orders)
        if before and before != self._videos and not grown:
            # Also of videos that this work is not about: the list, which says what they lack, goes.
            for key in list(storage.list(scratch)):
                if "/" in key.removeprefix(f"{scratch}/"):
                    storage.delete(key)
            storage.delete(self._key)

    def _read(self) -> list[str]:
        """The videos that there were when frames fell out; a damaged list is one of other videos."""
        try:
            names = json.loads(self._storage.read_bytes(self._key))
        except MissingInputError:
            return []
        except ValueError:
            return ["?"]
        return list(map(str, names)) if isinstance(names, list) else ["?"]

    def add(self, candidates: Candidates) -> None:
        """Add a video's candidates."""
        self.candidates.append(candidates)
        self._count += len(candidates.finished.frames)
        # Not for every video: each time the results of all of them may have to be written anew.
        if self._count > 2 * self._room:
            self._prune()
            self._count = sum(len(one.finished.frames) for one in self.candidates)

    def _prune(self) -> None:
        # Before anything falls out: what is read after a kill must say at least as much as was done.
        self._storage.write_bytes(self._key, json.dumps(self._videos).encode())
        for one, fewer in zip(self.candidates, self._chosen(), strict=True):
            if len(fewer.frames) < len(one.finished.frames):
                scratch = one.order.folder()
                scratch.finish(fewer)
                for kept in one.finished.frames[len(fewer.frames) :]:
                    self._storage.delete(scratch.picture(kept.frame.id))
                one.finished = fewer

    def best(self) -> Iterable[Candidates]:
        """What stays in the end, by video."""
        for one, fewer in zip(self.candidates, self._chosen(), strict=True):
            yield replace(one, finished=fewer)

    def _chosen(self) -> list[Finished]:
        from data_engine.selection.coverage import choose

        counts = choose([one.finished.gains for one in self.candidates], self._room)
        return [over(one.finished, count) for one, count in zip(self.candidates, counts, strict=True)]
