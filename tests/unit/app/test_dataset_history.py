"""``dataset log``, ``show``, ``diff`` and ``stats`` on a small workspace with two versions."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from drawn_workspace import CLASSES, Workspace, truth

from data_engine.app.annotation.review import accept, reject, submit
from data_engine.app.annotation.upload import upload
from data_engine.app.dataset import dataset_diff
from data_engine.app.dataset.dataset_log import log
from data_engine.app.dataset.dataset_show import show
from data_engine.app.dataset.dataset_stats import stats
from data_engine.app.dataset.dataset_versions import find_version
from data_engine.app.merge.export import export
from data_engine.cli.main import main
from data_engine.cli.output import as_data, write_report
from data_engine.errors import MissingInputError, UsageError

UPLOAD = {"task_size": 8, "job_size": 2, "assignee": ["ann@example.com"]}


def once_more(frame):
    """What the second opinion is: the first box 3 px to the right, all others gone, and one more far from it."""
    (label, (x, y, w, h)), *_others = truth(frame)
    return [(label, (x + 3.0, y, w, h)), (CLASSES[0], (50.0 if x < 30 else 1.0, 1.0, 4.0, 5.0))]


def opened(engine, job: int, seen) -> None:
    from data_engine.demo.people import _correct, _frames

    backend = engine.backend()
    _correct(Path(backend.link_of(job)), _frames(engine, backend.job(job).task_id), seen)
    submit(engine, job)
    accept(engine, [job], by="rev")


@pytest.fixture(scope="module")
def engine(tmp_path_factory, new_clock):
    """v1: three of four jobs; v2: the second job's frames look otherwise, and the fourth job's have come."""
    with ExitStack() as stack:
        workspace = Workspace(tmp_path_factory.mktemp("history") / "hall", new_clock(), stack)
        yield two_versions(workspace)


def two_versions(workspace):
    made = workspace.open(upload=UPLOAD, export={"valid_fraction": 0.5})
    upload(made, frames=workspace.draw("in", range(8)))
    jobs = [job.id for job in made.backend().jobs()]
    for job in jobs[:3]:
        opened(made, job, truth)
    export(made)
    reject(made, jobs[1], "look again", by="rev")
    opened(made, jobs[1], once_more)
    opened(made, jobs[3], truth)
    assert export(made).data["version"] == "v2"
    return made


def master(engine, version: int) -> dict[str, list[tuple[int, tuple[float, ...]]]]:
    """Boxes of the version's file, by file name."""
    read = json.loads((engine.root / f"master_dataset/master_dataset_v{version}.json").read_text("utf-8"))
    names = {image["id"]: image["file_name"] for image in read["images"]}
    found = {name: [] for name in names.values()}
    for box in read["annotations"]:
        found[names[box["image_id"]]].append((box["category_id"], tuple(box["bbox"])))
    return found


def test_a_version_is_found_by_number_and_by_the_beginning_of_its_id(engine):
    newest = find_version(engine)
    assert newest.number == 2
    for text in ("v2", "2", "V2", " v2 ", "v02", newest.id, newest.id[:6], newest.id[:5].upper()):
        assert find_version(engine, text) == newest
    assert find_version(engine, "v1").id == newest.parent_id
    for text in ("v3", "two", "", newest.id[:3] + "x"):
        with pytest.raises(MissingInputError, match="there is no dataset version") as caught:
            find_version(engine, text)
        assert caught.value.hint == "dataengine dataset log"
        assert "v" in caught.value.message.split("among them")[1]


def test_without_a_version_every_command_says_what_makes_one(workspace):
    bare = workspace.open()
    for call in (find_version, show, stats, dataset_diff.diff):
        with pytest.raises(MissingInputError) as caught:
            call(bare)
        assert caught.value.hint == "run first: dataengine export"
    assert (log(bare).title, log(bare).next) == ("0 dataset versions", "dataengine export")


def test_an_id_that_begins_as_two_do_is_not_guessed(engine, monkeypatch):
    from data_engine.app.dataset import dataset_versions
    from data_engine.types import DatasetVersion

    twins = [DatasetVersion(f"abcd{n}", n, None, 1, 1, "k") for n in (1, 2)]
    monkeypatch.setattr(dataset_versions.datasets, "versions", lambda _connection: twins)
    with pytest.raises(UsageError, match="several ids of dataset versions begin with 'abcd': v1, v2"):
        find_version(engine, "abcd")
    assert find_version(engine, "abcd1").number == 1


