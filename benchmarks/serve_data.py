"""A workspace as large as pages have to bear, for benchmarks: rows of ``master_data.py``, and a real file a frame.

Every frame is a JPEG file of its own; every task is one of the local backend, in whose last jobs people still work.
"""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from master_data import BOXES_AN_IMAGE, CLASSES, FRAMES_A_JOB, FRAMES_A_TASK, NOW, Master, make_master

from data_engine.annotation.accounts import FILE as ACCOUNTS
from data_engine.annotation.accounts import Accounts
from data_engine.annotation.local_files import TaskFolder
from data_engine.annotation.records import JobRecord, decode, encode
from data_engine.app.dataset.dataset_certificate import write_certificate
from data_engine.app.engine import DATABASE, Engine, open_engine
from data_engine.app.footage.embed import FOLDER as VECTORS
from data_engine.app.footage.embed import PART
from data_engine.app.init import init
from data_engine.app.rounds import rounds
from data_engine.formats.embeddings import pack
from data_engine.lineage import datasets, embeddings
from data_engine.stages.base import Silent
from data_engine.types import Box, TaskFrame, TaskSpec, content_id

PEOPLE = {"anna": "annotator", "rita": "reviewer", "ada": "admin"}
PASSWORD = "password of {}"
SIZE = (640, 360)
"""Pixels of a picture; the boxes of ``master_data.py`` are made for three times as many each way."""
PARTS, SELECTED, DIMENSION = 20, 2000, 448


