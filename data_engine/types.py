"""The nouns of the loop, as frozen records.

Arrays are checked where they are made.  Units stand in the field's docstring or in its name: ``_s`` is seconds,
``_px`` pixels, ``xyxy`` two corners and ``xywh`` corner and size, both in pixels of the full saved frame with the
origin at its top left corner.  Paths are storage keys (``/``-separated, relative to the workspace), never absolute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

Stage = Literal["annotation", "validation", "acceptance"]
"""Where a job stands in the review, named as CVAT names it."""
State = Literal["new", "in progress", "completed", "rejected"]
"""How far the job is inside its stage, named as CVAT names it."""
Split = Literal["train", "valid", "guard"]
"""``guard`` frames stand between the two sides in time and belong to neither, so that neighbours never leak."""

ProbeKind = Literal["invented", "shifted", "swapped"]
"""What is wrong with a probe: nothing is there, it stands beside its object, it has the name of another class."""
Role = Literal["annotator", "reviewer"]
"""What a person does in the loop."""

ID_LENGTH = 32
"""Hexadecimal digits of a content id (128 bits of SHA-256)."""
SCORE_FLOOR = 0.01
"""Best score below which a box of a model is neither kept nor measured."""
MOST_BOXES = 100
"""Boxes of a model that are kept of one frame, the most probable first."""
CONFIDENCE, PROPOSAL = "confidence", "proposal"
"""Attributes that carry a proposal's probability and id through an annotation tool; tools drop fields that they don't
know."""


def content_id(*parts: str | int | bytes) -> str:
    """The id of something that is defined by its parts.

    Parts are length-prefixed before hashing, so ``("ab", "c")`` and ``("a", "bc")`` differ.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:ID_LENGTH]


Region = tuple[int, int, int, int]
"""Left, top, width and height of a part of a picture, in whole pixels."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video file, or a folder of numbered pictures that are one, known by its bytes."""

    id: str
    """First 32 hexadecimal digits of the SHA-256 of the file; of a folder of pictures a content id of its files."""
    key: str
    """Storage key of the file or of the folder."""
    name: str
    """File name without its suffix; the first part of its frames' names."""
    camera: str
    """The camera that filmed it: as a path pattern or a sidecar says, else the folders below the input folder without
    dates, else the file's name."""
    size_bytes: int
    width: int
    """Pixels, as displayed (after rotation)."""
    height: int
    codec: str
    frame_rate: Fraction | None
    """Average frames per second; None where the container does not say."""
    duration_s: float | None
    """Seconds, from the container; None where it does not say."""
    pixel_format: str | None = None
    """FFmpeg's name (``yuv420p``, ``yuv420p10le``)."""
    variable_rate: bool | None = None
    """Whether frames follow each other at changing intervals; None where that is not known."""
    audio: bool | None = None
    """Whether there is sound; None where that is not known."""
    rotation: int = 0
    """Degrees counterclockwise by which the stored picture is turned for display: 0, 90, 180 or 270."""
    interlaced: bool | None = None
    """Whether the first frames are made of two fields; None where that is not known."""
    captured_at: str | None = None
    """When the recording began, ISO 8601, with an offset where one is known; None where nothing says it."""
    venue: str | None = None
    """The place, from a path pattern or a sidecar."""
    event: str | None = None
    """The occasion, from a path pattern or a sidecar."""
    crop: Region | None = None
    """The picture inside black borders, in pixels as displayed; None when there are none."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture that was saved to storage: sampled from a video, or found alone in a folder."""

    id: str
    """``content_id("frame", video_id, pts, time base)``, and the crop where there is one: boxes on a cropped picture
    have other coordinates.  A lone picture's is its bytes' SHA-256, shortened."""
    name: str
    """File name, unique across videos: ``<video>_<time in ms>_<short id>.jpg``."""
    key: str
    """Storage key of the file."""
    width: int
    height: int
    camera: str
    video_id: str | None = None
    pts: int | None = None
    """Presentation time in units of ``time_base``; None for a lone picture."""
    time_base: Fraction | None = None
    """Seconds per unit of ``pts``."""
    dhash: int | None = None
    """64-bit difference hash of the picture (unsigned); pictures that differ in few bits look alike."""
    crop: Region | None = None
    """The part of the video's picture that was saved; None for all of it.  Boxes are in pixels of the saved picture."""

    @property
    def time_s(self) -> float | None:
        """Presentation time in seconds from the beginning of the video; None for a lone picture."""
        if self.pts is None or self.time_base is None:
            return None
        return float(self.pts * self.time_base)


