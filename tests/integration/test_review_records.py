"""What a review keeps, on each kind of database: the list of waiting jobs by page, marks, remarks and looks."""

from __future__ import annotations

import pytest

from data_engine.lineage import reviewing, waiting_jobs
from data_engine.lineage.reviewing import Look, Mark, Remark
from data_engine.lineage.tables import frames, job_frames, jobs, runs, tasks
from data_engine.lineage.waiting_jobs import Wanted

JOBS = 5
ANNOTATION, VALIDATION, LEAD, ACCEPTED = (
    ("annotation", "rejected"),
    ("validation", "new"),
    ("acceptance", "new"),
    ("acceptance", "completed"),
)


@pytest.fixture
def filled(database):
    """Jobs 1 to 5 of two frames each: back with anna, three that wait (one for the lead), and an accepted one."""
    stands = [ANNOTATION, VALIDATION, VALIDATION, LEAD, ACCEPTED]
    run = {"id": "r", "stage": "upload", "fingerprint": "f", "settings": {}, "code_version": "1", "state": "done"}
    with database.write() as connection:
        connection.execute(runs.insert(), [{**run, "attempts": 1, "started_at": "2026"}])
        connection.execute(
            tasks.insert(), [{"id": "t", "backend": "local", "number": 1, "name": "Day", "plan": {}, "run_id": "r"}]
        )
        size = {"width": 64, "height": 48, "camera": "c"}
        connection.execute(
            frames.insert(), [{"id": f"f{n}", "name": f"f{n}", "key": f"f{n}", **size} for n in range(2 * JOBS)]
        )
        for number, (stage, state) in enumerate(stands, 1):
            row = {"id": f"j{number}", "backend": "local", "number": number, "task_id": "t", "stage": stage}
            people = {"assignee": "lena" if stage == "acceptance" else "anna", "annotator": "anna"}
            # The date of the third is that of the second: the number decides.
            at = f"2026-01-0{min(number, 2) if number < 4 else number}T00:00:00+00:00"
            connection.execute(jobs.insert(), [{**row, "state": state, **people, "updated_at": at}])
            connection.execute(
                job_frames.insert(), [{"job_id": f"j{number}", "frame_id": f"f{2 * number - n}"} for n in (1, 2)]
            )
    return database


def test_the_waiting_jobs_come_by_page(filled):
    with filled.read() as connection:
        first = waiting_jobs.waiting(connection, "local", Wanted(), limit=2)
        rest = waiting_jobs.waiting(connection, "local", Wanted(), after=(first[-1].updated_at, first[-1].number))
        assert [job.number for job in first] == [2, 3]
        assert [(job.number, job.stage, job.waits_for) for job in rest] == [(4, "acceptance", "lena")]
        assert {(job.frames, job.marked, job.task_name) for job in (*first, *rest)} == {(2, 0, "Day")}
        assert waiting_jobs.count(connection, "local", Wanted()) == 3
        assert waiting_jobs.count(connection, "local", Wanted(person="rita")) == 2
        assert waiting_jobs.count(connection, "local", Wanted(person="anna")) == 0
        assert waiting_jobs.count(connection, "local", Wanted(said=("new",))) == 0
        assert waiting_jobs.count(connection, "elsewhere", Wanted()) == 0
        assert waiting_jobs.choices(connection, "local", ()) == ([(1, "Day")], ["anna"])
        assert waiting_jobs.identity(connection, "local", 4) == "j4"
        assert waiting_jobs.identity(connection, "local", 9) is None


def test_the_last_mark_and_the_longest_look_count(filled):
    def mark(name, seconds, content="a" * 32):
        return Mark("f3", "rita", name, content, seconds, "2026")

    with filled.write() as connection:
        reviewing.record_marks(connection, "j2", [mark("seen", 4.0), mark("clean", 1.0)])
        reviewing.record_marks(connection, "j2", [mark("remarked", 2.0)])
        assert reviewing.marks_of(connection, "j2") == [mark("remarked", 4.0)]
        reviewing.record_marks(connection, "j2", [mark("clean", 0.5, "b" * 32)])
        assert reviewing.marks_of(connection, "j2") == [mark("clean", 0.5, "b" * 32)]
        (job, *_others) = waiting_jobs.waiting(connection, "local", Wanted())
        assert (job.number, job.marked) == (2, 1)
        assert reviewing.frames_in(connection, "j2") == {"f2", "f3"}


def test_remarks_and_looks_are_kept_once(filled):
    said = Remark("", "f3", "rita", "<i>no</i> helmet", (1.0, 2.0, 3.0, 4.5), "2026")
    whole = Remark("", "f2", "rita", "blurred", None, "2027")
    with filled.write() as connection:
        ids = [reviewing.add_remark(connection, "j2", each) for each in (said, whole, said)]
        found = reviewing.remarks_of(connection, "j2")
        assert [(r.id, r.message, r.xywh) for r in found] == [
            (ids[0], said.message, said.xywh),
            (ids[1], whole.message, None),
        ]
        assert ids[0] == ids[2]
        assert reviewing.drop_remarks(connection, "j2", ids[:1]) == 1
        assert reviewing.drop_remarks(connection, "j2") == 1
        look = Look("j2", "accepted", "rita", 2, 1, 2.5, "2026")
        for _ in range(2):
            reviewing.record_look(connection, look)
        assert reviewing.looks_at(connection, ["j2", "j3"]) == {"j2": [look]}
        assert reviewing.last_deed(connection, "j2") is None
        assert reviewing.annotated_by(connection, "j2") == set()
