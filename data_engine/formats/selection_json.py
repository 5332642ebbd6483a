"""A selection as JSON: every chosen and narrowly refused frame with the parts of its score and the boxes behind them.

The form, version 1, UTF-8, one frame a line so that two choices can be compared by lines::

    {"form": "dataengine-selection", "version": 1,
     "selection": ID, "model": ID or null, "summary": [LINE, ...], "settings": {...}, "classes": [NAME, ...],
     "chosen": [{"rank": 1, "file": NAME, "frame": ID, "camera": NAME, "video": ID or null, "time_s": 12.5 or null,
                 "width": 1280, "height": 720, "score": 0.71, "reason": TEXT, "parts": {NAME: NUMBER, ...},
                 "boxes": [{"label": NAME, "xywh": [x, y, w, h], "score": 0.31,
                            "probabilities": {NAME: NUMBER, ...}}, ...]}, ...],
     "refused": [the same without "rank", with "refusal": TEXT, ...]}

``xywh`` is in pixels of the file, the boxes come best first, probabilities are those of at least the floor, the highest
first; times are seconds from the beginning of the video.  Reasons and refusals name other frames by their files.
Later versions may add members, never change these.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from data_engine.types import ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data_engine.types import Detections, Frame, RefusedFrame, SelectedFrame, Selection

FRAME_ID = re.compile(rf"\b[0-9a-f]{{{ID_LENGTH}}}\b")
"""A frame's id in a reason or a refusal; people are told the frame's name."""
FORM = "dataengine-selection"
VERSION = 1


def selection_json(
    selection: Selection,
    frames: Mapping[str, Frame],
    detections: Mapping[str, Detections],
    class_names: Sequence[str],
    *,
    settings: Mapping[str, Any],
    floor: float,
    summary: Sequence[str] = (),
) -> bytes:
    """The selection in the form that the module describes; the same arguments give the same bytes.

    Args:
        selection: what was chosen and refused.
        frames: the frames of both by id, a missing one is a KeyError; and those that reasons name by their ids.
        detections: what the model saw, by frame id; a frame without has no boxes.
        class_names: the columns of the detections' scores.
        settings: plain values of the settings that it was chosen with.
        floor: probability below which neither a box nor a class of it is written.
        summary: sentences about the choice as a whole.

    Raises:
        ValueError: a number is not finite.
    """

    def named(said: str) -> str:
        return FRAME_ID.sub(lambda found: frames[found[0]].name if found[0] in frames else found[0], said)

    def row(one: SelectedFrame | RefusedFrame, **more: Any) -> dict[str, Any]:
        frame, seen = frames[one.frame_id], detections.get(one.frame_id)
        return {
            **more,
            "file": frame.name,
            "frame": frame.id,
            "camera": frame.camera,
            "video": frame.video_id,
            "time_s": None if frame.time_s is None else round(frame.time_s, 6),
            "width": frame.width,
            "height": frame.height,
            "score": one.score,
            "reason": named(one.reason),
            "parts": dict(one.parts),
            "boxes": [] if seen is None else _boxes(seen, class_names, floor),
        }

    head = {
        "form": FORM,
        "version": VERSION,
        "selection": selection.id,
        "model": selection.model_id,
        "summary": list(summary),
        "settings": dict(settings),
        "classes": list(class_names),
    }
    members = [f"{_text(name)}: {_text(value)}" for name, value in head.items()]
    members.append(f'"chosen": {_lines([row(one, rank=one.rank) for one in selection.frames])}')
    members.append(f'"refused": {_lines([row(one, refusal=named(one.refusal)) for one in selection.refused])}')
    # A name that is no text keeps its bytes as escapes: JSON's own for a lone surrogate.
    return ("{" + ",\n ".join(members) + "}\n").encode("utf-8", "backslashreplace")


def _boxes(seen: Detections, class_names: Sequence[str], floor: float) -> list[dict[str, Any]]:
    import numpy as np

    kept = seen.kept(floor)
    order = np.argsort(-kept.scores, axis=1, kind="stable")
    found = []
    for xyxy, scores, columns in zip(kept.xyxy.tolist(), kept.scores.tolist(), order.tolist(), strict=True):
        x1, y1, x2, y2 = xyxy
        found.append(
            {
                "label": class_names[columns[0]],
                "xywh": [round(x1, 2), round(y1, 2), round(x2 - x1, 2), round(y2 - y1, 2)],
                "score": round(scores[columns[0]], 4),
                "probabilities": {class_names[c]: round(scores[c], 4) for c in columns if scores[c] >= floor},
            }
        )
    return found


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "[\n  " + ",\n  ".join(map(_text, rows)) + "\n ]" if rows else "[]"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
