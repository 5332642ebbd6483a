"""``preannotate``: hard frames -> what the model proposes on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from data_engine.app.engine import Engine
from data_engine.app.footage.pictures import frames_in
from data_engine.app.models.models import (
    current_model,
    predict_missing,
    register_model,
    registered_classes,
    stored_predictions,
)
from data_engine.app.selection.filter_files import LIST
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.stages.export import dataset_name
from data_engine.types import ClassRegistry, PreAnnotation, Report
from data_engine.words import counted

OUTPUT = "preannotations/hard_frames_preanno.json"


def proposed_frames(engine: Engine) -> set[str]:
    """Ids of the frames that the workspace's pre-annotations hold, with boxes or without."""
    from data_engine.formats.coco import read_coco

    if not engine.storage.exists(OUTPUT):
        return set()
    try:
        images = read_coco(engine.storage.read_bytes(OUTPUT), name=engine.shown(OUTPUT)).images
    except DamagedInputError:
        # Then they have to be made again.
        return set()
    return {str(image.extra["frame_id"]) for image in images if "frame_id" in image.extra}


def offered(proposals: Iterable[PreAnnotation], registry: ClassRegistry) -> list[PreAnnotation]:
    """Without the boxes of classes that people are not offered any more."""
    if not registry.reserved:
        return list(proposals)
    names = registry.offered.names
    return [replace(each, boxes=tuple(box for box in each.boxes if box.label in names)) for each in proposals]


def preannotate(
    engine: Engine, *, frames: Path | None = None, model: Path | None = None, output: Path | None = None
) -> Report:
    """Write the model's proposals on the hard frames as COCO.

    Predictions that ``filter`` stored are used; the model runs only over frames that it has not seen.

    Raises:
        MissingInputError: no list of frames, or no model yet.
    """
    from data_engine.formats.coco import write_coco
    from data_engine.stages import preannotate as stage

    settings = engine.settings.preannotate
    path = current_model(engine, model)
    if path is None:
        raise MissingInputError(
            "there is no model yet, so nothing can be proposed", hint="go on without proposals: dataengine upload"
        )
    source = frames or Path(engine.shown(LIST))
    listed = engine.storage.key_of(source)
    chosen, failures = frames_in(engine, source, hint="run first: dataengine filter")
    opened = register_model(engine, path)
    asked, unreadable = predict_missing(engine, opened, chosen)
    seen = stored_predictions(engine, opened.model, [frame.id for frame in chosen])
    registry = registered_classes(engine)
    proposals = [
        stage.propose(
            # The proposals go by the name that the frame has in tasks, which no other frame has.
            replace(frame, name=dataset_name(frame)),
            seen[frame.id],
            opened.class_names,
            opened.model.id,
            settings,
        )
        for frame in chosen
        if frame.id in seen
    ]
    target = engine.key_of(output, OUTPUT)
    dataset = stage.to_coco(offered(proposals, registry), registry, opened.model.id)
    with engine.runner.run(
        "preannotate", stage.VERSION, settings, inputs=sorted(seen), scope=[target, opened.model.id]
    ) as run:
        with engine.database.write() as connection:
            engine.runner.finish_input(connection, run, sorted(seen))
        # The file comes last: who finds it goes on to the upload.
        engine.storage.write_bytes(target, write_coco(dataset))
    return Report(
        title=f"{counted(len(dataset.annotations), 'box')} proposed on {counted(len(dataset.images), 'frame')}",
        data={
            "frames": len(dataset.images),
            "boxes": len(dataset.annotations),
            "frames_without_a_box": sum(not proposal.boxes for proposal in proposals),
            "frames_predicted_now": asked,
            "model": opened.path.name,
            "output": engine.shown(target),
        },
        failures=(*failures, *unreadable),
        next=engine.typed("upload")
        if (listed, target) == (LIST, OUTPUT)
        else engine.typed("upload", frames=listed, preannotations=target),
    )
