"""Start-up imports nothing that a command alone needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "alembic", "av", "cv2", "cvat_sdk", "numpy", "onnx", "onnxruntime", "PIL", "pycocotools", "pydantic", "rfdetr",
    "rich", "scipy", "skimage", "sqlalchemy", "torch", "tqdm", "ultralytics",
}  # fmt: skip

_PROGRAM = """
import json, sys
from data_engine.cli.main import main
code = main(sys.argv[1:])
sys.stdout.flush()
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(*words: str) -> set[str]:
    """The modules in memory after a command line that succeeds."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    return set(modules)


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_start_up_is_light(words):
    modules = loaded(*words)
    assert {name.split(".")[0] for name in modules} & HEAVY == set()
    assert {name for name in modules if name.startswith("data_engine.")} == {
        "data_engine.cli",
        "data_engine.cli.main",
        "data_engine.cli.usage",
        "data_engine.errors",
        "data_engine.stages",
    }


@pytest.mark.parametrize(
    "command", ["sample", "filter", "preannotate", "upload", "export", "convert", "retrain", "run"]
)
def test_the_help_of_a_step_loads_settings_only(command):
    heavy = {name.split(".")[0] for name in loaded(command, "--help")} & HEAVY
    assert heavy <= {"pydantic", "numpy"}, f"{command} --help loads {heavy}"


def test_the_package_itself_imports_nothing():
    program = "import sys; before = set(sys.modules); import data_engine; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["data_engine"]