@dataclass(frozen=True, slots=True)
class Category:
    """A class of objects, with the id it keeps for ever."""

    id: int
    """COCO category id, from 1."""
    name: str
    supercategory: str = "object"
    """Never ``none``: some trainers drop such categories."""


class ClassRegistry:
    """The one place where a class name meets its stable id.

    YOLO's and RF-DETR's 0-based numbers are positions in :attr:`names` and exist only inside their format and
    detector modules.

    Raises:
        ValueError: an id below 1, an id or name twice, an empty name.
    """

    __slots__ = ("_by_id", "_by_name", "categories")

    def __init__(self, categories: Iterable[Category] = ()) -> None:
        self.categories: tuple[Category, ...] = tuple(sorted(categories, key=lambda c: c.id))
        self._by_id = {c.id: c for c in self.categories}
        self._by_name = {c.name: c for c in self.categories}
        if len(self._by_id) != len(self.categories) or len(self._by_name) != len(self.categories):
            raise ValueError("class ids and names must be unique")
        for category in self.categories:
            if category.id < 1 or not category.name.strip():
                raise ValueError(f"class {category.name!r} with id {category.id}: ids begin at 1, names are not empty")

    @classmethod
    def of(cls, names: Sequence[str]) -> ClassRegistry:
        """A registry of ``names`` with the ids 1, 2, … in their order."""
        return cls(Category(number, name) for number, name in enumerate(names, 1))

    @property
    def names(self) -> tuple[str, ...]:
        """Names by ascending id: position ``i`` is the 0-based class number of the training formats."""
        return tuple(c.name for c in self.categories)

    def id_of(self, name: str) -> int:
        """The stable id of a class name; KeyError when it is not registered."""
        return self._by_name[name].id

    def name_of(self, category_id: int) -> str:
        """The name of a stable id; KeyError when it is not registered."""
        return self._by_id[category_id].name

    def index_of(self, category_id: int) -> int:
        """The 0-based position of a stable id among :attr:`categories`."""
        return self.categories.index(self._by_id[category_id])

    def extended(self, names: Iterable[str]) -> ClassRegistry:
        """This registry and, with the next free ids, those of ``names`` that it does not hold."""
        grown = list(self.categories)
        free = max(self._by_id, default=0) + 1
        for name in names:
            if name not in {c.name for c in grown}:
                grown.append(Category(free, name))
                free += 1
        return ClassRegistry(grown)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Category]:
        return iter(self.categories)

    def __len__(self) -> int:
        return len(self.categories)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClassRegistry) and self.categories == other.categories

    def __hash__(self) -> int:
        return hash(self.categories)

    def __repr__(self) -> str:
        return f"ClassRegistry({', '.join(f'{c.id}={c.name}' for c in self.categories)})"


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a model saw in one frame: boxes with the probability of every class, not only of the winner.

    Raises:
        ValueError: shapes that disagree (both are printed), NaN, probabilities outside 0..1.
    """

    xyxy: FloatArray
    """``(n, 4)`` float32, corners in pixels of the full image."""
    scores: FloatArray
    """``(n, classes)`` float32, probabilities after the sigmoid, columns in the order of the model's class names."""

    def __post_init__(self) -> None:
        import numpy as np

        xyxy = np.ascontiguousarray(self.xyxy, dtype=np.float32)
        scores = np.ascontiguousarray(self.scores, dtype=np.float32)
        if xyxy.ndim != 2 or xyxy.shape[1] != 4 or scores.ndim != 2 or len(xyxy) != len(scores):
            raise ValueError(f"xyxy must be (n, 4) and scores (n, classes): got {xyxy.shape} and {scores.shape}")
        if not np.isfinite(xyxy).all() or not np.isfinite(scores).all():
            raise ValueError("detections hold NaN or infinite numbers")
        if scores.size and (scores.min() < 0.0 or scores.max() > 1.0):
            raise ValueError(f"scores must lie in 0..1: got {scores.min()}..{scores.max()}")
        object.__setattr__(self, "xyxy", xyxy)
        object.__setattr__(self, "scores", scores)

    @classmethod
    def empty(cls, classes: int) -> Detections:
        """No box, of a model of that many classes."""
        import numpy as np

        return cls(np.zeros((0, 4), np.float32), np.zeros((0, classes), np.float32))

    def __len__(self) -> int:
        return len(self.xyxy)

    @property
    def best(self) -> FloatArray:
        """``(n,)`` each box's highest class probability."""
        import numpy as np

        return self.scores.max(axis=1) if self.scores.shape[1] else np.zeros(len(self), np.float32)

    @property
    def labels(self) -> NDArray[np.intp]:
        """``(n,)`` each box's most probable class, as a column of :attr:`scores`."""
        import numpy as np

        return self.scores.argmax(axis=1) if self.scores.shape[1] else np.zeros(len(self), np.intp)

    def kept(self, floor: float, limit: int | None = None) -> Detections:
        """The boxes whose best score is at least ``floor``, best first (ties by position), at most ``limit``."""
        import numpy as np

        best = self.best
        order = np.argsort(-best, kind="stable")
        order = order[best[order] >= floor][:limit]
        return Detections(self.xyxy[order], self.scores[order])