def test_the_difference_is_that_of_the_files(engine):
    old, new = master(engine, 1), master(engine, 2)
    changed = {name for name in old if old[name] != new[name]}
    added = new.keys() - old.keys()
    assert (len(changed), len(added)) == (2, 2)
    report = dataset_diff.diff(engine)
    assert (report.data["from"], report.data["to"]) == ("v1", "v2")
    counts = {name: report.data[name] for name in ("frames_added", "frames_removed", "frames_changed")}
    assert counts == {"frames_added": 2, "frames_removed": 0, "frames_changed": 2}
    gone = sum(len(old[name]) - 1 for name in changed)
    assert report.data["boxes_moved"] == report.data["boxes_changed"] == 2
    assert report.data["boxes_removed"] == gone
    assert report.data["boxes_added"] == 2 + sum(len(new[name]) for name in added)
    assert sum(row["balance"] for row in report.tables["classes"]) == sum(map(len, new.values())) - sum(
        map(len, old.values())
    )
    (camera,) = report.tables["cameras"]
    assert (camera["camera"], camera["frames_changed"], camera["boxes_removed"]) == ("in", 2, gone)
    moved = [row for row in report.rows if row["change"] == "moved"]
    assert {row["frame"] for row in moved} == changed
    assert all(row["detail"].endswith(", 3 px") and row["by"] == "ann@example.com" for row in moved)
    assert {row["frame"] for row in report.rows if row["change"] == "frame added"} == added
    every = list(report.every_row())
    assert {row["frame"]: row["change"] for row in every} == dict.fromkeys(changed, "changed") | dict.fromkeys(
        added, "added"
    )
    for row in every:
        after = {(box["class_after"], tuple(box["xywh_after"])) for box in row["boxes"] if box["xywh_after"]}
        assert after <= {(CLASSES[number - 1], place) for number, place in new[row["frame"]]}
    assert sum(box["moved_px"] == 3.0 for row in every for box in row["boxes"]) == 2


def test_the_other_way_round_it_is_taken_back(engine):
    there, back = dataset_diff.diff(engine, "v1", "v2"), dataset_diff.diff(engine, "v2", "v1")
    for what in ("frames", "boxes"):
        assert back.data[f"{what}_added"] == there.data[f"{what}_removed"]
        assert back.data[f"{what}_removed"] == there.data[f"{what}_added"]
        assert back.data[f"{what}_changed"] == there.data[f"{what}_changed"]
    same = dataset_diff.diff(engine, "v2", "v2")
    assert (same.title, same.rows, list(same.every_row())) == ("v2 -> v2: they hold the same boxes", (), [])


def test_the_first_version_has_nothing_to_be_compared_with(engine):
    with pytest.raises(MissingInputError, match="v1 is the first"):
        dataset_diff.diff(engine, None, "v1")
    assert dataset_diff.diff(engine, "v1").data["to"] == "v2"


def test_a_table_is_limited_and_the_json_is_not(engine, capsys):
    whole = dataset_diff.diff(engine)
    short = dataset_diff.diff(engine, limit=1)
    assert len(short.rows) == 1 < len(whole.rows)
    assert short.notes == (
        f"the table has the first 1 of {len(whole.rows)} rows: --limit {len(whole.rows)} or --json tells all",
    )
    assert short.data == whole.data
    assert whole.notes == ()
    write_report(short, as_json=True, quiet=True)
    told = json.loads(capsys.readouterr().out)
    assert [row["frame"] for row in told["rows"]] == [row["frame"] for row in whole.every_row()]
    assert {name: told[name] for name in short.data} == dict(short.data)
    write_report(short, as_json=False, quiet=False)
    lines = capsys.readouterr().out.splitlines()
    assert "classes:" in lines
    assert next(line for line in lines if ".jpg" in line).split()[2] == "moved"
    assert sum(".jpg" in line for line in lines) == 1


def test_a_page_shows_both_versions_of_a_frame(engine):
    page = engine.root / "changes.html"
    report = dataset_diff.diff(engine, pictures=page)
    text = page.read_text("utf-8")
    assert report.data["pictures"].endswith("changes.html")
    assert "<script" not in text
    changed = {row["frame"] for row in report.every_row()}
    assert all(name in text for name in changed)
    assert text.count("data:image/jpeg") == len(changed)
    assert text.count('class="rare"') >= 2 <= text.count('class="c0"')
    assert text == (dataset_diff.diff(engine, pictures=page), page.read_text("utf-8"))[1]
    with pytest.raises(UsageError, match="is a folder"):
        dataset_diff.diff(engine, pictures=engine.root)


def test_a_picture_that_is_gone_leaves_its_boxes(engine):
    page, picture = engine.root / "changes.html", engine.root / "in" / "pc.jpg"
    kept = picture.read_bytes()
    picture.unlink()
    dataset_diff.diff(engine, pictures=page)
    picture.write_bytes(kept)
    assert "this picture could not be read: pc_" in page.read_text("utf-8")


def test_the_log_tells_what_every_version_changed(engine):
    report = log(engine)
    rows = list(report.every_row())
    assert [row["version"] for row in rows] == ["v2", "v1"]
    newest, first = rows
    difference = dataset_diff.diff(engine).data
    for what in ("frames", "boxes"):
        for kind in ("added", "changed", "removed"):
            assert newest[f"{what}_{kind}"] == difference[f"{what}_{kind}"]
            assert first[f"{what}_{kind}"] == (first[what] if kind == "added" else 0)
    assert (newest["parent"], first["parent"]) == ("v1", None)
    assert newest["by"] == "export (valid_fraction 0.5)"
    assert [row["version"] for row in report.rows] == ["v2", "v1"]
    assert report.rows[0]["frames_changed"] == "+2 ~2 -0"


