"""Several processes decide at once which model is in use: one after the other, and the file is the last one's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from colour_models import NAMES, colours

from data_engine.app.models.in_use import champion_key, standing_of
from data_engine.app.models.models import register_model
from data_engine.lineage import champions
from data_engine.media.images import sha256_of
from data_engine.types import ID_LENGTH

WORKER = """
import sys, time
from pathlib import Path
from data_engine.cli.main import main
root, gate, told, *models = sys.argv[1:]
main(["models", "list", "--workspace", root, "--quiet"])
Path(told).touch()
while not Path(gate).exists():
    time.sleep(0.005)
codes = [main(["promote", model, "--force", "--reason", "first", "--workspace", root, "--quiet", "--json"])
         for model in models]
sys.exit(max(codes))
"""


@pytest.fixture
def engine(workspace):
    return workspace.open(workspace={"classes": NAMES}, predict={"device": "cpu"})


def test_decisions_of_one_moment_follow_each_other(engine, tmp_path: Path):
    right = np.pad((4 * np.eye(3) - 2).astype(np.float32), ((0, 0), (0, 1)))
    known = [
        register_model(engine, colours(tmp_path / f"{n}.onnx", weights=right * (1 + n / 10))).model.id for n in range(3)
    ]
    gate = tmp_path / "gate"
    # Each of the two promotes all three models, in the other's order backwards.
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(engine.root), str(gate), str(tmp_path / f"ready {n}"), *order],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "DATAENGINE_PREDICT_DEVICE": "cpu"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n, order in enumerate((known, known[::-1]))
    ]
    while not all((tmp_path / f"ready {n}").exists() for n in range(2)):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    gate.touch()
    told = [process.communicate()[1] for process in processes]
    assert [(process.returncode, said) for process, said in zip(processes, told, strict=True)] == [(0, "")] * 2

    with engine.database.read() as connection:
        rows = champions.history(connection)
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    # Nobody decided against a model that was out of use by then, and none comes into use twice running.
    assert [row.over_id for row in rows] == [None, *(row.model_id for row in rows[:-1])]
    assert all(one.model_id != other.model_id for one, other in pairwise(rows))
    assert [row.back_to for row in rows] == [None, *range(1, len(rows))]
    assert {row.model_id for row in rows} == set(known)
    assert rows[-1].placed
    assert sha256_of(engine.storage.path(champion_key("rfdetr")))[:ID_LENGTH] == rows[-1].model_id
    assert standing_of(engine).state == "ok"
