"""``doctor`` as somebody sees it whose machine, database or workspace is not as it should be."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from drawn_workspace import Silent

from data_engine.app.doctor import doctor
from data_engine.app.engine import open_engine
from data_engine.app.models.models import champion_key

ROOT = Path(__file__).resolve().parents[3]
WITHOUT = """
import sys
from importlib import metadata
names = sys.argv.pop(1).split(",")
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
if sys.argv.pop(1) == "uninstalled":
    real = metadata.version
    def version(name):
        if name.split("-")[0] in names:
            raise metadata.PackageNotFoundError(name)
        return real(name)
    metadata.version = version
from data_engine.cli.main import main
sys.exit(main(["doctor", "--json"]))
"""
"""A program in which packages are missing, or are there but cannot be imported."""


def rows(report: Any) -> dict[str, tuple[str, str]]:
    return {row["check"]: (row["state"], row["detail"]) for row in report["rows"]}


def without(names: str, how: str, folder: Path) -> tuple[int, dict[str, tuple[str, str]], str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DATAENGINE_")}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, names, how],
        cwd=folder,
        env={**environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, rows(json.loads(done.stdout)), done.stderr


def looked_at(folder: Path, **environ: str) -> dict[str, tuple[str, str]]:
    with open_engine(folder, progress=Silent(), environ=environ, migrate=False) as engine:
        return rows({"rows": doctor(engine).rows})


def test_onnxruntime_is_not_installed(tmp_path):
    code, seen, errors = without("onnxruntime", "uninstalled", tmp_path)
    assert code == 8
    repair = "pip install '.[cpu]' or '.[gpu]' in your checkout of dataengine"
    assert seen["onnxruntime"] == ("bad", f"not installed; {repair}")
    assert "onnxruntime: not installed; pip install '.[cpu]'" in errors


def test_onnxruntime_is_installed_and_broken(tmp_path):
    code, seen, _errors = without("onnxruntime", "broken", tmp_path)
    state, detail = seen["onnxruntime"]
    assert (code, state) == (8, "bad")
    assert "cannot be imported: No module named 'onnxruntime'; pip install --force-reinstall onnxruntime" in detail


def test_the_trainers_are_optional(tmp_path):
    code, seen, _errors = without("torch,ultralytics,rfdetr", "uninstalled", tmp_path)
    assert code == 0
    assert seen["ultralytics"] == ("absent", "not installed; pip install '.[yolo]' in your checkout of dataengine")
    assert seen["rfdetr"] == ("absent", "not installed; pip install '.[rfdetr]' in your checkout of dataengine")
    assert seen["torch"] == ("absent", "not installed; pip install '.[train]' in your checkout of dataengine")


@pytest.mark.parametrize(("backend", "code", "state"), [("local", 0, "absent"), ("cvat", 8, "bad")])
def test_the_client_of_cvat_is_needed_where_people_are_there(backend, code, state, tmp_path):
    (tmp_path / "dataengine.toml").write_text(f'[annotation]\nbackend = "{backend}"\n', "utf-8")
    ended, seen, _errors = without("cvat_sdk,cvat", "uninstalled", tmp_path)
    assert ended == code
    assert seen["cvat-sdk"] == (state, "not installed; pip install '.[cvat]' in your checkout of dataengine")


def test_a_client_of_cvat_that_cannot_be_imported(tmp_path):
    (tmp_path / "dataengine.toml").write_text('[annotation]\nbackend = "cvat"\n', "utf-8")
    code, seen, _errors = without("cvat_sdk", "broken", tmp_path)
    assert (code, seen["cvat-sdk"][0]) == (8, "bad")
    assert "pip install --force-reinstall cvat-sdk" in seen["cvat-sdk"][1]


def test_an_empty_folder_is_left_as_it_is(tmp_path):
    with open_engine(tmp_path, progress=Silent(), environ={}, migrate=False) as engine:
        report = doctor(engine)
    assert report.next == "dataengine init"
    seen = rows({"rows": report.rows})
    assert seen["lineage"] == ("absent", "nothing is recorded yet; the first command begins it")
    assert seen["workspace"] == ("absent", "none here; dataengine init")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.required
def test_looking_at_an_empty_folder_leaves_it_empty(tmp_path, monkeypatch, capsys):
    from data_engine.cli.main import main

    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    assert "lineage is kept in" not in capsys.readouterr().err
    assert main(["db", "check"]) == 3
    assert list(tmp_path.iterdir()) == []
    assert main(["db", "upgrade"]) == 0
    assert main(["db", "check"]) == 0


def test_a_sound_workspace(workspace):
    seen = looked_at(workspace.root)
    assert seen["workspace"] == ("ok", str(workspace.root))
    assert seen["lineage"] == ("ok", "sqlite, revision 0008")
    assert seen["classes"] == ("ok", "person, helmet")
    assert seen["model"] == ("absent", "none yet; dataengine retrain")
    assert seen["frames"] == ("ok", "0 sampled")
    assert {state for state, _detail in seen.values()} <= {"ok", "absent"}


def broken(folder: Path) -> None:
    (folder / ".dataengine/lineage.db").write_text("this is not a database, and it is longer than a header is")


def newer(folder: Path) -> None:
    with sqlite3.connect(folder / ".dataengine/lineage.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")


def changed(folder: Path) -> None:
    with sqlite3.connect(folder / ".dataengine/lineage.db") as connection:
        connection.execute("drop table split_plans")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (broken, "lineage.db is not a lineage database: file is not a database"),
        (newer, "lineage.db is at revision 9999, this release at 0008; dataengine db upgrade"),
        (changed, "lineage.db: table split_plans is missing; dataengine db check"),
    ],
)
def test_a_database_that_cannot_be_used_keeps_nothing_else_from_being_seen(harm, told, workspace):
    for file in (workspace.root / ".dataengine").glob("lineage.db-*"):
        file.unlink()
    harm(workspace.root)
    seen = looked_at(workspace.root)
    assert seen["lineage"][0] == "bad"
    assert seen["lineage"][1].endswith(told)
    # From the settings, as far as they know.
    assert seen["classes"] == ("ok", "person, helmet")
    assert seen["disk"][0] == "ok"
    assert "frames" not in seen


def test_a_server_that_does_not_answer_and_its_password(workspace):
    seen = looked_at(workspace.root, DATAENGINE_DATABASE_URL="postgresql://u:geheim@127.0.0.1:1/none")
    state, detail = seen["lineage"]
    assert state == "bad"
    assert "did not answer" in detail
    assert "geheim" not in str(seen)


def test_frames_that_are_gone(workspace):
    from data_engine.lineage import footage
    from data_engine.types import Frame, Sampled, SampledFrame, Video

    engine = workspace.open()
    video = Video("v" * 32, "videos_raw/a.mp4", "a", "a", 1, 64, 48, "h264", None, 1.0)
    frame = Frame("f" * 32, "a.jpg", "frames_sampled/a.jpg", 64, 48, "a", video.id)
    with engine.database.write() as connection:
        footage.add_videos(connection, [video])
        kept = Sampled(video, (SampledFrame(frame, "0" * 64, None),), 1)
        footage.record_sampled(connection, "x" * 32, kept, {frame.key: "1-1"})
    assert looked_at(workspace.root)["frames"] == ("bad", "1 sampled, 1 no longer there; dataengine sample")


def test_a_model_that_is_none(workspace):
    engine = workspace.open()
    engine.storage.write_bytes(champion_key("yolo"), b"not a model")
    assert looked_at(workspace.root)["model"] == ("bad", "yolo_best.onnx is not an ONNX model")


def test_a_model_of_other_classes(workspace, shared):
    engine = workspace.open()
    engine.storage.write_bytes(champion_key("rfdetr"), (shared / "models/rfdetr_tiny.onnx").read_bytes())
    assert looked_at(workspace.root)["model"] == (
        "bad",
        "rfdetr_best.onnx knows other classes: no-helmet; see classes in dataengine.toml",
    )


def test_status_tells_the_latest_runs(workspace):
    from data_engine.app.annotation.upload import upload
    from data_engine.app.status import status

    engine = workspace.open()
    upload(engine, frames=workspace.draw("in", range(2)))
    (run,) = status(engine).data["latest_runs"]
    assert (run["stage"], run["state"], run["attempts"]) == ("upload", "done", 1)
