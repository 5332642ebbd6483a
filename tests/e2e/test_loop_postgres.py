"""The whole loop on PostgreSQL and on SQLite: the same rows, the same files, and every box can be followed back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from data_engine.app.annotation.preannotate import preannotate
from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.convert import convert
from data_engine.app.engine import open_engine
from data_engine.app.footage.sample import sample
from data_engine.app.init import init
from data_engine.app.merge.export import export
from data_engine.app.selection.filter import filter_frames
from data_engine.app.status import status
from data_engine.demo.footage import CLASSES, Footage, make_footage
from data_engine.demo.people import work
from data_engine.lineage.database import Database
from data_engine.lineage.tables import metadata

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT.parent / "shared" / "models" / "rfdetr_tiny.onnx"
PEOPLE = {"annotator": "Änne@example.com", "reviewer": "rev@example.com"}
OVERRIDES = {
    "sample": {"method": "interval", "interval": 0.5, "workers": 1},
    "filter": {"budget": 8, "tolerance": 0},
    # The model knows other drawings than these; that it proposes anything is what counts here.
    "preannotate": {"confidence": 0.05},
    "upload": {"task_size": 5, "job_size": 3, "assignee": ["a@example.com", "b@example.com"]},
    "predict": {"device": "cpu"},
}


class Silent:
    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


@dataclass(frozen=True)
class Loop:
    root: Path
    url: str

    @property
    def environ(self) -> dict[str, str]:
        return {"DATAENGINE_DATABASE_URL": self.url} if self.url else {}

    def database(self) -> Database:
        return Database(self.url or f"sqlite:///{self.root}/.dataengine/lineage.db")


def turn(loop: Loop, footage: Footage, clock: Any) -> None:
    """Round 0, and with the model a second one whose proposals people correct."""

    def truth(frame: Any) -> Any:
        clip = next(clip for clip in footage.clips if frame.name.startswith(f"{clip.name}_"))
        return footage.boxes_at(clip.name, frame.time_s)

    init(loop.root, classes=CLASSES, progress=Silent())
    for clip in footage.clips:
        target = loop.root / "videos_raw" / clip.file
        target.parent.mkdir(parents=True)
        target.write_bytes(footage.path(clip).read_bytes())
    with open_engine(
        loop.root, workspace=loop.root, overrides=OVERRIDES, progress=Silent(), environ=loop.environ, clock=clock
    ) as engine:
        for model in (None, MODEL) if MODEL.is_file() else (None,):
            sample(engine)
            filter_frames(engine, model=model)
            if model is not None:
                preannotate(engine, model=model)
            upload(engine)
            work(engine, truth, careless=True, **PEOPLE)
            export(engine)
            convert(engine)


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Footage:
    folder = tmp_path_factory.mktemp("footage")
    return make_footage(folder, seed=3, cameras=2, seconds=8.0, fps=Fraction(5), size=(320, 240))


@pytest.fixture(scope="module")
def loops(tmp_path_factory, new_postgres, new_clock, footage) -> dict[str, Loop]:
    """The loop on both databases, by the same clock."""
    made = {}
    for name, url in (("sqlite", ""), ("postgresql", new_postgres())):
        loop = made[name] = Loop(tmp_path_factory.mktemp(name) / "Werk 2 ä", url)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("DATAENGINE_DATABASE_URL", raising=False)
            for variable, value in loop.environ.items():
                patch.setenv(variable, value)
            turn(loop, footage, new_clock())
    return made


_OTHERWISE = {("files", "stamp"), ("category_changes", "at")}


def rows(loop: Loop) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, without what the file system or, before the loop, the real clock decides."""
    database = loop.database()
    found = {}
    with database.read() as connection:
        for table in metadata.sorted_tables:
            columns = [column for column in table.columns if (table.name, column.name) not in _OTHERWISE]
            listed = [dict(row._mapping) for row in connection.execute(sa.select(*columns))]
            found[table.name] = sorted(listed, key=lambda row: json.dumps(row, sort_keys=True, default=str))
    database.close()
    return found


def files(loop: Loop) -> dict[str, bytes]:
    return {
        # The marks of pictures in .converted.json hold the times of their files.
        path.relative_to(loop.root).as_posix(): re.sub(rb'"(\d+)-\d+"', rb'"\1-time"', path.read_bytes())
        if path.name == ".converted.json"
        else path.read_bytes()
        for path in sorted(loop.root.rglob("*"))
        # version_files.json holds stamps.
        if path.is_file() and not path.name.startswith(("lineage.db", "version_files.json"))
    }


@pytest.mark.required
def test_both_databases_hold_the_same(loops):
    lite, postgres = rows(loops["sqlite"]), rows(loops["postgresql"])
    assert lite.keys() == postgres.keys()
    for table in lite:
        assert lite[table] == postgres[table], table
    # What is compared is a loop that really turned.
    expected = {"videos", "frames", "sampled", "selections", "tasks", "jobs", "reviews", "annotations", "split_plans"}
    assert expected <= {table for table in lite if lite[table]}
    assert {run["stage"] for run in lite["runs"]} >= {"sample", "filter", "upload", "export", "convert"}
    assert {run["state"] for run in lite["runs"]} == {"done"}
    assert {review["action"] for review in lite["reviews"]} == {"submitted", "accepted", "rejected"}