class Served(Master):
    """As it is, with its jobs by the ids by which lineage knows those of a backend."""

    def job(self, n: int) -> str:
        """Lineage id of the job that frame ``n`` belongs to."""
        return content_id("job", "local", self._task(n), n // FRAMES_A_JOB + 1)


def make(root: Path, frames: int, workers: int = 2) -> Master:
    """The workspace with so many frames; made unless it is there."""
    master = Served((frames // PARTS,) * PARTS, merged=PARTS - 1)
    if (root / "made").exists():
        return master
    init(root, classes=(), progress=Silent())
    with open_engine(root, workspace=root, progress=Silent(), environ={}) as engine:
        make_master(engine, master)
        with ProcessPoolExecutor(workers) as pool:
            starts = range(0, master.frames, 2000)
            for _ in pool.map(_pictures, *zip(*((root, master, start) for start in starts), strict=True)):
                pass
        _rows(root, master)
        _tasks(engine, master)
        _vectors(engine, master)
        rounds.record(engine)
        with engine.database.read() as connection:
            newest = datasets.latest(connection)
        assert newest is not None
        write_certificate(engine, newest)
    accounts = Accounts(root / ACCOUNTS)
    for name, role in PEOPLE.items():
        accounts.add(name, f"{name}@example.com", PASSWORD.format(name), role)
    (root / "made").touch()
    return master


def is_open(master: Master, n: int) -> bool:
    """Whether people are still at work on the job of frame ``n``."""
    return master.part_of[n] >= master.merged


def _pictures(root: Path, master: Master, start: int) -> None:
    folder = root / "frames_sampled"
    folder.mkdir(exist_ok=True)
    for n in range(start, min(start + 2000, master.frames)):
        coarse = np.random.default_rng(n).integers(0, 256, (9, 16, 3), np.uint8)
        _, data = cv2.imencode(".jpg", cv2.resize(coarse, SIZE), [cv2.IMWRITE_JPEG_QUALITY, 80])
        (folder / master.name(n)).write_bytes(data.tobytes())


def _rows(root: Path, master: Master) -> None:
    """What ``master_data.py`` leaves out: selections, changes of jobs, models and which is in use; open jobs."""
    first_open = master.starts[master.merged] // FRAMES_A_JOB + 1
    with sqlite3.connect(root / DATABASE) as connection:
        many, one = connection.executemany, connection.execute
        one("update frames set width = ?, height = ?", SIZE)
        one("update tasks set plan = ?", (json.dumps({"labels": CLASSES}),))
        for table in ("annotations", "proposals"):
            one(f"update {table} set x = x / 3, y = y / 3, w = w / 3, h = h / 3")
        one("update jobs set stage = 'validation', state = 'new', reviewer = null where number >= ?", (first_open,))
        own = "update jobs set stage = 'annotation', state = 'in progress', assignee = 'anna', annotator = 'anna' "
        one(f"{own} where number >= ? and number % 2 = 0", (first_open,))
        run = one("select id from runs where stage = 'filter' order by fingerprint").fetchall()
        model = one("select id from models").fetchone()[0]
        for number in range(1, PARTS + 1):
            identity = f"{number:032x}"
            made = (identity, number, run[number - 1][0], model, master.parts[number - 1])
            one("insert into selections (id, number, run_id, model_id, pool_size) values (?, ?, ?, ?, ?)", made)
            begin = master.starts[number - 1]
            chosen = min(SELECTED, master.parts[number - 1])
            many(
                "insert into selection_frames (selection_id, frame_id, rank, score, reason, parts) "
                "values (?, ?, ?, ?, 'uncertain', '{}')",
                ((identity, master.frame(begin + rank), rank + 1, 1 - rank / chosen * 0.9) for rank in range(chosen)),
            )
        steps = (("annotation", "new", 0), ("annotation", "in progress", 5), ("annotation", "completed", 35))
        many(
            "insert into job_changes (id, job_id, stage, state, assignee, at) values (?, ?, ?, ?, ?, ?)",
            (
                (f"{7 * number + step:032x}", job, stage, state, by, f"2026-01-{1 + number // 24 % 28:02d}T"
                 f"{number % 24:02d}:{minute:02d}:00+00:00")
                for number, job, by in one("select number, id, annotator from jobs").fetchall()
                for step, (stage, state, minute) in enumerate(steps)
            ),
        )  # fmt: skip
        trained = [4, 9, 14, master.merged - 1]
        for name in (*range(len(trained)), "yolo_best"):
            (root / "models" / f"{name}.onnx").write_bytes(b"not opened here")
        for place, version in enumerate(trained):
            (held,) = one("select id from dataset_versions where number = ?", (version,)).fetchone()
            value = 0.5 + 0.1 * place
            metrics = {"map50": value, "map": value / 2, "ap50_per_class": dict.fromkeys(CLASSES, value)}
            one(
                "insert into models (id, kind, key, class_names, dataset_version_id, metrics, registered_at) "
                "values (?, 'yolo', ?, ?, ?, ?, ?)",
                (f"{place + 1:032x}", f"models/{place}.onnx", json.dumps(CLASSES), held, json.dumps(metrics),
                 f"2026-02-{place + 1:02d}T00:00:00+00:00"),
            )  # fmt: skip
        one(
            "insert into promotions (number, action, kind, model_id, placed, at, detail) "
            "values (1, 'crowned', 'yolo', ?, 1, '2026-02-05T00:00:00+00:00', '{}')",
            (f"{len(trained):032x}",),
        )


def _tasks(engine: Engine, master: Master) -> None:
    backend = engine.backend()
    files = TaskFolder(engine.storage, "annotation", clock=engine.clock, lock_timeout_s=60)
    for start in range(0, master.frames, FRAMES_A_TASK):
        frames = tuple(
            TaskFrame(
                master.name(n),
                f"frames_sampled/{master.name(n)}",
                *SIZE,
                tuple(
                    Box(CLASSES[box.category_id - 1], tuple(side / 3 for side in box.xywh), 0.5)  # type: ignore[arg-type]
                    for box in master.boxes(n)[:BOXES_AN_IMAGE]
                ),
            )
            for n in range(start, start + FRAMES_A_TASK)
        )
        task = backend.create_task(TaskSpec(f"task{start}", f"Batch {start}", CLASSES, frames, FRAMES_A_JOB))
        for place in range(0, FRAMES_A_TASK, FRAMES_A_JOB):
            job = (start + place) // FRAMES_A_JOB + 1
            key = files.job_key(job, task.id, "job.json")
            record = decode(engine.storage.read_bytes(key), JobRecord, key)
            stage, state, assignee = "acceptance", "completed", None
            if is_open(master, start + place):
                stage, state, assignee = (
                    ("validation", "new", None) if job % 2 else ("annotation", "in progress", "anna")
                )
            engine.storage.write_bytes(key, encode(JobRecord(stage, state, assignee, NOW, record.frames)))  # type: ignore[arg-type]


def _vectors(engine: Engine, master: Master) -> None:
    name = engine.embedder().name
    for start in range(0, master.frames, PART):
        ids = [master.frame(n) for n in range(start, min(start + PART, master.frames))]
        found = np.random.default_rng(start).standard_normal((len(ids), DIMENSION)).astype(np.float32)
        key = f"{VECTORS}/{name}/{start:08d}.npz"
        engine.storage.write_bytes(key, pack(name, ids, found / np.linalg.norm(found, axis=1, keepdims=True)))
        with engine.database.write() as connection:
            embeddings.record(connection, name, ids, key)
