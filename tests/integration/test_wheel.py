"""The wheel: what it carries, and that it works where nothing of the checkout is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from configparser import ConfigParser
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "data_engine"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built by the backend that pyproject.toml names."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], ROOT)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with the wheel, and the packages that it stands on, but not the checkout."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True, symlinks=True)
    binaries = place / "bin"
    run([str(binaries / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], place)
    (own,) = place.glob("lib/python*/site-packages")
    # A folder that is named in a .pth is searched last, and its own .pth files (the checkout's) do not count.
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return binaries


def run(words: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environ: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DATAENGINE_"))
    }
    done = subprocess.run(
        words, cwd=folder, env={**environ, "OMP_NUM_THREADS": "1", **more}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done


def sources(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.required
def test_it_carries_the_package_and_the_migrations_and_nothing_else(members: dict[str, bytes]) -> None:
    package = {f"{PACKAGE}/{name}": data for name, data in sources(ROOT / PACKAGE).items()}
    migrations = {f"{PACKAGE}/_migrations/{name}": data for name, data in sources(ROOT / "migrations").items()}
    assert f"{PACKAGE}/_migrations/env.py" in migrations
    assert any(name.startswith(f"{PACKAGE}/_migrations/versions/") for name in migrations)
    carried = {name: data for name, data in members.items() if ".dist-info/" not in name}
    assert carried.keys() == package.keys() | migrations.keys()
    assert carried == {**package, **migrations}


@pytest.mark.required
def test_it_says_what_it_is(members: dict[str, bytes]) -> None:
    info = {name.partition(".dist-info/")[2]: data for name, data in members.items() if ".dist-info/" in name}
    scripts = ConfigParser()
    scripts.read_string(info["entry_points.txt"].decode())
    assert dict(scripts["console_scripts"]) == {"dataengine": "data_engine.cli.main:main"}
    metadata = message_from_bytes(info["METADATA"])
    needs = metadata.get_all("Requires-Dist") or []
    # ONNX Runtime comes in two packages that exclude one another, and the trainers are large: extras, all of them.
    for name in ("onnxruntime", "ultralytics", "rfdetr", "torch"):
        assert all("extra ==" in need for need in needs if need.startswith(name)), name
    assert {"cpu", "gpu", "yolo", "rfdetr", "train"} <= set(metadata.get_all("Provides-Extra") or [])
    assert not any("://" in need for need in needs)


@pytest.mark.required
def test_it_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "leer ä"
    folder.mkdir()
    program = str(installed / "dataengine")
    where = run([str(installed / "python"), "-c", "import data_engine; print(data_engine.__file__)"], folder)
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)
    assert run([program, "--version"], folder).stdout.startswith("dataengine ")
    assert "1 sample" in run([program, "--help"], folder).stdout
    upgraded = json.loads(run([program, "db", "upgrade", "--json"], folder).stdout)
    assert (upgraded["before"], upgraded["title"]) == (None, "the lineage database was upgraded")
    assert (folder / ".dataengine/lineage.db").is_file()
    checked = json.loads(run([program, "db", "check", "--json"], folder).stdout)
    assert (checked["title"], checked["revision"]) == ("the lineage database is sound", upgraded["revision"])


@pytest.mark.required
def test_a_workspace_is_made_by_the_installed_program(installed: Path, tmp_path: Path) -> None:
    program = str(installed / "dataengine")
    run([program, "init", "Werk 1", "--classes", "person,helmet"], tmp_path)
    status = json.loads(run([program, "status", "--json"], tmp_path / "Werk 1").stdout)
    assert status["next"] == "dataengine sample"
    assert status["labels"] == {"person": 0, "helmet": 0}
