"""One picture out of the two fields of an interlaced one."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import av.filter


def deinterlaced(picture: Any) -> Any:
    """The earlier of the two fields of an ``av.VideoFrame`` at full height, the missing lines made from those around.

    FFmpeg's ``estdif`` does it (edge slope tracing, a spatial filter), so the pictures before and after are not needed.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=picture.width,
        height=picture.height,
        format=picture.format,
        time_base=picture.time_base or Fraction(1, 1000),
    )
    field_filter = graph.add("estdif", "mode=frame:deint=all")
    sink = graph.add("buffersink")
    source.link_to(field_filter)
    field_filter.link_to(sink)
    graph.configure()
    source.push(picture)
    source.push(None)
    return sink.pull()
