"""What the pages of one server keep of its workspace; see :mod:`data_engine.app.pages.kept`."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request

from data_engine.app.dataset import version_look
from data_engine.app.dataset.version_look import Compared
from data_engine.app.engine import Engine
from data_engine.app.footage import frame_index, similar
from data_engine.app.footage.frame_index import FrameIndex
from data_engine.app.footage.similar import Vectors
from data_engine.app.pages import wheel
from data_engine.app.pages.kept import Kept, KeptEach
from data_engine.app.pages.wheel import Concern, Flow
from data_engine.types import DatasetVersion

log = logging.getLogger(__name__)

_LOCK = threading.Lock()
_SWITCH_S = 0.001


@dataclass(frozen=True, slots=True)
class Board:
    """Each is made when it is asked for, and anew when the workspace has changed."""

    flow: Kept[Flow] = field(default_factory=lambda: Kept(wheel.flow))
    history: Kept[dict[str, Any]] = field(default_factory=lambda: Kept(wheel.history, share=0.05))
    looked: Kept[tuple[Concern, ...]] = field(
        default_factory=lambda: Kept(wheel.looked, stamp=wheel.looked_stamp, share=0.02, beside=True)
    )
    frames: Kept[FrameIndex] = field(default_factory=lambda: Kept(frame_index.read, share=0.05))
    versions: Kept[Sequence[Mapping[str, Any]]] = field(
        default_factory=lambda: Kept(version_look.history, stamp=version_look.stamp)
    )
    held: KeptEach[str, Mapping[str, Sequence[Mapping[str, Any]]]] = field(
        default_factory=lambda: KeptEach(version_look.held, stamp=version_look.stamp)
    )
    compared: KeptEach[tuple[DatasetVersion, DatasetVersion], Compared] = field(
        default_factory=lambda: KeptEach(
            lambda engine, pair: version_look.compared(engine, *pair), stamp=version_look.stamp, most=8
        )
    )
    vectors: Kept[Vectors] = field(
        default_factory=lambda: Kept(similar.vectors, stamp=similar.stamp, share=0.05, beside=True)
    )


def warm(app: FastAPI, engine: Engine) -> None:
    """Begin to count, and to load what the first pages would load: nobody has to wait for it then."""
    board = _board(app)
    # Who answers gets the interpreter back sooner from who counts (5 ms is what Python begins with).
    sys.setswitchinterval(_SWITCH_S)
    threading.Thread(target=_load, name="load", daemon=True).start()
    for kept in (board.flow, board.history, board.looked, board.frames, board.versions):
        kept.begin(engine)


def _load() -> None:
    from data_engine.app.annotation import audit, job_view
    from data_engine.app.footage import frame_look
    from data_engine.app.lineage import lineage_graph
    from data_engine.media import images

    log.debug("loaded %s", ", ".join(m.__name__ for m in (audit, job_view, frame_look, lineage_graph, images)))


def board_of(request: Request) -> Board:
    """The board of the server that a request came to."""
    return _board(request.app)


def _board(app: FastAPI) -> Board:
    state = app.state
    with _LOCK:
        if not hasattr(state, "board"):
            state.board = Board()
    board: Board = state.board
    return board
