"""When jobs changed, and which accepted frames a model has not seen, on SQLite and on PostgreSQL."""

from __future__ import annotations

from data_engine.lineage import datasets, footage, held_out, job_times, labelling, models, uploads, work
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.held_out import AcceptedBox
from data_engine.lineage.job_times import Change
from data_engine.lineage.uploads import PlannedTask
from data_engine.lineage.work import Run
from data_engine.types import Annotation, DatasetVersion, Frame, Job, TaskFrame, TaskSpec, content_id

NOW = "2026-01-01T00:00:00+00:00"
UID = "t" * 32
FRAMES = [Frame(content_id("frame", n), f"f{n}.jpg", f"frames/f{n}.jpg", 64, 48, "cam") for n in range(6)]


def planned(connection) -> Run:
    """A task of all frames."""
    run = Run(content_id("run"), "upload", content_id("fingerprint"), {}, "0")
    work.start(connection, run, NOW)
    footage.add_frames(connection, FRAMES)
    pictures = tuple(TaskFrame(f.name, f.key, f.width, f.height) for f in FRAMES)
    spec = TaskSpec(UID, "T", ("person",), pictures, 3, None)
    names = {f.name: f.id for f in FRAMES}
    uploads.plan_task(
        connection, PlannedTask(spec, (), 0), backend="local", run_id=run.id, frame_ids=names, model_id=None
    )
    return run


def job(number: int, stage: str, state: str, assignee: str | None, second: int) -> Job:
    names = tuple(f.name for f in FRAMES[3 * (number - 1) : 3 * number])
    return Job(number, 7, stage, state, assignee, names, f"2026-01-01T00:00:{second:02d}+00:00")


def see(connection, *jobs: Job) -> list[labelling.KnownJob]:
    return labelling.record_jobs(connection, "local", UID, jobs)


def box(frame: Frame, of: str, x: float, *, crowd: bool = False) -> Annotation:
    return Annotation(content_id(frame.id, of, repr(x)), frame.id, 1, (x, 1.0, 2.0, 3.0), of, crowd)


def test_each_change_of_a_job_is_remembered_once(database):
    told = [
        job(1, "annotation", "new", None, 1),
        job(1, "annotation", "in progress", "ann", 2),
        # Only its boxes changed.
        job(1, "annotation", "in progress", "ann", 3),
        job(1, "validation", "new", "ann", 4),
        job(1, "annotation", "rejected", "ann", 5),
        job(1, "validation", "new", "ann", 6),
    ]
    with database.write() as connection:
        planned(connection)
        for seen in told:
            (known,) = see(connection, seen)
            see(connection, seen)
        # Seen by a slower command, after all that.
        see(connection, told[1])
        found = job_times.changes(connection)
        once_more = job_times.changes(connection)
        job_times.record_changes(connection, {}, [known])
        assert job_times.changes(connection) == once_more == found
    assert found == [
        Change(known.id, seen.stage, seen.state, seen.assignee, "ann", seen.updated_at)
        for seen in told
        if seen != told[2]
    ]


def test_what_was_in_a_job_is_known_while_the_newest_version_has_all_of_it(database):
    with database.write() as connection:
        run = planned(connection)
        models.add_classes(connection, ["person"])
        first, second = see(
            connection, job(1, "acceptance", "completed", None, 1), job(2, "acceptance", "completed", None, 1)
        )
        assert job_times.contents(connection) == {}
        rows = {f.id: [box(f, first.id, float(n)) for n in range(2)] for f in FRAMES[:2]}
        datasets.replace_frames(connection, 1, [DatasetFrame(f.id, first.id, "c", "train") for f in FRAMES[:3]], rows)
        assert job_times.contents(connection) == {first.id: (3, 4)}
        datasets.replace_frames(connection, 2, [DatasetFrame(f.id, second.id, "c", "valid") for f in FRAMES[3:]], {})
        assert job_times.contents(connection) == {first.id: (3, 4), second.id: (3, 0)}
        # Corrected and merged again.
        rows = {FRAMES[0].id: [box(FRAMES[0], first.id, 9.0)]}
        datasets.replace_frames(connection, 3, [DatasetFrame(f.id, first.id, "d", "train") for f in FRAMES[:3]], rows)
        assert job_times.contents(connection)[first.id] == (3, 1)
        # One of its frames has another job's boxes now.
        datasets.replace_frames(connection, 4, [DatasetFrame(FRAMES[0].id, second.id, "e", "train")], {})
        assert first.id not in job_times.contents(connection)
        assert run.id


def test_frames_that_a_model_was_not_trained_on(database):
    ids = [f.id for f in FRAMES]
    with database.write() as connection:
        run = planned(connection)
        models.add_classes(connection, ["person"])
        known, _other = see(connection, job(1, "annotation", "new", None, 1), job(2, "annotation", "new", None, 1))
        sides = ("train", "valid", "guard", "train", "valid", "guard")
        rows = [DatasetFrame(f.id, known.id, "c", side) for f, side in zip(FRAMES, sides, strict=True)]
        for number, part in ((1, rows[:3]), (2, rows[3:])):
            datasets.replace_frames(connection, number, part, {})
            version = DatasetVersion(f"v{number}", number, None, 3, 0, "key")
            datasets.add_version(connection, version, run_id=run.id, created_at=NOW)
        # Boxes that were corrected later are still boxes on a frame that the first model was trained on.
        boxes = {ids[0]: [box(FRAMES[0], known.id, 1.0), box(FRAMES[0], known.id, 5.0, crowd=True)]}
        datasets.replace_frames(connection, 3, [rows[0]._replace(content="d")], boxes)
        assert held_out.frames(connection, "v1", 10) == [*sorted(ids[3:]), ids[1]]
        assert held_out.frames(connection, "v2", 10) == [ids[4], ids[1]]
        assert held_out.frames(connection, None, 10) == [ids[4], ids[1]]
        assert held_out.frames(connection, "v1", 2) == sorted(ids[3:])[:2]
        found = held_out.boxes_on(connection, ids)
    assert set(found) == {ids[0]}
    assert sorted(found[ids[0]], key=lambda b: b.xywh) == [
        AcceptedBox("person", (1.0, 1.0, 2.0, 3.0), crowd=False),
        AcceptedBox("person", (5.0, 1.0, 2.0, 3.0), crowd=True),
    ]