def test_a_version_is_shown_with_all_hands_and_files(engine):
    held = master(engine, 2)
    total = sum(map(len, held.values()))
    report = show(engine)
    assert (report.data["version"], report.data["parent"], report.data["boxes"]) == ("v2", "v1", total)
    assert {row["annotator"]: row["boxes"] for row in report.tables["annotators"]} == {"ann@example.com": total}
    assert {row["reviewer"]: row["boxes"] for row in report.tables["reviewers"]} == {"rev": total}
    assert {row["model"]: row["boxes"] for row in report.tables["proposed_by"]} == {"drawn by people": total}
    assert {row["class"]: row["boxes"] for row in report.tables["classes"]} == {
        name: sum(number == CLASSES.index(name) + 1 for boxes in held.values() for number, _place in boxes)
        for name in CLASSES
    }
    assert sum(row["frames"] for row in report.tables["sides"]) == len(held) == 8
    assert [row["there"] for row in report.tables["files"]] == [True] * 3
    assert report.notes == ()
    side = engine.root / "master_dataset/valid.json"
    kept = side.read_bytes()
    side.unlink()
    report = show(engine)
    side.write_bytes(kept)
    assert [row["there"] for row in report.tables["files"]] == [True, True, False]
    assert report.notes == ("files of the version are not there: dataengine dataset verify v2",)
    older = show(engine, "v1")
    assert (older.data["parent"], len(older.tables["files"])) == (None, 1)
    assert as_data(older)["files"][0]["bytes"] > 0


def test_statistics_are_those_of_the_file(engine):
    held = master(engine, 2)
    places = [(number, w * h) for boxes in held.values() for number, (_x, _y, w, h) in boxes]
    report = stats(engine)
    rows = {row["class"]: row for row in report.tables["classes"]}
    for number, name in enumerate(CLASSES, 1):
        areas = [area for found, area in places if found == number]
        assert rows[name]["boxes"] == len(areas) == rows[name]["train"] + rows[name]["valid"]
        assert (rows[name]["small"], rows[name]["medium"], rows[name]["large"]) == (len(areas), 0, 0)
        assert rows[name]["frames"] == sum(any(found == number for found, _place in boxes) for boxes in held.values())
    counts = sorted(map(len, held.values()))
    assert report.data["boxes_a_frame"] == pytest.approx(sum(counts) / 8)
    assert report.data["median_a_frame"] == (counts[3] + counts[4]) / 2
    assert (report.data["most_on_a_frame"], report.data["empty_frames"]) == (counts[-1], 0)
    rarest = min(CLASSES, key=lambda name: rows[name]["boxes"])
    assert (report.data["rarest_class"], report.data["rarest_boxes"]) == (rarest, rows[rarest]["boxes"])
    assert report.data["rarest_share"] == pytest.approx(rows[rarest]["boxes"] / len(places))
    assert [dict(row) for row in report.tables["picture_sizes"]] == [{"size": "64 x 48", "frames": 8}]
    assert [dict(row) for row in report.rows] == [
        {"camera": "in", "day": None, "frames": 8, "boxes": len(places), "empty_frames": 0}
    ]
    assert sum(row["frames"] for row in report.tables["boxes_on_a_frame"]) == 8


def test_a_class_without_a_box_is_named_and_is_not_the_rarest(workspace):
    made = workspace.open(upload=UPLOAD)
    upload(made, frames=workspace.draw("in", range(2)))
    opened(made, 1, lambda frame: [(CLASSES[0], (1.0, 1.0, 40.0, 40.0))])
    export(made)
    report = stats(made)
    assert report.data["rarest_class"] == CLASSES[0]
    assert report.notes == (f"1 class without a box: {CLASSES[1]}",)
    assert {row["class"]: row["medium"] for row in report.tables["classes"]} == {CLASSES[0]: 2, CLASSES[1]: 0}


def test_the_commands_are_those_of_the_command_line(engine, capsys, monkeypatch):
    monkeypatch.chdir(engine.root)
    told = {}
    for words in (["log"], ["show"], ["show", "v1"], ["diff"], ["diff", "2", "1", "--limit", "0"], ["stats", "v1"]):
        assert main(["dataset", *words, "--json"]) == 0
        told[" ".join(words)] = json.loads(capsys.readouterr().out)
    assert [row["version"] for row in told["log"]["rows"]] == ["v2", "v1"]
    assert (told["show"]["version"], told["show v1"]["version"], told["stats v1"]["version"]) == ("v2", "v1", "v1")
    back = told["diff 2 1 --limit 0"]
    assert (back["from"], back["to"], back["frames_removed"]) == ("v2", "v1", told["diff"]["frames_added"])
    assert len(back["rows"]) == len(told["diff"]["rows"]) == 4
    assert main(["dataset", "stats", "v9"]) == 3
    error = capsys.readouterr().err
    assert "there is no dataset version 'v9'" in error
    assert "hint: dataengine dataset log" in error
    assert main(["dataset", "diff", "--pictures", str(engine.root)]) == 2
