"""Training and detecting import Ultralytics; whichever comes first in a process decides what it may do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FIRST = {
    "detector": "from data_engine.detectors.ultralytics_offline import imported_ultralytics as first",
    "trainer": "from data_engine.trainers.yolo_model import import_ultralytics as first",
}
SHOW = """
import json, os
first()
from ultralytics.utils import SAFE_LOAD
names = ("YOLO_OFFLINE", "YOLO_AUTOINSTALL", "YOLO_VERBOSE", "ULTRALYTICS_SAFE_LOAD")
print(json.dumps([SAFE_LOAD, "YOLO_CONFIG_DIR" in os.environ, {name: os.environ[name] for name in names}]))
"""


@pytest.mark.parametrize("which", FIRST)
def test_whichever_comes_first_restricts_the_package_alike(which: str, tmp_path: Path) -> None:
    pytest.importorskip("ultralytics")
    hidden = ("YOLO_", "ULTRALYTICS_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", FIRST[which] + SHOW],
        env={**environ, "PYTHONPATH": str(root), "XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    offline = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "0", "ULTRALYTICS_SAFE_LOAD": "1"}
    assert json.loads(done.stdout) == [True, True, offline]
