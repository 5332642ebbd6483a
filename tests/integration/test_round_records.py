"""Rounds as lineage tells of them, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from data_engine.lineage import choices, datasets, footage, labelling, models, rounds, tables, uploads, work
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.rounds import Choice, Ending, JobPart, Round
from data_engine.lineage.uploads import PlannedTask
from data_engine.lineage.work import Run
from data_engine.types import (
    Annotation,
    DatasetVersion,
    Frame,
    Job,
    Model,
    SelectedFrame,
    Selection,
    TaskFrame,
    TaskSpec,
    content_id,
)

FRAMES = [Frame(content_id("frame", n), f"f{n}.jpg", f"frames/f{n}.jpg", 64, 48, "cam") for n in range(6)]


def at(minute: int) -> str:
    return f"2026-01-01T00:{minute:02d}:00.000+00:00"


def begun(connection, stage: str, minute: int) -> Run:
    run = Run(content_id("run", stage, minute), stage, content_id("fingerprint", stage, minute), {}, "0")
    work.start(connection, run, at(minute))
    return run


def chosen(connection, frames: list[Frame], minute: int, model: str | None = None) -> None:
    rows = tuple(SelectedFrame(f.id, n, 1.0, "doubtful", {"boxes": 2.0}) for n, f in enumerate(frames, 1))
    selection = Selection(content_id("selection", minute), model, rows)
    choices.record(connection, selection, run_id=begun(connection, "filter", minute).id, pool_size=6)


def in_a_task(connection, frames: list[Frame], minute: int, backend: str = "local") -> str:
    """A task of these frames and its only job, accepted; the job's lineage id."""
    uid = content_id("task", minute)
    pictures = tuple(TaskFrame(f.name, f.key, f.width, f.height) for f in frames)
    uploads.plan_task(
        connection,
        PlannedTask(TaskSpec(uid, f"T{minute}", ("person",), pictures, 9, None), (), 0),
        backend=backend,
        run_id=begun(connection, "upload", minute).id,
        frame_ids={f.name: f.id for f in frames},
        model_id=None,
    )
    job = Job(minute, minute, "acceptance", "completed", None, tuple(f.name for f in frames), at(minute))
    (known,) = labelling.record_jobs(connection, backend, uid, [job])
    return known.id


def version(connection, number: int, content: dict[str, tuple[Frame, int]], minute: int) -> DatasetVersion:
    """A version to which a job gives a frame with so many boxes each."""
    made = DatasetVersion(content_id("version", number), number, None, len(content), 0, f"v{number}.json")
    datasets.add_version(connection, made, run_id=begun(connection, "export", minute).id, created_at=at(minute))
    held, rows = [], {}
    for job, (frame, boxes) in content.items():
        of = job.partition("/")[0]
        held.append(DatasetFrame(frame.id, of, content_id(frame.id, number), "train"))
        places = [(float(n), 1.0, 2.0, 3.0) for n in range(boxes)]
        rows[frame.id] = [Annotation(content_id(frame.id, repr(xywh)), frame.id, 1, xywh, of) for xywh in places]
    datasets.replace_frames(connection, number, held, rows)
    return made


def trained(connection, number: int, on: DatasetVersion, minute: int, kind: str = "yolo") -> str:
    model = Model(content_id("model", number), kind, f"models/{number}.onnx", ("person",), on.id)
    run = begun(connection, "retrain", minute)
    models.add_model(connection, model, run_id=run.id, weights_key=None, registered_at=at(minute))
    return model.id


def test_a_round_is_written_and_read(database):
    one = Round(
        number=1,
        begun_at=at(1),
        ended_at=at(2),
        version=3,
        pool=9,
        chosen=4,
        frames=3,
        boxes=7,
        imported=0,
        jobs=1,
        jobs_timed=1,
        minutes=2.5,
        metrics={"map50": {"value": 0.5, "low": None, "high": None}},
        cpu_s={"filter": 1.25},
    )
    with database.write() as connection:
        rounds.put(connection, one)
        rounds.put(connection, Round(2, at(3)))
        rounds.put(connection, replace(one, stop={"told": "not worth it"}))
        assert rounds.told(connection) == [replace(one, stop={"told": "not worth it"}), Round(2, at(3))]


def test_endings_are_the_versions_that_were_trained_on_each_newer_than_the_last(database):
    with database.write() as connection:
        models.add_classes(connection, ["person"])
        v1, v2, v3 = (version(connection, number, {}, number) for number in (1, 2, 3))
        assert rounds.endings(connection, "yolo") == []
        first = trained(connection, 1, v1, 10)
        again = trained(connection, 2, v1, 11)
        other = trained(connection, 3, v1, 12, "rfdetr")
        third = trained(connection, 4, v3, 13)
        # An experiment with older data ends no round.
        trained(connection, 5, v2, 14)
        assert rounds.endings(connection, "yolo") == [Ending(1, again, at(11)), Ending(3, third, at(13))]
        assert rounds.endings(connection, "rfdetr")[0] == Ending(1, other, at(12))
        assert first != again


def test_choices_belong_to_the_round_in_which_they_were_made(database):
    with database.write() as connection:
        footage.add_frames(connection, FRAMES)
        assert rounds.choice(connection, "", None) is None
        chosen(connection, FRAMES[:2], 1)
        in_a_task(connection, FRAMES[:2], 2)
        chosen(connection, FRAMES[2:4], 5)
        chosen(connection, FRAMES[3:5], 6)
        in_a_task(connection, FRAMES[3:4], 7)
        assert rounds.choice(connection, "", at(4)) == Choice(at(1), None, 6, 2, 2)
        assert rounds.choice(connection, at(4), None) == Choice(at(5), None, 6, 3, 1)
        since = rounds.choices_since(connection, at(4))
        assert since == {FRAMES[2].id: (2.0, False), FRAMES[3].id: (2.0, True), FRAMES[4].id: (2.0, False)}


def test_only_new_frames_are_labelled_in_a_round(database):
    with database.write() as connection:
        models.add_classes(connection, ["person"])
        footage.add_frames(connection, FRAMES)
        one, two = in_a_task(connection, FRAMES[:2], 1), in_a_task(connection, FRAMES[2:4], 2)
        elsewhere = in_a_task(connection, FRAMES[4:], 3, f"{tables.IMPORT}old")
        version(connection, 1, {f"{one}/0": (FRAMES[0], 2)}, 5)
        # The second frame of the first job comes late; its first one was corrected meanwhile.
        version(
            connection,
            2,
            {
                f"{one}/0": (FRAMES[0], 3),
                f"{one}/1": (FRAMES[1], 1),
                f"{two}/0": (FRAMES[2], 0),
                f"{elsewhere}/0": (FRAMES[4], 5),
            },
            6,
        )
        assert rounds.labelled(connection, 0, 1) == [JobPart(one, False, True, 1, 2)]
        parts = {part.job_id: part for part in rounds.labelled(connection, 1, 2)}
        assert parts == {
            one: JobPart(one, False, False, 1, 1),
            two: JobPart(two, False, True, 1, 0),
            elsewhere: JobPart(elsewhere, True, True, 1, 5),
        }
        count = connection.scalar(sa.select(sa.func.count()).select_from(tables.dataset_frames))
        assert count == 5


def test_a_lock_that_is_held_is_not_waited_for(database):
    with database.alone_if_free("run") as first:
        assert first
        with database.alone_if_free("run") as second:
            assert not second
        with database.alone_if_free("another") as other:
            assert other
    with database.alone_if_free("run") as again:
        assert again
