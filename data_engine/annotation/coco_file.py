"""The COCO file of a job: written for people and their tools, and read back from them.

``file_name`` is the bare frame name, as CVAT has it.  Every proposal carries its probability as ``score`` and as the
attribute ``confidence``, and its id as the attribute ``proposal``, so that it can be followed through the correction.
Nothing depends on what tools change: images meet by file name, categories by name, ids are free, attributes may be
lost (a proposal then comes back as a box without one).
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from data_engine.errors import DamagedInputError
from data_engine.formats.coco import CocoAnnotation, CocoImage, annotations_text, read_coco
from data_engine.formats.coco_stream import CocoStream
from data_engine.types import CONFIDENCE, PROPOSAL, Box, ClassRegistry, Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from data_engine.annotation.records import Boxes, FrameRecord


def write_job_file(frames: Sequence[FrameRecord], boxes: Mapping[str, Sequence[Box]], labels: Sequence[str]) -> bytes:
    """The file for the annotator: categories from 1 in the order of ``labels``, images and boxes from 1, too."""
    registry = ClassRegistry.of(labels)
    file = BytesIO()
    stream = CocoStream(file, {})
    numbered = [CocoImage(number, f.name, f.width, f.height) for number, f in enumerate(frames, 1)]
    stream.images(sorted(numbered, key=lambda image: image.file_name))
    stream.annotate()
    rows = ((image.id, box) for image in numbered for box in boxes.get(image.file_name, ()))
    stream.records(
        annotations_text(
            (number, image_id, registry.id_of(box.label), box.xywh, box.iscrowd, _attributes_of(box), box.score)
            for number, (image_id, box) in enumerate(rows, 1)
        )
    )
    stream.end(registry)
    return file.getvalue()


def _attributes_of(box: Box) -> dict[str, object]:
    attributes = dict(box.attributes)
    if box.score is not None:
        attributes[CONFIDENCE] = box.score
    if box.proposal_id is not None:
        attributes[PROPOSAL] = box.proposal_id
    return attributes


def read_submission(
    data: bytes,
    job: Job,
    labels: Sequence[str],
    *,
    name: str = "annotations.json",
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> Boxes:
    """The boxes of a file that comes back from an annotator; every frame of the job is a key.

    Images that the file does not list have no boxes: many tools leave out the empty ones.  Folders before a file name
    are ignored.  Boxes are cut to their picture.

    Args:
        data: the whole COCO file.
        job: whose frames it may hold.
        labels: the task's.
        name: what to call the file in a message.
        sizes: width and height in pixels by frame name, to notice a tool that resized the pictures.

    Raises:
        DamagedInputError: not a COCO file; an image that the job does not have, or twice; an unknown label; a box
            with NaN or without area; ids twice; a picture of another size.
    """
    dataset = read_coco(data, name=name, registry=ClassRegistry.of(labels))
    frames: dict[int, str] = {}
    for image in dataset.images:
        frame = _frame_of(image.file_name, job.frame_names)
        if frame is None:
            raise DamagedInputError(f"{name}: unknown image {image.file_name!r}: job {job.id} has no such frame")
        if frame in frames.values():
            raise DamagedInputError(f"{name}: two images are the frame {frame!r}")
        if sizes is not None and sizes[frame] != (image.width, image.height):
            width, height = sizes[frame]
            raise DamagedInputError(
                f"{name}: image {image.file_name!r} is {image.width} x {image.height} pixels there, "
                f"but the frame is {width} x {height}: the boxes would not fit"
            )
        frames[image.id] = frame
    boxes: dict[str, list[Box]] = {frame: [] for frame in job.frame_names}
    for annotation in dataset.annotations:
        boxes[frames[annotation.image_id]].append(_box_of(annotation, dataset.categories))
    return {frame: tuple(rows) for frame, rows in boxes.items()}


def _frame_of(file_name: str, frames: Iterable[str]) -> str | None:
    bare = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    return next((frame for frame in (file_name, bare) if frame in frames), None)


def _box_of(annotation: CocoAnnotation, categories: ClassRegistry) -> Box:
    attributes = dict(annotation.attributes)
    confidence, proposal = attributes.pop(CONFIDENCE, None), attributes.pop(PROPOSAL, None)
    score = annotation.score
    if score is None and isinstance(confidence, (int, float)):
        score = float(confidence)
    return Box(
        categories.name_of(annotation.category_id),
        annotation.xywh,
        score,
        proposal if isinstance(proposal, str) and proposal else None,
        annotation.iscrowd,
        attributes,
    )


def instructions(job_id: int, labels: Sequence[str]) -> str:
    """The README beside the file."""
    return f"""Job {job_id}

annotations.json is a COCO file with the boxes to correct.  The pictures are in ../../images, found by file_name.
Labels: {", ".join(labels)}

1. Open annotations.json with any tool that edits COCO files, and ../../images as the folder of its pictures.
2. Correct the boxes: move, delete, draw, change the label.  Leave the file names of the pictures as they are.
   Where the tool keeps attributes, leave "confidence" and "proposal" alone: they tell which proposal a box was.
3. Save it as COCO here, under the same name, and type:

   dataengine review submit {job_id}

What you change afterwards counts when you submit it again.  If the job comes back to you, the reasons are in

   dataengine review show {job_id}
"""