@pytest.mark.required
def test_both_leave_the_same_files(loops):
    lite, postgres = files(loops["sqlite"]), files(loops["postgresql"])
    assert lite.keys() == postgres.keys()
    assert {name for name in lite if lite[name] != postgres[name]} == set()
    assert {"master_dataset/master_dataset_v1.json", "final_labels/yolo/data.yaml", "hard_frames.txt"} <= lite.keys()
    # With a server there is no embedded database beside it.
    assert not (loops["postgresql"].root / ".dataengine/lineage.db").exists()


WALK = """
select a.id, a.change, a.annotator, a.reviewer, a.x, a.y, a.w, a.h, a.since,
       c.name as label, j.number as job, t.number as task, t.name as task_name, tf.name as in_task,
       f.name as frame, f.pts, v.name as video, v.key as video_key, s.similarity,
       p.id as proposal, p.score, m.id as model, m.kind, r.stage, d.number as version
  from annotations a
  join categories c on c.id = a.category_id
  join jobs j on j.id = a.job_id
  join tasks t on t.id = j.task_id
  join runs r on r.id = t.run_id
  join task_frames tf on tf.task_id = t.id and tf.frame_id = a.frame_id
  join frames f on f.id = a.frame_id
  join sampled s on s.frame_id = f.id
  join videos v on v.id = f.video_id
  join dataset_versions d on d.number = a.since
  left join proposals p on p.id = a.proposal_id and p.task_id = t.id
  left join models m on m.id = p.model_id
 order by a.id, a.since
"""


@pytest.mark.required
@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_every_box_is_followed_back_to_its_video(name, loops, footage):
    database = loops[name].database()
    with database.read() as connection:
        walked = connection.execute(sa.text(WALK)).all()
        count = connection.scalar(sa.text("select count(*) from annotations"))
    database.close()
    # Inner joins all the way: a box that could not be followed would be missing here.
    assert len(walked) == count > 0
    clips = {clip.name: clip for clip in footage.clips}
    for box in walked:
        assert (box.annotator, box.reviewer) == (PEOPLE["annotator"], PEOPLE["reviewer"])
        assert box.stage == "upload"
        assert box.frame == box.in_task
        assert box.video_key == f"videos_raw/{clips[box.video].file}"
        assert box.label in CLASSES
        assert (box.proposal is None) == (box.change == "added") == (box.model is None)


@pytest.mark.required
def test_a_corrected_proposal_names_the_model_that_made_it(loops):
    if not MODEL.is_file():
        pytest.skip("the model is not beside this checkout")
    from data_engine.media.images import sha256_of

    database = loops["postgresql"].database()
    with database.read() as connection:
        walked = [box for box in connection.execute(sa.text(WALK)) if box.proposal is not None]
        shown = connection.execute(sa.text("select count(*) from proposals")).scalar()
        selected = connection.execute(sa.text("select number, model_id from selections order by number")).all()
    database.close()
    identity = sha256_of(MODEL)[:32]
    assert shown
    assert [tuple(row) for row in selected] == [(1, None), (2, identity)]
    assert walked
    assert {(box.model, box.kind, box.version) for box in walked} == {(identity, "rfdetr", 2)}
    assert all(0.05 <= box.score <= 1.0 for box in walked)


def command(loop: Loop, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("DATAENGINE_")}
    return subprocess.run(
        [sys.executable, "-m", "data_engine", *words],
        cwd=loop.root,
        env={**environ, **loop.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.required
def test_the_command_line_reads_the_same_from_both(loops):
    answers = {}
    for name, loop in loops.items():
        checked = command(loop, "db", "check", "--json")
        assert checked.returncode == 0, checked.stderr
        assert json.loads(checked.stdout)["dialect"] == name
        shown = command(loop, "status", "--json")
        assert shown.returncode == 0, shown.stderr
        answers[name] = json.loads(shown.stdout)
        for place in ("database", "workspace"):
            answers[name].pop(place)
        answers[name]["title"] = ""
    assert answers["sqlite"] == answers["postgresql"]


@pytest.mark.required
def test_two_engines_at_once_find_the_same_and_nothing_new(loops):
    """Another turn of the crank changes nothing, and a second connection sees what the first one wrote."""
    for loop in loops.values():
        before = rows(loop)
        with open_engine(
            loop.root, workspace=loop.root, overrides=OVERRIDES, progress=Silent(), environ=loop.environ
        ) as engine:
            assert sample(engine).data["videos_sampled"] == 0
            assert export(engine).data["new"] is False
            assert status(engine).data["training_data_is_current"] is True
        after = rows(loop)
        for table in set(before) - {"runs", "work"}:
            assert after[table] == before[table], table
