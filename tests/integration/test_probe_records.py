"""What lineage keeps of known-wrong boxes, on SQLite and on PostgreSQL."""

from __future__ import annotations

from data_engine.lineage import footage, labelling, models, probes, shown_boxes, uploads, work
from data_engine.lineage.uploads import PlannedTask
from data_engine.lineage.work import Run
from data_engine.types import Box, Frame, Job, Model, Probe, TaskFrame, TaskSpec, content_id

NOW = "2026-01-01T00:00:00+00:00"
UID, MODEL = "t" * 32, "m" * 32
FRAMES = [Frame(content_id("frame", n), f"f{n}.jpg", f"frames/f{n}.jpg", 64, 48, "cam") for n in range(3)]
REAL = Box("person", (1.0, 2.0, 3.0, 4.0), 0.9, "r" * 32, attributes={"occluded": True})
SWAPPED = Probe("swapped", Box("helmet", REAL.xywh, 0.9, "s" * 32), REAL)
INVENTED = Probe("invented", Box("person", (9.0, 9.0, 3.0, 4.0), None, "i" * 32))
OTHER = Box("helmet", (20.0, 2.0, 3.0, 4.0), 0.8, "o" * 32)


def test_a_probe_is_a_proposal_of_no_model_and_what_it_stands_for_is_kept(database):
    run = Run(content_id("run"), "upload", content_id("fingerprint"), {}, "0")
    names = {f.name: f.id for f in FRAMES}
    shown = [(SWAPPED.box, OTHER), (INVENTED.box,), ()]
    pictures = tuple(TaskFrame(f.name, f.key, f.width, f.height, boxes) for f, boxes in zip(FRAMES, shown, strict=True))
    spec = TaskSpec(UID, "T", ("person", "helmet"), pictures, 3, None)
    planned = {"f0.jpg": SWAPPED, "f1.jpg": INVENTED}
    with database.write() as connection:
        work.start(connection, run, NOW)
        footage.add_frames(connection, FRAMES)
        models.add_model(
            connection,
            Model(MODEL, "yolo", "m.onnx", ("person", "helmet")),
            run_id=run.id,
            weights_key=None,
            registered_at=NOW,
        )
        uploads.plan_task(
            connection, PlannedTask(spec, (), 0), backend="cvat", run_id=run.id, frame_ids=names, model_id=MODEL
        )
        for _again in range(2):
            probes.record(connection, UID, planned, frame_ids=names, model_id=MODEL)
        told = shown_boxes.proposals_on(connection, UID, names.values())
        assert [(p.id, p.model_id) for p in told[FRAMES[0].id]] == [("s" * 32, None), ("o" * 32, MODEL)]
        assert [(p.id, p.model_id) for p in told[FRAMES[1].id]] == [("i" * 32, None)]
        assert probes.on_frames(connection, UID, names.values()) == {FRAMES[0].id: [SWAPPED], FRAMES[1].id: [INVENTED]}
        assert probes.on_frames(connection, "another", names.values()) == {}
        # An upload that was killed makes what was planned.
        (uid,) = uploads.pending_ids(connection, "cvat")
        waiting = uploads.planned_task(connection, uid)
        assert [frame.boxes for frame in waiting.spec.frames] == shown
        assert uploads.frame_order(connection, UID) == ["f0.jpg", "f1.jpg", "f2.jpg"]


def test_a_reviewer_who_was_named_is_the_reviewer(database):
    run = Run(content_id("run"), "upload", content_id("fingerprint"), {}, "0")
    spec = TaskSpec(UID, "T", ("person",), (TaskFrame("f0.jpg", "frames/f0.jpg", 64, 48),), 3, None)
    with database.write() as connection:
        work.start(connection, run, NOW)
        footage.add_frames(connection, FRAMES[:1])
        uploads.plan_task(
            connection,
            PlannedTask(spec, (), 0),
            backend="cvat",
            run_id=run.id,
            frame_ids={"f0.jpg": FRAMES[0].id},
            model_id=None,
        )
        seen = [
            Job(1, 7, "validation", "new", name, ("f0.jpg",), f"2026-01-01T00:00:0{second}+00:00")
            for second, name in enumerate(("rev", "dora"))
        ]
        labelling.record_jobs(connection, "cvat", UID, seen[:1])
        (known,) = labelling.record_jobs(connection, "cvat", UID, seen[1:])
        labelling.record_reviewer(connection, known, "dora")
        (known,) = labelling.record_jobs(connection, "cvat", UID, seen[1:])
        assert known.reviewer == "dora"
