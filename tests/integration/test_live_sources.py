"""``dataengine sample --input rtsp://… --duration …``: real servers on loopback, and cameras that fail as they do."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import av
import pytest
from live_servers import FPS, Answer, HttpCamera, RtspCamera, transport_stream, wait_until

from data_engine.cli.main import main

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]
USER, PASSWORD = "wachmann", "g3heim/@:x"
LOGIN = "wachmann:g3heim%2F%40%3Ax@"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["init"]) == 0
    capsys.readouterr()
    return folder


def sample(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict:
    """Run the command; its JSON, with what it wrote to stderr under ``stderr``."""
    capsys.readouterr()
    options = ("--method", "interval", "--interval", "0.5", "--workers", "1", "--json")
    found = main(["sample", *words, *options])
    written = capsys.readouterr()
    assert found == code, written
    return {**(json.loads(written.out) if written.out else {}), "stderr": written.err}


def recordings(folder: Path) -> list[Path]:
    return sorted((folder / "videos_raw" / "live").rglob("*.mkv"))


def left_over(folder: Path) -> list[Path]:
    return [path for path in (folder / ".dataengine" / "live").rglob("*") if path.is_file()]


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def everything_written(folder: Path) -> bytes:
    return b"\0".join(str(path).encode() + b"\0" + path.read_bytes() for path in folder.rglob("*") if path.is_file())


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.required
def test_an_rtsp_camera_is_recorded_and_sampled_and_its_login_stays_secret(workspace, capsys):
    with RtspCamera(login=(USER, PASSWORD)) as camera:
        url = camera.url("/Streaming/Channels/101?channel=2&pwd=zweites", login=LOGIN)
        found = sample(capsys, "--input", url, "--duration", "2", "--verbose", "--log-level", "debug")
        shown = f"rtsp://127.0.0.1:{camera.port}/Streaming/Channels/101?channel=2"
        name = f"127.0.0.1_{camera.port}_Streaming_Channels_101_channel-2"
    (live,) = found["live"]
    assert live == {
        "source": shown,
        "camera": name,
        "seconds": pytest.approx(2, abs=0.2),
        "parts": 1,
        "ended": "duration",
        "drops": 0,
        "missing_seconds": 0,
        "restarts": 0,
        "packets_lost": 0,
    }
    (file,) = recordings(workspace)
    assert file.parent.name == name
    assert frames_in(file) == pytest.approx(2 * FPS, abs=2)
    assert found["videos_sampled"] == 1
    assert found["frames_kept"] == 4
    assert len(list((workspace / "frames_sampled").rglob("*.jpg"))) == 4
    with sqlite3.connect(workspace / ".dataengine" / "lineage.db") as database:
        assert list(database.execute("select camera from videos")) == [(f"live/{name}",)]
        ((captured_at,),) = database.execute("select captured_at from videos")
    assert abs(datetime.fromisoformat(captured_at).timestamp() - file.stat().st_mtime) < 60
    assert left_over(workspace) == []
    # It is a video like any other now: nothing is left to do, and a later look finds the same camera.
    again = sample(capsys)
    assert (again["videos"], again["videos_sampled"], again["frames_in_all"]) == (1, 0, 4)
    written = everything_written(workspace) + found["stderr"].encode() + json.dumps(found).encode()
    assert shown.encode() in written
    assert f"live/{name}".encode() in written
    for secret in (USER, PASSWORD, "g3heim", "zweites"):
        assert secret.encode() not in written


@pytest.mark.required
def test_a_stream_that_drops_refuses_and_comes_back(workspace, capsys):
    with HttpCamera([Answer(transport_stream(1), 1), Answer(transport_stream(60, first=10), 60)]) as camera:
        url = camera.url("/gate.ts")

        def vanish() -> None:
            wait_until(lambda: camera.requests)
            time.sleep(1.05)
            camera.refuse()
            time.sleep(1)
            camera.listen()

        thread = threading.Thread(target=vanish)
        thread.start()
        found = sample(capsys, "--input", url, "--duration", "4")
        thread.join()
    (live,) = found["live"]
    assert (live["drops"], live["parts"], live["ended"]) == (1, 2, "duration")
    assert live["missing_seconds"] > 0.5
    assert live["seconds"] + live["missing_seconds"] == pytest.approx(4, abs=1)
    assert len(recordings(workspace)) == 2
    assert found["videos_sampled"] == 2
    assert f"{url}: lost after 1 s (the connection was closed); connecting again" in found["stderr"]
    assert f"{url}: was lost once: {live['missing_seconds']:.1f} s are missing" in found["stderr"]


def test_a_stream_that_does_not_come_back_is_a_failure_and_what_came_is_sampled(workspace, capsys):
    answers = [Answer(transport_stream(1), 1), Answer(status=404, length=0)]
    with HttpCamera(answers) as camera:
        found = sample(capsys, "--input", camera.url(), "--duration", "2", code=8)
    assert found["live"][0]["ended"] == "lost"
    assert found["videos_sampled"] == 1
    assert "it did not come back" in found["stderr"]
    assert "the server knows no such stream" in found["stderr"]


def test_two_cameras_are_recorded_at_once_and_one_that_is_not_there_is_told(workspace, capsys):
    with RtspCamera() as first, RtspCamera() as second, HttpCamera([Answer(status=500, length=0)]) as third:
        urls = [first.url("/left"), second.url("/right"), third.url()]
        words = [word for url in urls for word in ("--input", url)]
        found = sample(capsys, *words, "--duration", "2", code=8)
    assert [entry["ended"] for entry in found["live"]] == ["duration", "duration", "failed"]
    began = [datetime.strptime(path.stem, "%Y-%m-%dT%H-%M-%S-%fZ").timestamp() for path in recordings(workspace)]
    assert len(began) == 2
    assert abs(began[0] - began[1]) < 2, "one after the other they would begin two seconds apart"
    assert f"failed: {urls[2]} refuses with status 500" in found["stderr"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "rtsp://joe:geheim@h/x"], "rtsp://h/x has no end"),
        (["--input", "videos", "--duration", "3"], "no --input is one"),
        (["--input", "rtsp://joe:ge/heim@h/x", "--duration", "3"], "an address cannot be read"),
        (["--input", "ftp://joe:geheim@h/x", "--duration", "3"], "ftp:// is not a source"),
        (["--input", "rtsp://joe:geheim@h/x", "--duration", "0"], "--duration"),
        (["rtsp://joe:geheim@h/x"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_told_without_the_password(workspace, capsys, words, message):
    found = sample(capsys, *words, code=2)
    assert message in found["stderr"]
    assert b"heim" not in everything_written(workspace) + found["stderr"].encode()


def test_nobody_there_is_a_service_that_does_not_answer(workspace, capsys):
    with HttpCamera([Answer()]) as camera:
        url = camera.url(login=LOGIN)
    found = sample(capsys, "--input", url, "--duration", "60", code=6)
    assert "did not answer: connection refused" in found["stderr"]
    assert recordings(workspace) == left_over(workspace) == []
    assert b"g3heim" not in everything_written(workspace) + found["stderr"].encode()


# --- interrupted and killed -------------------------------------------------------------------------------------------


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "data_engine", "sample", *words, "--method", "interval", "--workers", "1"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "no_proxy": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.required
def test_what_was_recorded_when_somebody_interrupts_is_kept(workspace, capsys):
    with RtspCamera(login=(USER, PASSWORD)) as camera:
        process = start(workspace, "--input", camera.url(login=LOGIN), "--duration", "600")
        wait_until(lambda: any(path.stat().st_size > 1000 for path in left_over(workspace)))
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert "what was recorded is kept" in errors
    assert "dataengine sample" in errors
    assert "Traceback" not in errors
    (file,) = recordings(workspace)
    assert frames_in(file) > 0
    assert left_over(workspace) == []
    assert sample(capsys)["videos_sampled"] == 1
    assert b"g3heim" not in everything_written(workspace) + errors.encode()


@pytest.mark.required
def test_what_a_killed_recording_left_is_completed_but_not_what_is_being_written(workspace, capsys):
    with RtspCamera() as first, RtspCamera() as second:
        killed = start(workspace, "--input", first.url("/killed"), "--duration", "600")
        running = start(workspace, "--input", second.url("/running"), "--duration", "600")
        try:
            wait_until(lambda: len([path for path in left_over(workspace) if path.stat().st_size > 5000]) == 2)
            killed.kill()
            killed.communicate(timeout=60)
            found = sample(capsys)
            assert "completed a recording that was cut off" in found["stderr"]
            (file,) = recordings(workspace)
            assert file.parent.name.endswith("_killed")
            assert frames_in(file) >= FPS
            assert (found["videos_sampled"], [path.parent.name[-8:] for path in left_over(workspace)]) == (
                1,
                ["_running"],
            )
        finally:
            running.kill()
            running.communicate(timeout=60)
    assert sample(capsys)["videos"] == 2
    assert sample(capsys)["videos_sampled"] == 0
