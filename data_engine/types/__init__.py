"""The nouns of the loop, as frozen records.

Arrays are checked where they are made.  Units stand in the field's docstring or in its name: ``_s`` is seconds,
``_px`` pixels, ``xyxy`` two corners and ``xywh`` corner and size, both in pixels of the full saved frame with the
origin at its top left corner.  Paths are storage keys (``/``-separated, relative to the workspace), never absolute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_engine.types.choices import RefusedFrame, SelectedFrame, Selection
from data_engine.types.classes import Category, ClassRegistry, wrong_with_name
from data_engine.types.dataset import Annotation, BoxDates, BoxRow, DatasetVersion, Outlined, Proposed, Split
from data_engine.types.drafts import Draft, DraftMovedError
from data_engine.types.footage import Frame, Region, Sampled, SampledFrame, Video
from data_engine.types.ids import ID_LENGTH, content_id, content_ids
from data_engine.types.labelling import (
    CONFIDENCE,
    PROPOSAL,
    AccountRole,
    Box,
    DeletedFrames,
    Issue,
    Job,
    JobContent,
    Person,
    PreAnnotation,
    Probe,
    ProbeKind,
    Role,
    Stage,
    State,
    Task,
    TaskFrame,
    TaskSpec,
)
from data_engine.types.models import MOST_BOXES, SCORE_FLOOR, Detections, FramePrediction, Model, TrainedModel
from data_engine.types.reports import Check, Failed, Report

if TYPE_CHECKING:
    from data_engine.types.models import FloatArray as FloatArray

__all__ = [
    "CONFIDENCE",
    "ID_LENGTH",
    "MOST_BOXES",
    "PROPOSAL",
    "SCORE_FLOOR",
    "AccountRole",
    "Annotation",
    "Box",
    "BoxDates",
    "BoxRow",
    "Category",
    "Check",
    "ClassRegistry",
    "DatasetVersion",
    "DeletedFrames",
    "Detections",
    "Draft",
    "DraftMovedError",
    "Failed",
    "Frame",
    "FramePrediction",
    "Issue",
    "Job",
    "JobContent",
    "Model",
    "Outlined",
    "Person",
    "PreAnnotation",
    "Probe",
    "ProbeKind",
    "Proposed",
    "RefusedFrame",
    "Region",
    "Report",
    "Role",
    "Sampled",
    "SampledFrame",
    "SelectedFrame",
    "Selection",
    "Split",
    "Stage",
    "State",
    "Task",
    "TaskFrame",
    "TaskSpec",
    "TrainedModel",
    "Video",
    "content_id",
    "content_ids",
    "wrong_with_name",
]
