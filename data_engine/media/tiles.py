"""Which frames of a static camera to keep: one of each thing that comes into the scene, and more while it moves about.

The mean similarity of whole pictures hardly feels a person, who covers a few tiles of them.  Here the empty scene is
learnt (:mod:`data_engine.media.background`), and things in it are known again (:mod:`data_engine.media.things`).  One
that nobody knew and that stays for a moment is worth a frame; known ones are worth another when they have moved.  What
fills the picture at once is no thing: a flash passes, another view (the switch to infrared, a turned camera) is learnt
anew and kept once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.media.background import Background, seen, without_light
from data_engine.media.picking import LOOK_GAP_S, Look, Pick, State, exact, packed, unpacked
from data_engine.media.similarity import ignored_mask
from data_engine.media.things import Places, Things

if TYPE_CHECKING:
    from data_engine.media.frame import DecodedFrame
    from data_engine.types import Region

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

# A thing must stay for so long, lest reflections and sparks be things, and may grow for so long until it is kept.
_STAYS_S, _GROWS_S = 0.35, 0.8
_GROWTH = 1.1
_SPARSE_S = 0.5  # looks further apart than that can't tell whether a thing stays
_SMALLEST = 4.0  # pixels of the reduced picture: below that nothing is a thing

# Shares of the picture.  So much that is new at once, or that differs, is no thing; so much that rests is another view.
_SUDDEN, _OVERALL, _RESTING = 0.06, 0.35, 0.05
_RESTS_S = 1.0
# After such a change the view is learnt anew when so little of it still moves for so long, in any case after a while.
_CALM, _CALM_S, _RESTLESS_S, _LARGE_S = 0.04, 0.5, 3.0, 1.2

_MOVED = 0.35  # share of the moving things' pixels that must be new for another frame of them

# What a budget weighs: each new thing up to 1 (half for one of so many times the least area), a few at most; each known
# one that has moved a part of that.
_HALF, _MOST = 4.0, 2.0
_FIRST_WEIGHT, _VIEW_WEIGHT, _AGAIN_WEIGHT = 0.5, 0.3, 0.15


@dataclass(slots=True)
class _Held:
    """The frame that shows new things best so far."""

    frame: DecodedFrame
    time_s: float
    difference: FloatArray
    area: float
    """Pixels of new things on it."""
    weight: float
    born_s: float
    """When the oldest of them came."""
    last_s: float
    """When there were new things last."""
    sparse: bool
    """Whether the look before it was too long ago to tell anything."""

    @property
    def stayed(self) -> bool:
        return self.sparse or self.last_s - self.born_s >= _STAYS_S


class TilesPicker:
    """Keeps frames of a static camera that show something new, when it is well seen.

    Held back is one frame at most, for less than a second.  Looks too far apart to follow anything still find what is
    there, with less patience for what passes.

    Args:
        contrast: grey levels (0..255, at mid-grey) by which something must differ from the empty scene.
        area: share of the picture (0..1) that something must cover.
        again_s: seconds after which known things that have moved are kept again.
        min_gap_s: seconds that must lie between kept frames.
        look_gap_s: seconds that lie between frames that are looked at, at least; 0 looks at every frame.
        ignore: parts of the picture, in pixels of the saved frame, that are not looked at.
    """

    def __init__(
        self,
        contrast: float = 14.0,
        area: float = 0.001,
        again_s: float = 1.0,
        min_gap_s: float = 0.0,
        *,
        look_gap_s: float = LOOK_GAP_S,
        ignore: Sequence[Region] = (),
    ) -> None:
        self._contrast, self._area = contrast, area
        self._again_s, self._min_gap_s, self._look_gap_s = exact(again_s), exact(min_gap_s), exact(look_gap_s)
        self._ignore = tuple(ignore)
        self._counts: BoolArray | None = None
        self._counts_of: tuple[tuple[int, int], tuple[int, ...]] | None = None
        self._looked_s: Fraction | None = None
        # Apart from when it looked last: things have had this long to move.
        self._passed_s: Fraction | None = None
        self._kept_s: Fraction | None = None
        self._background: Background | None = None
        self._last = self._kept = np.zeros((0, 0), np.float32)
        self._places = Places((0, 0))
        # When everything changed, and when it last moved; below 0 when nothing of the kind is going on.
        self._upset_s = self._moved_s = -1.0
        self._owed = False
        self._new_area = 0.0
        self._held: _Held | None = None

    def wants(self, time_s: Fraction) -> bool:
        """See :class:`data_engine.media.picking.Picker`."""
        if self._passed_s is not None and time_s - self._passed_s < self._look_gap_s:
            return False
        return self._looked_s is None or time_s - self._looked_s >= self._look_gap_s

    def pick(self, look: Look) -> Sequence[Pick]:
        """See :class:`data_engine.media.picking.Picker`."""
        picture = seen(look.reduced)
        before_s, self._looked_s = self._looked_s, look.time_s
        background = self._background
        if background is None or before_s is None or background.shape != picture.shape:
            return self._new_view(look, picture, _FIRST_WEIGHT)
        now_s, since_s = float(look.time_s), float(look.time_s - before_s)
        difference, differing = background.compare(picture)
        total = picture.size
        if self._ignore:
            counts = self._counted(look)
            differing &= counts
            total = max(1, int(np.count_nonzero(counts)))
        movement = cv2.subtract(picture, self._last)
        self._last = picture
        self._note_upset(differing, movement, total, now_s, since_s)
        if self._upset_s >= 0:
            if now_s - self._moved_s >= _CALM_S or now_s - self._upset_s >= _RESTLESS_S:
                return self._new_view(look, picture, _VIEW_WEIGHT)
            return ()
        background.watch(differing, movement, since_s)
        if np.count_nonzero(background.resting(_RESTS_S) & differing) > _RESTING * total:
            return self._new_view(look, picture, _VIEW_WEIGHT)
        background.learn(picture, difference, differing, since_s)
        least = max(_SMALLEST, self._area * total)
        things = self._places.find(differing, least, now_s, since_s)
        picks = self._picks(look, things, difference, differing, least, since_s)
        self._places.remember(things, now_s, since_s)
        return picks

    @property
    def holds(self) -> bool:
        """See :class:`data_engine.media.picking.Picker`."""
        return self._held is not None

    def pass_by(self, time_s: Fraction) -> None:
        """See :class:`data_engine.media.picking.Picker`."""
        self._passed_s = time_s

    def finish(self) -> Sequence[Pick]:
        """See :class:`data_engine.media.picking.Picker`."""
        return self._released()

    def _new_view(self, look: Look, picture: FloatArray, weight: float) -> Sequence[Pick]:
        """Learn the scene from here, and keep the picture."""
        picks = self._released()
        first = self._background is None
        self._background = Background(picture, self._contrast)
        self._last = picture
        self._kept = np.zeros_like(picture)
        self._places = Places(picture.shape)
        self._upset_s = self._moved_s = -1.0
        self._owed = not self._may_keep(look.time_s)
        if not self._owed:
            picks.append(self._keep(look.frame, "first" if first else "changed", weight))
        return picks

    def _note_upset(self, differing: BoolArray, movement: FloatArray, total: int, now_s: float, since_s: float) -> None:
        """Note whether so much changed at once that it says nothing about single things."""
        share = np.count_nonzero(differing) / total
        if self._upset_s < 0:
            if share > _SUDDEN:
                fresh = np.count_nonzero(differing & ~self._places.lately(now_s, since_s)) / total
                if share > _OVERALL or fresh > _SUDDEN:
                    self._upset_s = self._moved_s = now_s
        elif share < _SUDDEN or (share <= _OVERALL and now_s - self._upset_s >= _LARGE_S):
            # It has passed, or something large goes on moving through the picture.
            self._upset_s = self._moved_s = -1.0
        if self._upset_s >= 0:
            moving = np.abs(without_light(movement)) > self._contrast
            if np.count_nonzero(moving) > _CALM * moving.size:
                self._moved_s = now_s

    def _picks(
        self,
        look: Look,
        things: Things,
        difference: FloatArray,
        differing: BoolArray,
        least: float,
        since_s: float,
    ) -> Sequence[Pick]:
        """Hold the frame if it shows new things best, and keep what is due; marks the things that it shows as known."""
        now_s = float(look.time_s)
        new = things.new
        area = float(things.areas[new].sum())
        grows, self._new_area = area > _GROWTH * self._new_area, area
        if not new.any():
            picks = self._released()
            if not picks and self._may_keep(look.time_s):
                picks = self._again(look, things, difference, differing, least)
            return picks
        oldest_s = float(things.born_s[new].min())
        held = self._held
        if self._may_keep(look.time_s) and (held is None or area >= held.area):
            weight = min(_MOST, float((things.areas[new] / (things.areas[new] + _HALF * least)).sum()))
            sparse = since_s >= _SPARSE_S
            held = _Held(look.frame, now_s, difference, area, weight, oldest_s, now_s, sparse)
            self._held = held
        if held is None:
            return ()
        held.last_s = now_s
        if now_s - oldest_s < (_GROWS_S if grows else _STAYS_S):
            return ()
        picks = self._released()
        if picks:
            things.known[(things.areas > 0) & (things.born_s <= held.time_s)] = True
            self._new_area = 0.0
        return picks

    def _released(self) -> list[Pick]:
        """The held frame, if it is worth keeping; nothing is held any more."""
        held, self._held = self._held, None
        if held is None or not held.stayed:
            return []
        self._kept = held.difference
        return [self._keep(held.frame, "changed", held.weight)]

    def _again(
        self, look: Look, things: Things, difference: FloatArray, differing: BoolArray, least: float
    ) -> list[Pick]:
        """This frame, if known things have moved since the last one that was kept, or if one is owed."""
        if self._owed:
            self._owed = False
            self._kept = difference
            return [self._keep(look.frame, "changed", _VIEW_WEIGHT)]
        if self._background is None or self._kept_s is None or look.time_s - self._kept_s < self._again_s:
            return []
        moving = differing & (things.labels > 0) & ~self._background.resting(_RESTS_S)
        other = np.abs(cv2.subtract(difference, self._kept)) > self._background.least()
        moved = np.bincount(things.labels[moving & other], minlength=1).astype(np.float32)
        if moved.sum() < max(least, _MOVED * np.count_nonzero(moving)):
            return []
        self._kept = difference
        return [self._keep(look.frame, "changed", _AGAIN_WEIGHT * float((moved / (moved + _HALF * least)).sum()))]

    def _may_keep(self, time_s: Fraction) -> bool:
        return self._kept_s is None or time_s - self._kept_s >= self._min_gap_s

    def _keep(self, frame: DecodedFrame, reason: str, weight: float) -> Pick:
        self._kept_s = frame.time_s
        return Pick(frame, reason, weight=weight)

    def _counted(self, look: Look) -> BoolArray:
        now = (look.frame.size_wh, look.reduced.shape)
        if self._counts is None or self._counts_of != now:
            self._counts, self._counts_of = ~ignored_mask(self._ignore, *now), now
        return self._counts

    def state(self) -> State | None:
        """See :class:`data_engine.media.picking.Picker`."""
        if self._held is not None:
            return None
        scene = {} if self._background is None else self._background.state()
        return {
            **{f"tiles_{name}": values for name, values in (scene | self._places.state()).items()},
            "tiles_last": self._last.copy(),
            "tiles_kept": self._kept.copy(),
            "tiles_numbers": np.asarray([self._upset_s, self._moved_s, self._new_area, self._owed], np.float64),
            "tiles_looked_s": packed(self._looked_s),
            "tiles_passed_s": packed(self._passed_s),
            "tiles_kept_s": packed(self._kept_s),
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """See :class:`data_engine.media.picking.Picker`."""
        parts = {name.removeprefix("tiles_"): values for name, values in state.items()}
        self._background = Background.restored(parts, self._contrast) if "scene" in parts else None
        self._last = np.asarray(state["tiles_last"], np.float32)
        self._kept = np.asarray(state["tiles_kept"], np.float32)
        self._places = Places.restored(parts)
        upset_s, moved_s, new_area, owed = np.asarray(state["tiles_numbers"], np.float64)
        self._upset_s, self._moved_s = float(upset_s), float(moved_s)
        self._new_area, self._owed = float(new_area), bool(owed)
        self._looked_s, self._kept_s = unpacked(state["tiles_looked_s"]), unpacked(state["tiles_kept_s"])
        self._passed_s = unpacked(state["tiles_passed_s"])
        self._held = None