@dataclass(frozen=True, slots=True)
class Box:
    """One labelled rectangle on one frame, as it travels to and from people."""

    label: str
    """Class name."""
    xywh: tuple[float, float, float, float]
    """Left, top, width, height in pixels of the full frame."""
    score: float | None = None
    """The proposing model's probability; None for a box drawn by a person."""
    proposal_id: str | None = None
    """Id of the model's proposal that this box began as; None for a box drawn by a person."""
    iscrowd: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the annotation tool keeps with the box (occluded, rotation …)."""


@dataclass(frozen=True, slots=True)
class SelectedFrame:
    """One row of a selection."""

    frame_id: str
    rank: int
    """From 1, the most wanted first."""
    score: float
    """What it was ranked by; comparable only inside its selection."""
    reason: str
    """Why it was taken, for people: ``uncertain: no-helmet 0.31``."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """The parts of the score by name."""


@dataclass(frozen=True, slots=True)
class RefusedFrame:
    """A frame that came close and was not taken."""

    frame_id: str
    score: float
    """As of :class:`SelectedFrame`."""
    reason: str
    """What spoke for it, as of :class:`SelectedFrame`."""
    refusal: str
    """Why it was not taken, for people: ``looks like gate_000012000_ab12cd.jpg``, ``its camera has its share``."""
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """A ranked choice of frames."""

    id: str
    model_id: str | None
    """None in round 0, when there is no model yet."""
    frames: tuple[SelectedFrame, ...]
    refused: tuple[RefusedFrame, ...] = ()
    """Those that came closest, strongest first; some dozens, never all."""


@dataclass(frozen=True, slots=True)
class PreAnnotation:
    """A model's proposals on one frame; quarantined until a person accepts them."""

    frame: Frame
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """A box that is known to be wrong, shown among the proposals to see whether people look."""

    kind: ProbeKind
    box: Box
    """As it is shown; its proposal id is the probe's own."""
    replaces: Box | None = None
    """The proposal in whose place it stands and which is not shown; None beside an invented one."""


