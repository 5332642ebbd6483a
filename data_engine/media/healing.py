"""Which decoded frames can be trusted, in a video of which some packets are lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from data_engine.media.frame import DecodedFrame

_B_PICTURE = int(av.video.frame.PictureType.B)
# After damage, frames are trusted again from the next key frame on, or after this many: some cameras refresh the
# picture strip by strip and never send a second key frame.
_HEALING_FRAMES = 300
# Longest run of B pictures held back; encoders' defaults are 2 to 4.
_MOST_HELD = 8


class Healing:
    """Passes over the frames that may be built from a damaged one, for they show smears that no camera saw."""

    def __init__(self) -> None:
        self.damaged = 0
        """Packets, or stretches of the file, that could not be read or decoded or gave a corrupt picture."""
        self.passed_over = 0
        """Frames not handed out because they may be built from a damaged one."""
        # B pictures wait for the picture that ends their run: they may be built from it although they are shown first.
        self._held: list[DecodedFrame] = []
        self._left = 0

    def lost(self) -> None:
        """Something is missing here."""
        self.damaged += 1
        self.passed_over += len(self._held)
        self._held = []
        self._left = _HEALING_FRAMES

    def trusted(self, frame: DecodedFrame) -> Sequence[DecodedFrame]:
        """The frames that can be handed out, now that this sound one came; in order of presentation."""
        if self._left:
            if not frame.picture.key_frame:
                self.passed_over += 1
                self._left -= 1
                return ()
            self._left = 0
        held = self._held
        if frame.picture.pict_type == _B_PICTURE and len(held) < _MOST_HELD:
            held.append(frame)
            return ()
        if not held:
            return (frame,)
        held.append(frame)
        self._held = []
        return held

    def rest(self) -> Sequence[DecodedFrame]:
        """The frames that were still waiting at the end of the video."""
        held, self._held = self._held, []
        return held
