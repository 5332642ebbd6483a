"""Decoding the key frames of a video and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av


class KeyframeDecoder:
    """Decodes each key packet by itself.

    Args:
        stream: an ``av`` video stream; its decoder is told to skip all but key frames.
    """

    def __init__(self, stream: Any) -> None:
        self._codec = stream.codec_context
        self._codec.skip_frame = "NONKEY"
        self._index = stream.index_entries if stream.container.format.name.startswith("mov") else None

    def is_key(self, packet: Any) -> bool:
        """Whether there should be a key frame in the ``av.Packet``.

        One that was overwritten no longer says so of itself, but an MP4's index still does.
        """
        if packet.is_keyframe:
            return True
        if self._index is None or packet.dts is None:
            return False
        place = self._index.search_timestamp(packet.dts)
        return bool(place >= 0 and self._index[place].timestamp == packet.dts)

    def pictures(self, packet: Any) -> Sequence[Any]:
        """What a key packet holds: an ``av.VideoFrame``, None for damage, nothing if there is no key frame in it."""
        pictures = self._alone(packet)
        if pictures or packet.is_discard:
            return pictures
        # A decoder that is to skip all but key frames skips garbage without a word, as it does the packets that some
        # recorders call key though they are not.
        self._codec.skip_frame = "DEFAULT"
        pictures = self._alone(packet)
        self._codec.skip_frame = "NONKEY"
        return () if any(pictures) else (None,)

    def _alone(self, packet: Any) -> Sequence[Any]:
        """The pictures of one packet; the decoder, emptied each time, lets none wait for those that are skipped."""
        try:
            return [*packet.decode(), *self._codec.decode(None)]
        except av.FFmpegError:
            return (None,)
        finally:
            self._codec.flush_buffers()
