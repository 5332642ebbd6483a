"""Two accepted jobs on one frame: merged box by box where they can be, and never overwritten without a record."""

from __future__ import annotations

import pytest
from two_tasks import LEFT, LOW, RIGHT, held, moved, rows_of, say, two_jobs

from data_engine.app.annotation.review import accept, reject, submit
from data_engine.app.merge.export import export
from data_engine.app.merge.export_conflicts import open_rows
from data_engine.app.merge.export_dry_run import try_export
from data_engine.errors import ConflictError
from data_engine.lineage import conflicts
from data_engine.lineage.tables import merge_conflicts


def recorded(engine):
    with engine.database.read() as connection:
        return [conflicts.Recorded(**row._mapping) for row in connection.execute(merge_conflicts.select())]


def open_ones(engine):
    with engine.database.read() as connection:
        return open_rows(connection)


def test_jobs_that_say_something_of_different_boxes_are_merged(workspace):
    engine, one, two = two_jobs(workspace)
    say(engine, one, [LEFT, LOW], [LEFT])
    export(engine)
    # The same box drawn by both is one box, whoever came first.
    say(engine, two, [moved(LEFT, 0.01), RIGHT], [LEFT])
    report = export(engine)
    assert held(engine, 2) == [{LEFT, LOW, RIGHT}, {LEFT}]
    assert (report.data["frames_changed"], report.data["frames_of_several_jobs"]) == (1, 1)
    assert (recorded(engine), "frames_disputed" in report.data) == ([], False)
    assert export(engine).data["new"] is False


def test_both_at_once_end_as_one_after_the_other(workspace):
    engine, one, two = two_jobs(workspace)
    say(engine, one, [LEFT, LOW], [LEFT])
    say(engine, two, [RIGHT], [moved(LEFT, 3)])
    report = export(engine)
    assert held(engine, 1) == [{LEFT, LOW, RIGHT}, {moved(LEFT, 3)}]
    assert (report.data["frames_disputed"], len(recorded(engine))) == (1, 1)


@pytest.mark.parametrize("policy", ["newest", "both"])
def test_a_box_that_both_drew_otherwise_is_recorded_with_both_sides(workspace, policy):
    engine, one, two = two_jobs(workspace, export={"on_conflict": policy})
    say(engine, one, [LEFT, LOW], [LEFT])
    export(engine)
    say(engine, two, [moved(LEFT, 3), RIGHT], [LEFT])
    report = export(engine)
    (record,) = recorded(engine)
    assert (record.kinds, record.policy, record.kept) == (
        ["drawn by both"],
        policy,
        "theirs" if policy == "newest" else "ours",
    )
    assert sorted(record.theirs) == sorted([[1, *moved(LEFT, 3)[1], False], [1, *RIGHT[1], False]])
    assert sorted(record.ours) == sorted([[1, *LEFT[1], False], [2, *LOW[1], False]])
    assert report.data["frames_disputed"] == 1
    (said,) = [note for note in report.notes if "disagree" in note]
    assert f"job {two} and job {one} disagree (1 box drawn by both)" in said
    if policy == "newest":
        assert held(engine, 2)[0] == {moved(LEFT, 3), RIGHT, LOW}
        assert open_ones(engine) == []
    else:
        # Nothing else changed: the dataset stays as it is, and somebody has to look.
        assert (report.data["version"], report.data["new"]) == ("v1", False)
        assert [(row["said"], row["held"], row["version"]) for row in open_ones(engine)] == [
            (f"job {two}", f"job {one}", "v1")
        ]
        (waits,) = [note for note in export(engine).notes if "kept as before" in note]
        assert f"(job {two}, job {one})" in waits
    assert (export(engine).data["new"], len(recorded(engine))) == (False, 1)


def test_what_was_kept_for_review_is_settled_by_who_is_accepted_next(workspace):
    engine, one, two = two_jobs(workspace, export={"on_conflict": "both"})
    say(engine, one, [LEFT], [])
    export(engine)
    say(engine, two, [moved(LEFT, 3)], [])
    export(engine)
    assert len(open_ones(engine)) == 1
    say(engine, one, [moved(LEFT, 3)], [])
    export(engine)
    assert (held(engine, 2), open_ones(engine)) == ([{moved(LEFT, 3)}, set()], [])


def test_asking_takes_the_side_that_is_named_and_without_anybody_to_ask_nothing_is_merged(workspace):
    engine, one, two = two_jobs(workspace, export={"on_conflict": "ask"})
    say(engine, one, [LEFT], [LEFT])
    export(engine)
    say(engine, two, [moved(LEFT, 3)], [moved(LEFT, 4), LOW])
    before = rows_of(engine)
    with pytest.raises(ConflictError) as caught:
        export(engine)
    assert caught.value.message.startswith("accepted jobs disagree on 2 frames: pa")
    assert "--on-conflict newest" in caught.value.hint
    assert "--on-conflict both" in caught.value.hint
    unlike = {name for name, rows in rows_of(engine).items() if rows != before[name]}
    assert unlike <= {"acceptances"}
    asked = []

    def ask(question, rows, answers):
        asked.append((question, [(row["side"], row["class"], row["left"]) for row in rows]))
        return answers[len(asked) - 1]

    export(engine, ask=ask)
    assert [sides for _question, sides in asked] == [
        [(f"job {two}", "person", 5.0), (f"job {one}", "person", 2.0)],
        [(f"job {two}", "person", 6.0), (f"job {two}", "helmet", 20.0), (f"job {one}", "person", 2.0)],
    ]
    assert held(engine, 2) == [{moved(LEFT, 3)}, {LEFT}]
    assert [record.kept for record in sorted(recorded(engine), key=lambda r: r.kept)] == ["ours", "theirs"]