@dataclass(frozen=True, slots=True)
class TaskFrame:
    """A frame as it is handed to an annotation backend."""

    name: str
    """File name, unique inside the task; the only key that survives an export."""
    key: str
    """Storage key of the picture."""
    width: int
    height: int
    boxes: tuple[Box, ...] = ()
    """Proposals to begin from."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What to create on an annotation backend."""

    uid: str
    """Content id; creating the same uid twice gives the same task."""
    name: str
    labels: tuple[str, ...]
    frames: tuple[TaskFrame, ...]
    job_size: int
    """Frames a job."""
    assignee: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the annotation backend knows it."""

    id: int
    """The backend's own number."""
    name: str
    size: int
    """Frames."""
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of a task that one person works on."""

    id: int
    """The backend's own number."""
    task_id: int
    stage: Stage
    state: State
    assignee: str | None
    frame_names: tuple[str, ...]
    updated_at: str
    """ISO 8601, by the backend's clock; moves on every change of annotations, stage, state or assignee."""

    @property
    def accepted(self) -> bool:
        """Whether its annotations may enter a dataset version."""
        return self.stage == "acceptance" and self.state == "completed"


@dataclass(frozen=True, slots=True)
class Issue:
    """A reviewer's remark on a job."""

    id: int
    job_id: int
    message: str
    author: str | None
    created_at: str
    """ISO 8601."""
    frame_name: str | None = None
    xywh: tuple[float, float, float, float] | None = None
    resolved: bool = False


@dataclass(frozen=True, slots=True)
class JobContent:
    """What is drawn on the frames of a job."""

    boxes: Mapping[str, tuple[Box, ...]]
    """By frame name; every frame of the job that was not deleted is a key."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Shapes that no detector here takes, by what they are: ``rotated box``, ``polygon``, ``track`` …"""
    deleted: frozenset[str] = frozenset()
    """Frames of the job that somebody took out of the task."""
    hidden: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    """What is drawn on deleted frames, by frame name: it enters no dataset, and is there again when a frame is."""
    lacking: tuple[str, ...] = ()
    """Labels that the task was made with and that are gone: their boxes went with them, whatever people drew."""


@dataclass(frozen=True, slots=True)
class DeletedFrames:
    """Which frames of a task somebody deleted on the annotation backend."""

    names: frozenset[str]
    at: str
    """Date of the task: another one when frames may have been deleted or brought back since."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who annotates or reviews."""

    id: int
    """The backend's own number."""
    name: str
    """What they log in with."""
    email: str = ""
    role: str = ""
    """The backend's word: ``worker``, ``user``, ``admin``."""


@dataclass(frozen=True, slots=True)
class BoxDates:
    """When hands were laid on an accepted box: ISO 8601 in UTC, None where it is not known.

    Boxes that were merged by releases before 0005 of the schema know only when they were proposed and merged.
    """

    proposed_at: str | None = None
    """When the upload of its task began, by the clock of the machine that uploaded; None when a person drew it."""
    submitted_at: str | None = None
    """When its job was first seen to be out of its annotator's hands, by the annotation backend's clock."""
    accepted_at: str | None = None
    """When its job was first seen accepted, by the annotation backend's clock."""
    merged_at: str | None = None
    """When the version that brought it was made, by the clock of the machine that exported."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A box that people accepted, with everyone who had a hand in it."""

    id: str
    """``content_id("annotation", frame id, category id, coordinates, which of several equal ones)``."""
    frame_id: str
    category_id: int
    xywh: tuple[float, float, float, float]
    job_id: str
    """Lineage id of the accepted job."""
    iscrowd: bool = False
    proposal_id: str | None = None
    """The proposal it began as; None when a person drew it."""
    model_id: str | None = None
    """The model that proposed it; None when a person drew it."""
    change: Literal["kept", "edited", "added"] = "added"
    """What the people did to the proposal."""
    annotator: str | None = None
    reviewer: str | None = None
    dates: BoxDates = field(default=BoxDates(), compare=False)
    """What lineage knows of a box of a version; empty before it is in one."""


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """An immutable state of the master dataset."""

    id: str
    """Content id of its manifest."""
    number: int
    """From 1; shown as v1, v2 …"""
    parent_id: str | None
    frames: int
    boxes: int
    key: str
    """Storage key of ``master_dataset_vN.json``."""

    @property
    def label(self) -> str:
        """``v<number>``."""
        return f"v{self.number}"


