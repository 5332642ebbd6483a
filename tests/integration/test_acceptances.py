"""Acceptances, the dates of boxes and deleted frames, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from data_engine.lineage import (
    datasets,
    deleted_frames,
    footage,
    job_history,
    labelling,
    migrate,
    models,
    uploads,
    work,
)
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.job_history import Held
from data_engine.lineage.tables import acceptances, accepted
from data_engine.lineage.uploads import PlannedTask
from data_engine.lineage.work import Run
from data_engine.types import Annotation, BoxDates, DatasetVersion, Frame, Job, TaskFrame, TaskSpec, content_id

UPLOADED, EXPORTED = "2026-01-01T00:00:00+00:00", "2026-01-09T00:00:00+00:00"
FRAMES = tuple(
    Frame(content_id("frame", n), f"cam_{n}_x.jpg", f"frames_sampled/cam_{n}_x.jpg", 64, 48, "cam") for n in range(4)
)
NAMES = tuple(frame.name for frame in FRAMES)
TASK = "t" * 32


def at(day: int) -> str:
    return f"2026-01-0{day}T12:00:00.000000+00:00"


@pytest.fixture
def planned(database):
    """A task of two jobs of two frames; seen new."""
    with database.write() as connection:
        footage.add_frames(connection, FRAMES)
        models.add_classes(connection, ["person"])
        run = Run(content_id("run"), "upload", content_id("fingerprint"), {}, "0")
        work.start(connection, run, UPLOADED)
        spec = TaskSpec(TASK, "T", ("person",), tuple(TaskFrame(f.name, f.key, 64, 48) for f in FRAMES), 2)
        names = {frame.name: frame.id for frame in FRAMES}
        task = PlannedTask(spec, (), 0)
        uploads.plan_task(connection, task, backend="local", run_id=run.id, frame_ids=names, model_id=None)
        uploads.task_created(connection, TASK, 7)
    return run


def seen(database, *told):
    """The job 1 after these, each a stage, a state and the day of January."""
    for stage, state, day in told:
        with database.write() as connection:
            job = Job(1, 7, stage, state, "ann", NAMES[:2], at(day))
            (known,) = labelling.record_jobs(connection, "local", TASK, [job])
    return known


def accept(database, known, day, content="c", deleted=()):
    with database.write() as connection:
        return job_history.record_acceptances(connection, [known], {known.id: Held(at(day), content, deleted)})[
            known.id
        ]


def rows(database):
    with database.read() as connection:
        query = sa.select(acceptances).order_by(acceptances.c.accepted_at)
        return [
            (row.submitted_at, row.accepted_at, row.content, row.deleted, row.at) for row in connection.execute(query)
        ]


def test_an_acceptance_is_recorded_once_and_the_next_is_another(database, planned):
    way = [("annotation", "new", 1), ("annotation", "completed", 2), ("validation", "new", 3)]
    known = seen(database, *way, ("acceptance", "completed", 4))
    first = accept(database, known, 4, deleted=(NAMES[0],))
    # The date moved for another reason, and what is deleted by then says nothing of what was accepted.
    known = seen(database, ("acceptance", "completed", 5))
    assert accept(database, known, 5) == first
    assert rows(database) == [(at(2), at(4), "c", [NAMES[0]], at(5))]
    with database.read() as connection:
        history = job_history.histories(connection, [known])[known.id]
    assert (history.acceptance, history.accepted_at, history.accepted_content) == (first, at(5), "c")
    assert history.accepted_deleted == {NAMES[0]}

    # Back in review its old acceptance is not what it stands by; its annotator handed it in when they did.
    known = seen(database, ("validation", "new", 6))
    with database.read() as connection:
        assert job_history.histories(connection, [known])[known.id].acceptance is None
    known = seen(database, ("acceptance", "completed", 7))
    second = accept(database, known, 7, "d")
    known = seen(database, ("annotation", "rejected", 8), ("acceptance", "completed", 9))
    third = accept(database, known, 9, "e")
    assert len({first, second, third}) == 3
    # The third was seen accepted only: when it was handed in nobody knows.
    assert [(row[0], row[1], row[2]) for row in rows(database)] == [
        (at(2), at(4), "c"),
        (at(2), at(7), "d"),
        (None, at(9), "e"),
    ]


def a_box(frame, job, x, **more):
    xywh = (x, 1.0, 5.0, 6.0)
    return Annotation(content_id("box", frame.id, x), frame.id, 1, xywh, job, **more)


def test_a_box_keeps_the_acceptance_that_brought_it(database, planned):
    known = seen(database, ("annotation", "new", 1), ("validation", "new", 2), ("acceptance", "completed", 3))
    first = accept(database, known, 3)

    def merge(number, entries, acceptance):
        with database.write() as connection:
            given = [DatasetFrame(frame.id, known.id, f"c{number}", "train") for frame in entries]
            boxes = {frame.id: [box] for frame, box in entries.items()}
            brought = {known.id: acceptance} if acceptance else None
            datasets.replace_frames(connection, number, given, boxes, acceptances=brought)
            version = DatasetVersion(f"v{number}", number, None, 2, 2, f"{number}.json")
            made = EXPORTED.replace("09T", f"1{number}T")
            datasets.add_version(connection, version, run_id=planned.id, created_at=made)

    one, two = FRAMES[:2]
    merge(1, {one: a_box(one, known.id, 1.0, proposal_id="p"), two: a_box(two, known.id, 1.0)}, first)
    known = seen(database, ("annotation", "completed", 4), ("validation", "new", 5), ("acceptance", "completed", 6))
    merge(2, {two: a_box(two, known.id, 2.0)}, accept(database, known, 6, "d"))
    # By an older release: without one.
    merge(3, {two: a_box(two, known.id, 3.0)}, None)
    made = [EXPORTED.replace("09T", f"1{number}T") for number in range(4)]
    with database.read() as connection:
        dates = [
            [held[frame.id][0].dates for frame in (one, two)]
            for held in (datasets.boxes_of(connection, number) for number in (1, 2, 3))
        ]
        (of_class,) = datasets.boxes_of_class(connection, 1, 1, 1)
    proposed = BoxDates(UPLOADED, at(2), at(3), made[1])
    assert dates[0] == [proposed, replace(proposed, proposed_at=None)]
    assert dates[1] == [proposed, BoxDates(None, at(4), at(6), made[2])]
    assert dates[2] == [proposed, BoxDates(None, None, None, made[3])]
    assert of_class.dates.accepted_at == at(3)


def test_deleted_frames_are_recorded_with_what_they_change(database, planned):
    jobs = {}
    with database.write() as connection:
        for number, names in ((1, NAMES[:2]), (2, NAMES[2:])):
            job = Job(number, 7, "acceptance", "completed", None, names, at(1))
            (known,) = labelling.record_jobs(connection, "local", TASK, [job])
            jobs[known.id] = names
    one, two = jobs

    def told(*deleted, **more):
        with database.write() as connection:
            return deleted_frames.record(connection, TASK, deleted, jobs, **more)

    def given():
        with database.read() as connection:
            return deleted_frames.given(connection, [*jobs, "x" * 32])

    with database.read() as connection:
        assert deleted_frames.looked_at(connection, [TASK]) == {TASK: ""}
    assert told() == set()
    assert told(NAMES[0], NAMES[3], "another task's", at=at(2)) == {one, two}
    assert told(NAMES[0], NAMES[3]) == set()
    with database.read() as connection:
        assert deleted_frames.looked_at(connection, [TASK]) == {TASK: at(2)}
        assert deleted_frames.names(connection, [TASK, "x" * 32]) == {TASK: {NAMES[0], NAMES[3]}}
    assert given() == {one: {FRAMES[0].id}, two: {FRAMES[3].id}}
    # Merged without them; and the first is brought back: it is the job's to give again.
    with database.write() as connection:
        datasets.record_frames_of_jobs(connection, {one: {FRAMES[1].id}, two: {FRAMES[2].id}})
    assert given() == {}
    assert told(NAMES[3]) == {one}
    with database.read() as connection:
        assert datasets.frames_of_jobs(connection, jobs) == {one: {f.id for f in FRAMES[:2]}, two: {FRAMES[2].id}}
    assert given() == {}


def test_what_release_0004_accepted_is_kept_on_the_way_up_and_down(database, planned):
    known = seen(database, ("validation", "new", 1), ("acceptance", "completed", 2))
    migrate.downgrade(database, "0004")
    with database.write() as connection:
        old = sa.table("acceptances", *map(sa.column, ("job_id", "at", "content")))
        connection.execute(sa.insert(old).values(job_id=known.id, at=at(3), content="c"))
    migrate.ensure(database)
    assert migrate.differences(database) == []
    assert rows(database) == [(None, at(3), "c", [], at(3))]
    with database.read() as connection:
        assert job_history.histories(connection, [known])[known.id].accepted_content == "c"
    # It is what the job stands by: looked at again, it is the same acceptance.
    assert accept(database, known, 4) == known.id
    assert (
        accept(database, seen(database, ("validation", "new", 5), ("acceptance", "completed", 6)), 6, "d") != known.id
    )
    with database.write() as connection:
        datasets.replace_frames(
            connection,
            1,
            [DatasetFrame(FRAMES[0].id, known.id, "c", "train")],
            {FRAMES[0].id: [a_box(FRAMES[0], known.id, 1.0)]},
            acceptances={known.id: known.id},
        )
    migrate.downgrade(database, "0004")
    with database.read() as connection:
        assert [tuple(row) for row in connection.execute(sa.select(old))] == [(known.id, at(6), "d")]
        assert connection.scalar(sa.text("select count(*) from annotations")) == 1
    migrate.ensure(database)
    with database.read() as connection:
        assert connection.scalar(sa.select(accepted.c.acceptance_id)) is None


def test_tables_refuse_an_acceptance_that_is_not_there(database, planned):
    known = seen(database, ("acceptance", "completed", 1))
    given, boxes = (
        [DatasetFrame(FRAMES[0].id, known.id, "c", "train")],
        {FRAMES[0].id: [a_box(FRAMES[0], known.id, 1.0)]},
    )
    with database.write() as connection, pytest.raises(sa.exc.IntegrityError):
        datasets.replace_frames(connection, 1, given, boxes, acceptances={known.id: "n" * 32})
