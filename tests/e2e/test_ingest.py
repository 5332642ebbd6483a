"""``dataengine ingest`` as people and programs meet it: what it says, writes, records, and does after a kill."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bad_files
import pytest
from command_server import Commands
from drawn_videos import write_sequence, write_video
from loop_state import differences, leftovers, state_of

from data_engine.cli.main import main

pytestmark = pytest.mark.required

ROOT = Path(__file__).resolve().parents[2]
DATABASE = ".dataengine/lineage.db"


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """The folder of a workspace, in which the commands are called."""
    for name in [name for name in os.environ if name.startswith("DATAENGINE_")]:
        monkeypatch.delenv(name)
    # Worker processes would import the tests anew.
    monkeypatch.setenv("DATAENGINE_INGEST_WORKERS", "1")
    monkeypatch.setenv("DATAENGINE_SAMPLE_WORKERS", "1")
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["init", "."]) == 0
    return folder


@pytest.fixture
def call(site, capsys) -> Callable[..., tuple[int, str, list[str]]]:
    """Calls a command; its exit code, its output and its errors without the progress."""
    capsys.readouterr()

    def called(*words: object) -> tuple[int, str, list[str]]:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, [line for line in err.splitlines() if not line.startswith("reading videos: ")]

    return called


def rows_of(site: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(site / DATABASE)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def footage(raw: Path) -> None:
    """Three recordings, of which one is there three times and one in two forms, and what is none."""
    write_video(raw / "Halle 1/gate/08 00.mp4", 1)
    write_video(raw / "Halle 2/gate/08 00.mp4", 2, size=(320, 240))
    write_video(raw / 'two\nlines, "quoted".avi', 2, size=(80, 60))
    write_sequence(raw / "pictures", 3)
    shutil.copy(raw / "Halle 1/gate/08 00.mp4", raw / "Halle 2/copy.mp4")
    shutil.copy(raw / "Halle 1/gate/08 00.mp4", raw / os.fsdecode(b"M\xfcnchen.mp4"))
    write_video(raw / os.fsdecode(b"K\xf6ln.mp4"), 4)
    bad_files.text_file(raw / "text.mp4")
    bad_files.sound_only(raw / "sound.mp4")
    bad_files.empty_file(raw / "empty.avi")
    (raw / "notes.txt").write_text("x")


def test_the_report_counts_everything(site, call):
    footage(site / "videos_raw")
    code, out, err = call("ingest")
    assert code == 8
    *told, table, first, second, third, last = out.splitlines()
    assert told == [
        "registered 5 videos",
        "videos: 5",
        "registered: 5",
        "known before: 0",
        "copies: 2",
        "near duplicates: 1",
        "failed: 3",
        "passed over: 1",
        "hours: 0.0047",
    ]
    assert table.split() == ["video", "is", "of", "distance"]
    of_gate = r"copy +videos_raw/Halle 1/gate/08 00\.mp4 +0"
    assert re.fullmatch(rf"videos_raw/Halle 2/copy\.mp4 +{of_gate}", first)
    assert re.fullmatch(rf"videos_raw/M\\udcfcnchen\.mp4 +{of_gate}", second)
    alike = r"near-duplicate +videos_raw/Halle 2/gate/08 00\.mp4 +\d\.?\d*"
    assert re.fullmatch(rf'videos_raw/two lines, "quoted"\.avi +{alike}', third)
    assert last == "next: dataengine sample"
    assert err == [
        "1 video looks like another: see the list; nothing was deleted",
        "2 copies of another video left out",
        "1 file passed over: not a video",
        "failed: videos_raw/empty.avi is empty (0 bytes)",
        "failed: videos_raw/sound.mp4 holds no video stream, only sound",
        "failed: videos_raw/text.mp4 is not a video: its content is of no known video format",
    ]
    code, out, err = call("ingest", "--json")
    told = json.loads(out)
    assert (code, told["registered"], told["known_before"], told["copies"], told["failed"]) == (8, 0, 5, 2, 3)
    assert told["near_duplicates"] == len([row for row in told["rows"] if row["is"] == "near-duplicate"]) == 1
    # Nothing was deleted, and nothing written beside the database.
    assert sorted(path.name for path in site.iterdir() if path.is_file()) == ["dataengine.toml"]


def test_results_as_json_lines_and_csv(site, call):
    footage(site / "videos_raw")
    assert call("ingest", "--jsonl", "--csv")[0] == 8
    told = [json.loads(line) for line in (site / "ingest.jsonl").read_text("utf-8").splitlines()]
    with (site / "ingest.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(told[0])
    assert [{k: v or "" for k, v in row.items()} for row in table] == [
        {name: _as_cell(value) for name, value in row.items()} for row in told
    ]
    assert [row["key"] for row in told] == sorted(row["key"] for row in told)
    # Every file is there, and found by its path.
    assert all(os.path.exists(os.fsencode(row["path"])) for row in told)
    by_name = {os.fsencode(os.path.basename(row["path"])): row for row in told if "gate" not in row["path"]}
    assert {name: row["status"] for name, row in by_name.items()} == {
        b"K\xf6ln.mp4": "registered",
        b"M\xfcnchen.mp4": "copy",
        b"copy.mp4": "copy",
        b"empty.avi": "failed",
        b"pictures": "registered",
        b"sound.mp4": "failed",
        b"text.mp4": "failed",
        b'two\nlines, "quoted".avi': "near-duplicate",
    }
    gates = [row for row in told if "gate" in row["path"]]
    assert [(row["path"], row["camera"], row["status"]) for row in gates] == [
        (f"videos_raw/{hall}/gate/08 00.mp4", f"{hall}/gate", "registered") for hall in ("Halle 1", "Halle 2")
    ]
    alike = by_name[b'two\nlines, "quoted".avi']
    assert (alike["duplicate_of"], alike["distance"] > 0) == ("videos_raw/Halle 2/gate/08 00.mp4", True)
    failed = by_name[b"empty.avi"]
    assert failed == {
        **dict.fromkeys(failed),
        "path": "videos_raw/empty.avi",
        "key": "videos_raw/empty.avi",
        "status": "failed",
        "reason": "videos_raw/empty.avi is empty (0 bytes)",
    }
    first = gates[0]
    assert {
        name: first[name] for name in ("codec", "pixel_format", "frame_rate", "duration_s", "audio", "rotation")
    } == {
        "codec": "mpeg4",
        "pixel_format": "yuv420p",
        "frame_rate": "10",
        "duration_s": 4.0,
        "audio": False,
        "rotation": 0,
    }
    assert by_name[b"pictures"]["codec"] == "image sequence"
    # Once more, elsewhere: the same but for what is known by now.
    assert call("ingest", "--jsonl", "out/again.jsonl", "--workers", "2")[0] == 8
    again = [json.loads(line) for line in (site / "out/again.jsonl").read_text("utf-8").splitlines()]
    for row in told:
        row["status"] = row["status"].replace("registered", "known")
    assert again == told


def _as_cell(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def test_paths_outside_a_workspace(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATAENGINE_INGEST_WORKERS", "1")
    write_video(tmp_path / "elsewhere/gate/a.mp4", 1)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["ingest", "--input", "../elsewhere", "--csv", "--pattern", "{camera}/{_}"]) == 0
    assert "next: dataengine sample --input ../elsewhere\n" in capsys.readouterr().out
    with Path("ingest.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == str(tmp_path / "elsewhere/gate/a.mp4")
    assert row["key"].startswith("@elsewhere-")
    assert row["camera"] == "gate"


@pytest.mark.parametrize(
    ("words", "code", "err"),
    [
        (["--input", "nowhere"], 3, ["error: nowhere is not there", "hint: put videos there, or name another --input"]),
        ([], 3, ["error: there is no video in videos_raw", "hint: put videos there, or name another --input"]),
        (["--input", "bad.mp4"], 4, ["error: bad.mp4 is not a video: its content is of no known video format"]),
        (
            ["--pattern", "{hall}"],
            2,
            [
                "error: --pattern {hall}: it names none of venue, event, camera, date, time",
                "hint: name fields in braces: --pattern '{venue}/{event}/{camera}/{name}'",
            ],
        ),
        (
            ["--num-frames-dedup", "1"],
            2,
            [
                "error: --num-frames-dedup 1: input should be greater than or equal to 2",
                "hint: dataengine ingest --help",
            ],
        ),
    ],
)
def test_what_is_refused(site, call, words, code, err):
    bad_files.text_file(site / "bad.mp4")
    assert call("ingest", *words) == (code, "", err)
    assert rows_of(site, "select * from videos") == []


def test_a_pattern_that_does_not_fit_everywhere_is_told(site, call):
    write_video(site / "videos_raw/Halle/gate/a.mp4", 1)
    write_video(site / "videos_raw/b.mp4", 2)
    code, _, err = call("ingest", "--pattern", "{venue}/{camera}/{_}")
    assert code == 0
    assert err == ["--pattern {venue}/{camera}/{_} does not fit 1 path: there the folders name the camera"]
    assert rows_of(site, "select venue, camera from videos order by name") == [("Halle", "gate"), (None, "b")]


def test_frames_are_sampled_inside_the_borders(site, call):
    write_video(site / "videos_raw/boxed.mp4", 1, borders=(0, 20))
    assert call("ingest")[0] == 0
    assert rows_of(site, "select width, height, crop from videos") == [(160, 160, "0,20,160,120")]
    assert call("sample", "--method", "interval", "--interval", "2")[0] == 0
    assert rows_of(site, "select width, height, crop from frames") == [(160, 120, "0,20,160,120")] * 2


# --- the map of near-duplicates ---------------------------------------------------------------------------------------


def test_the_map_does_not_depend_on_the_order_of_coming(site, call):
    kinds = {"big.mp4": (320, 240), "middle.avi": (160, 120), "small.mkv": (80, 60)}
    elsewhere = site.parent / "elsewhere"
    for name, size in kinds.items():
        write_video(elsewhere / name, 1, size=size)
    write_video(elsewhere / "other.mp4", 2)
    query = (
        "select d.method, v.name, o.name, d.distance from video_duplicates d join videos v on v.id = d.video_id"
        " join videos o on o.id = d.original_id order by v.name"
    )
    maps = []
    for order in itertools.permutations(kinds):
        shutil.rmtree(site / ".dataengine")
        for name in (*order, "other.mp4"):
            assert call("ingest", "--input", elsewhere / name)[0] == 0
        maps.append(rows_of(site, query))
    shutil.rmtree(site / ".dataengine")
    assert call("ingest", "--input", elsewhere)[0] == 0
    maps.append(rows_of(site, query))
    assert [row[:3] for row in maps[0]] == [("phash-8-5", "middle", "big"), ("phash-8-5", "small", "big")]
    assert all(found == maps[0] for found in maps)
    # A stricter threshold makes the map anew, not longer.
    assert call("ingest", "--input", elsewhere, "--phash-threshold", "0")[0] == 0
    assert [row for row in rows_of(site, query) if row[3] > 0] == []
    # Each method has a map of its own.
    assert call("ingest", "--input", elsewhere, "--dedup-method", "embedding", "--embedding-threshold", "0.9")[0] == 0
    assert {row[0] for row in rows_of(site, query)} >= {"embedding-local-2-5"}


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands() as running:
        yield running


def test_killed_before_any_step(commands, tmp_path):
    def fresh() -> Path:
        workspace = tmp_path / "ws"
        shutil.rmtree(workspace, ignore_errors=True)
        return Path(shutil.copytree(tmp_path / "before", workspace))

    before = tmp_path / "before"
    before.mkdir()
    assert commands.run(before, "init", ".").code == 0
    footage(before / "videos_raw")
    words = ("ingest", "--workers", "1")
    workspace = fresh()
    done = commands.run(workspace, *words)
    assert done.code == 8, done.err
    expected = state_of(workspace)
    assert len(done.steps) > 10
    draw = random.Random(1)
    for step, what in enumerate(done.steps, 1):
        workspace = fresh()
        assert commands.run(workspace, *words, fault="SIGKILL", step=step).code == -signal.SIGKILL
        if draw.random() < 0.3:
            commands.run(workspace, *words, fault="SIGKILL", step=draw.randint(1, len(done.steps)))
        assert commands.run(workspace, *words).code == 8
        different = differences(expected, state_of(workspace))
        assert not different, f"killed before step {step}, {what}: {different}"
        assert not leftovers(workspace)


def test_a_real_process_with_workers_that_is_killed(site):
    for seed in range(6):
        write_video(site / f"videos_raw/{seed}.mp4", seed, size=(640, 480), count=60)
    environ = {name: text for name, text in os.environ.items() if not name.startswith("DATAENGINE_")}
    environ |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, "-m", "data_engine", "ingest", "--workers", "2", "--csv"]
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while process.poll() is None and not rows_of(site, "select id from videos"):
            time.sleep(0.05)
        process.kill()
    left = len(rows_of(site, "select id from videos"))
    assert 1 <= left <= 6
    done = subprocess.run(words, env=environ, check=True, capture_output=True, text=True)
    assert f"registered: {6 - left}\nknown before: {left}\n" in done.stdout
    assert len(rows_of(site, "select id from videos")) == 6
    with (site / "ingest.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