def test_both_keeps_the_frame_as_it_was_also_when_its_own_job_said_something_new(workspace):
    engine, one, two = two_jobs(workspace, export={"on_conflict": "both"})
    say(engine, one, [LEFT], [LEFT])
    export(engine)
    say(engine, one, [moved(LEFT, 2)], [LEFT])
    say(engine, two, [moved(LEFT, 5)], [RIGHT])
    report = export(engine)
    assert held(engine, 2) == [{LEFT}, {LEFT, RIGHT}]
    assert report.data["frames_disputed"] == 1
    (conflict,) = recorded(engine)
    assert {box[1] for box in (*conflict.theirs, *conflict.ours)} == {4.0, 7.0}
    assert any("review requeue --frame" in note for note in report.notes)


def test_boxes_of_a_job_that_is_opened_again_leave_a_frame_of_both(workspace):
    engine, one, two = two_jobs(workspace)
    say(engine, one, [LEFT], [LEFT])
    say(engine, two, [RIGHT], [LEFT])
    export(engine)
    assert held(engine, 1) == [{LEFT, RIGHT}, {LEFT}]
    reject(engine, one, "look again", by="rev@example.com")
    export(engine)
    assert held(engine, 2) == [{RIGHT}, {LEFT}]
    submit(engine, one)
    accept(engine, [one], by="rev@example.com")
    export(engine)
    assert held(engine, 3) == [{LEFT, RIGHT}, {LEFT}]


def test_a_job_that_is_accepted_anew_changes_its_own_boxes_and_leaves_the_others(workspace):
    engine, one, two = two_jobs(workspace)
    say(engine, one, [LEFT], [LEFT])
    export(engine)
    say(engine, two, [RIGHT], [LEFT])
    export(engine)
    # Reopened after it was merged, while another changed the frame: its base is what it gave.
    say(engine, one, [moved(LEFT, 2), LOW], [LEFT])
    report = export(engine)
    assert held(engine, 3) == [{moved(LEFT, 2), RIGHT, LOW}, {LEFT}]
    assert "frames_disputed" not in report.data
    say(engine, one, [], [LEFT])
    export(engine)
    assert held(engine, 4) == [{RIGHT}, {LEFT}]


def test_a_dry_run_says_what_would_come_and_leaves_no_trace(workspace):
    engine, one, two = two_jobs(workspace)
    assert try_export(engine).title == "nothing was accepted yet: export would make no version"
    say(engine, one, [LEFT, LOW], [LEFT])
    first = try_export(engine)
    assert first.title == (
        "export would make dataset version v1: frames 2 added, 0 removed, 0 changed; "
        "boxes 3 added, 0 removed, 0 changed"
    )
    export(engine)
    say(engine, two, [moved(LEFT, 3), RIGHT], [LEFT])
    before = rows_of(engine)
    files = {path: path.stat().st_mtime_ns for path in engine.root.rglob("*.json") if path.is_file()}
    page = engine.root / "would be.html"
    found = try_export(engine, pictures=page)
    assert found.title == (
        "export would make dataset version v2: frames 0 added, 0 removed, 1 changed; "
        "boxes 1 added, 0 removed, 1 changed; 1 frame disputed"
    )
    assert sorted((row["change"], row["detail"]) for row in found.rows) == [
        ("box added", "person"),
        ("moved", "person, 3 px"),
    ]
    assert found.tables["classes"] == ({"class": "person", "added": 1, "removed": 0, "changed": 1},)
    assert "disagree" in found.tables["disputes"][0]["dispute"]
    assert b"<svg" in page.read_bytes()
    assert rows_of(engine) == before
    assert {path: path.stat().st_mtime_ns for path in engine.root.rglob("*.json") if path.is_file()} == files
    report = export(engine)
    assert (report.data["frames_changed"], report.data["frames_disputed"]) == (1, 1)
    assert try_export(engine).title == "nothing new since dataset version v2: export would make no version"


def test_a_dry_run_sends_no_job_back_that_was_changed_after_it_was_accepted(workspace):
    engine, one, _two = two_jobs(workspace)
    say(engine, one, [LEFT], [LEFT])
    backend = engine.backend()
    names = backend.job(one).frame_names
    from data_engine.types import Box

    backend.put_annotations(one, {names[0]: [Box(*RIGHT)]})
    before = rows_of(engine)
    found = try_export(engine)
    assert (found.data["jobs_in_doubt"], found.data["frames_added"]) == (1, 0)
    assert (backend.job(one).accepted, rows_of(engine) == before) == (True, True)
    assert export_sends_back(engine, one)


def export_sends_back(engine, job: int) -> bool:
    from data_engine.errors import MissingInputError

    with pytest.raises(MissingInputError, match="none of 2 jobs was accepted yet"):
        export(engine)
    return not engine.backend().job(job).accepted
