"""What the database says distinguishes two versions, on SQLite and PostgreSQL, against reading both versions whole."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from data_engine.lineage import datasets, footage, tables, version_counts, version_history, work
from data_engine.lineage import version_changes as changes
from data_engine.lineage.database import Database, insert_new
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.work import Run
from data_engine.stages.dataset_diff import compare
from data_engine.types import Annotation, DatasetVersion, Frame, content_id

NOW = "2026-01-01T00:00:00+00:00"
FRAMES, VERSIONS, CAMERAS, CLASSES = 40, 8, 3, 3


def boxes_of(draw: random.Random, frame_id: str, job: str) -> list[Annotation]:
    found = {}
    for _ in range(draw.randrange(5)):
        category, x = 1 + draw.randrange(CLASSES), float(draw.randrange(6)) * 10
        identity = content_id("annotation", frame_id, job, category, repr(x))
        proposal = content_id("proposal", draw.randrange(4)) if draw.random() < 0.5 else None
        found[identity] = Annotation(
            identity, frame_id, category, (x, 5.0, 31.0, 40.0), job, proposal_id=proposal, change="added"
        )
    return list(found.values())


def content_of(boxes: list[Annotation]) -> str:
    return content_id("boxes", *sorted(f"{box.category_id} {box.xywh}" for box in boxes))


@pytest.fixture
def history(database: Database) -> Database:
    """Frames that come, change, change sides, leave and come back, from version to version; the same job or another."""
    draw = random.Random(1)
    made = [
        Frame(content_id("frame", n), f"gate_{n:02d}.jpg", f"f/{n}.jpg", 64, 48, f"camera{n % CAMERAS}")
        for n in range(FRAMES)
    ]
    run = Run(content_id("run"), "export", content_id("run"), {}, "0.1")
    with database.write() as connection:
        work.start(connection, run, NOW)
        footage.add_frames(connection, made)
        rows = [{"id": n, "name": f"class{n}", "supercategory": "object"} for n in range(1, CLASSES + 1)]
        insert_new(connection, tables.categories, rows)
        jobs = [content_id("job", number) for number in (1, 2)]
        task = {"id": content_id("task"), "backend": "local", "number": 1, "name": "t", "plan": {}, "run_id": run.id}
        insert_new(connection, tables.tasks, [task])
        stand = {"stage": "acceptance", "state": "completed", "updated_at": NOW}
        rows = [
            {"id": job, "backend": "local", "number": number, "task_id": task["id"], **stand}
            for number, job in enumerate(jobs, 1)
        ]
        insert_new(connection, tables.jobs, rows)
        held: dict[str, tuple[DatasetFrame, list[Annotation]]] = {}
        parent = None
        for number in range(1, VERSIONS + 1):
            changed, dropped = {}, []
            for frame in made:
                happens = draw.random()
                if happens < 0.35:
                    job = draw.choice(jobs)
                    boxes = boxes_of(draw, frame.id, job)
                    if frame.id in held and draw.random() < 0.4:  # one box is taken away, all others stay
                        job = held[frame.id][0].job_id
                        boxes = held[frame.id][1][1:]
                    side = draw.choice(("train", "train", "valid"))
                    changed[frame.id] = (DatasetFrame(frame.id, job, content_of(boxes), side), boxes)
                elif happens < 0.5 and frame.id in held:
                    dropped.append(frame.id)
            held = {**{key: value for key, value in held.items() if key not in dropped}, **changed}
            datasets.replace_frames(
                connection,
                number,
                [entry for entry, _boxes in changed.values()],
                {key: boxes for key, (_entry, boxes) in changed.items()},
                dropped,
            )
            count = sum(len(boxes) for _entry, boxes in held.values())
            version = DatasetVersion(content_id("version", number), number, parent, len(held), count, f"v{number}")
            datasets.add_version(connection, version, run_id=run.id, created_at=NOW)
            parent = version.id
    return database


PAIRS = [(1, 2), (2, 3), (5, 6), (1, 8), (8, 1), (4, 2), (3, 3)]


@pytest.mark.required
def test_a_difference_is_that_of_both_versions_read_whole(history):
    with history.read() as connection:
        met: Counter[str] = Counter()
        for pair in PAIRS:
            met.update(check_difference(connection, pair))
    # Everything that can happen to a frame happened to some.
    assert min(met[what] for what in ("added", "removed", "changed", "sides", "anew")) > 0


def check_difference(connection, pair) -> dict[str, int]:
    """Compare, and tell what happened to how many frames."""
    first, second = pair
    old, new = (datasets.frames_of(connection, number) for number in pair)
    old_boxes, new_boxes = (datasets.boxes_of(connection, number) for number in pair)
    frames = footage.frames_by_id(connection, {*old, *new})
    for kind, here, there, boxes in (("added", new, old, new_boxes), ("removed", old, new, old_boxes)):
        expected = sorted(here.keys() - there.keys(), key=lambda i: frames[i].name)
        steps = list(changes.steps(connection, kind, *pair))
        assert [step.frame_id for step in steps] == expected
        for step in steps:
            got = step.after if kind == "added" else step.before
            assert {box.id for box in got} == {box.id for box in boxes.get(step.frame_id, ())}
            assert {step.side_before, step.side_after} == {None, here[step.frame_id].split}
        shares = changes.shares(connection, kind, *pair)
        assert {(s.camera, s.split): (s.frames, s.boxes) for s in shares} == {
            key: (len(ids), sum(len(boxes.get(i, ())) for i in ids))
            for key, ids in grouped(expected, lambda i, here=here: (frames[i].camera, here[i].split)).items()
        }
        classes = Counter(box.category_id for i in expected for box in boxes.get(i, ()))
        assert changes.class_shares(connection, kind, *pair) == classes
    steps = list(changes.steps(connection, "changed", *pair))
    both = sorted(old.keys() & new.keys(), key=lambda i: frames[i].name)
    assert [step.frame_id for step in steps] == [
        i for i in both if (old[i].content, old[i].split) != (new[i].content, new[i].split)
    ]
    for step in steps:
        assert (step.side_before, step.side_after) == (old[step.frame_id].split, new[step.frame_id].split)
        whole = compare(old_boxes.get(step.frame_id, ()), new_boxes.get(step.frame_id, ()))
        assert compare(step.before, step.after) == whole
    rows = {
        number: {row.frame_id: row.since for row in connection.execute(tables.dataset_frames.select().where(
            changes.holds(tables.dataset_frames, number)
        ))}
        for number in pair
    }  # fmt: skip
    anew = [
        i
        for i in both
        if rows[first][i] != rows[second][i] and (old[i].content, old[i].split) == (new[i].content, new[i].split)
    ]
    assert changes.accepted_anew(connection, *pair) == len(anew)
    return {
        "added": len(new.keys() - old.keys()),
        "removed": len(old.keys() - new.keys()),
        "changed": len(steps),
        "sides": sum(step.side_before != step.side_after for step in steps),
        "anew": len(anew),
    }


@pytest.mark.required
def test_the_log_of_all_versions_is_the_sum_of_their_differences(history):
    with history.read() as connection:
        frames, boxes = version_history.frame_moves(connection), version_history.box_moves(connection)
        counted: Counter[tuple[int, str]] = Counter()
        for number, (ended, begun) in version_history.changed_boxes(connection):
            counted.update((number, change.kind) for change in compare(ended, begun))
        for number in range(1, VERSIONS + 1):
            pair = number - 1, number
            shares = {kind: changes.shares(connection, kind, *pair) for kind in ("added", "removed")}
            steps = list(changes.steps(connection, "changed", *pair))
            moves = frames[number]
            assert moves.begun - moves.both == sum(share.frames for share in shares["added"])
            assert moves.ended - moves.both == sum(share.frames for share in shares["removed"])
            assert moves.changed == len(steps)
            told = Counter(change.kind for step in steps for change in compare(step.before, step.after))
            assert counted[number, "changed"] == told["changed"]
            assert boxes[number].begun == sum(share.boxes for share in shares["added"])
            assert boxes[number].ended == sum(share.boxes for share in shares["removed"])
            assert (counted[number, "added"], counted[number, "removed"]) == (told["added"], told["removed"])
        records = version_history.records(connection)
        assert [(record.version, record.stage) for record in records] == [
            (version, "export") for version in datasets.versions(connection)
        ]


@pytest.mark.required
def test_what_a_version_holds_is_counted_as_if_it_were_read(history):
    with history.read() as connection:
        for number in (1, 4, VERSIONS):
            held, boxes = datasets.frames_of(connection, number), datasets.boxes_of(connection, number)
            frames = footage.frames_by_id(connection, held)
            groups = version_counts.frame_groups(connection, number)
            got = Counter({(g.camera, g.day, g.split, g.size, g.boxes): g.frames for g in groups})
            assert got == Counter(
                (frames[i].camera, None, entry.split, (64, 48), len(boxes.get(i, ()))) for i, entry in held.items()
            )
            classes = {
                (g.category_id, g.split): (g.frames, g.boxes) for g in version_counts.class_groups(connection, number)
            }
            every = [(box.category_id, held[i].split, i) for i, found in boxes.items() for box in found]
            assert classes == {
                key: (len({i for *_key, i in rows}), len(rows)) for key, rows in grouped(every, lambda r: r[:2]).items()
            }
            sizes = Counter((box.category_id, "medium") for found in boxes.values() for box in found)
            assert version_counts.size_counts(connection, number) == sizes
            (hands,) = version_counts.hand_groups(connection, number)
            assert (hands.change, hands.boxes, hands.annotator) == ("added", len(every), None)


def grouped(values, key):
    found = {}
    for value in values:
        found.setdefault(key(value), []).append(value)
    return found