@dataclass(frozen=True, slots=True)
class Model:
    """A set of weights with what is needed to use it."""

    id: str
    """First 32 hexadecimal digits of the SHA-256 of the weights file; of a file that does not name its classes, a
    content id of that and the names."""
    kind: str
    """Detector name in the registry: ``rfdetr``, ``yolo``."""
    key: str
    """Storage key of the weights file."""
    class_names: tuple[str, ...]
    """In the order of the columns of ``Detections.scores``."""
    dataset_version_id: str | None = None
    """The version it was trained on; None for a model from elsewhere."""
    parent_id: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """``map``, ``map50``, ``ap50_per_class`` … on the validation split of its version."""


@dataclass(frozen=True, slots=True)
class Failed:
    """One input that could not be used; the rest of the run goes on."""

    input_id: str
    """Id of the input, or its storage key where it has none yet."""
    reason: str


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A frame that sampling kept, with the reason."""

    frame: Frame
    sha256: str
    """Of the written file."""
    similarity: float | None
    """Structural similarity to the frame kept before it (-1..1); None for the first and for other methods."""
    weight: float = 1.0
    """How much happened that this frame stands for, at least 0; comparable only inside its method."""
    reason: str = ""
    """Why it was kept: ``first``, ``changed``, ``interval``, ``keyframe``, ``cut``, ``max-gap``."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What sampling made of one video."""

    video: Video
    frames: tuple[SampledFrame, ...]
    decoded: int
    """Frames that were decoded."""
    passed: Mapping[str, int] = field(default_factory=dict)
    """Frames that were not kept for a reason of their own, by the reason: ``black``, ``blurred``, ``frozen``,
    ``near-duplicate``, ``over the limit``."""
    damage: str | None = None
    """What could not be read, for people (``ends after 3.2 s of 10.0 s``); None for a sound video."""


@dataclass(frozen=True, slots=True)
class FramePrediction:
    """What a model saw in one frame."""

    frame_id: str
    detections: Detections


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What a trainer hands back."""

    kind: str
    weights_key: str
    """The trainer's own checkpoint (``.pt``, ``.pth``)."""
    onnx_key: str
    """The exported model."""
    class_names: tuple[str, ...]
    metrics: Mapping[str, Any]
    """COCO metrics on the validation split: ``map``, ``map50``, ``ap50_per_class`` (class name -> AP or None)."""
    epochs: int


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that ``doctor`` looked at."""

    name: str
    state: Literal["ok", "absent", "warn", "bad"]
    """``absent``: an optional part, or one that is still to come; ``warn``: it may do."""
    detail: str
    repair: str = ""
    """What to do when it is not ok."""

    @property
    def told(self) -> str:
        """What was found and what to do about it."""
        return f"{self.detail}; {self.repair}" if self.repair else self.detail


@dataclass(frozen=True, slots=True)
class Report:
    """What a command did: printed as text or as JSON, by the command line only."""

    title: str
    """One line: ``sampled 212 frames from 3 videos``."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The result as plain JSON values; the text shows the scalar ones as ``name: value`` lines."""
    rows: tuple[Mapping[str, Any], ...] = ()
    """A table, when the result is one; part of the JSON as ``rows``."""
    notes: tuple[str, ...] = ()
    """Remarks for people, on stderr."""
    failures: tuple[Failed, ...] = ()
    """Inputs that failed; any makes the exit code 8."""
    next: str = ""
    """The next command to type."""
    text: str = ""
    """What people get to see in the place of title, values and table; no part of the JSON."""
