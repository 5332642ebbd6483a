"""``doctor``: is this machine, and is this workspace, fit for the loop?"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib import metadata

from data_engine.app.engine import Engine
from data_engine.app.models import current_model, registered_classes
from data_engine.errors import DataEngineError
from data_engine.lineage import footage, migrate
from data_engine.types import Failed, Report

_LITTLE_SPACE = 2 << 30
PACKAGES = {
    "av": "",
    "opencv-python": "",
    "scikit-image": "",
    "pycocotools": "",
    "sqlalchemy": "",
    "ultralytics": "yolo",
    "rfdetr": "rfdetr",
    "torch": "train",
}
"""Distribution -> the extra that brings it; nothing for one that is always there."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: str
    """``ok``, ``absent`` (an optional part) or ``bad``."""
    detail: str
    repair: str = ""
    """What to type when it is not ok."""


def doctor(engine: Engine) -> Report:
    """Look at everything that the loop stands on; anything bad makes the exit code 8."""
    checks = [
        Check(
            "python", "ok" if sys.version_info >= (3, 11) else "bad", sys.version.split()[0], "use Python 3.11 or newer"
        ),
        *_packages(),
        *_runtime(),
        _space(engine),
        _database(engine),
        *_workspace(engine),
    ]
    bad = [check for check in checks if check.state == "bad"]
    return Report(
        title="everything that is needed is there" if not bad else f"{len(bad)} of {len(checks)} checks failed",
        data={"checks": len(checks), "bad": len(bad), "absent": sum(check.state == "absent" for check in checks)},
        rows=tuple(
            {"check": c.name, "state": c.state, "detail": c.detail if c.state == "ok" or not c.repair else c.repair}
            for c in checks
        ),
        failures=tuple(Failed(check.name, f"{check.detail}; {check.repair}") for check in bad),
        next=engine_next(engine) if not bad else "",
    )


def engine_next(engine: Engine) -> str:
    """The loop's next command."""
    from data_engine.app.status import standing

    return standing(engine).next()


def _packages() -> list[Check]:
    checks = []
    for name, extra in PACKAGES.items():
        try:
            checks.append(Check(name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            repair = f"pip install 'dataengine[{extra}]'" if extra else f"pip install {name}"
            checks.append(Check(name, "absent" if extra else "bad", "not installed", repair))
    return checks


def _runtime() -> list[Check]:
    """ONNX Runtime and what it can run on; two installed at once spoil one another."""
    found = []
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    if len(found) > 1:
        repair = "pip uninstall onnxruntime onnxruntime-gpu, then pip install 'dataengine[cpu]' or 'dataengine[gpu]'"
        return [Check("onnxruntime", "bad", " and ".join(found) + " share one folder", repair)]
    if not found:
        return [Check("onnxruntime", "bad", "not installed", "pip install 'dataengine[cpu]', or 'dataengine[gpu]'")]
    try:
        import onnxruntime
    except ImportError as error:
        return [Check("onnxruntime", "bad", f"{found[0]} cannot be imported: {error}", "reinstall it")]
    return [Check("onnxruntime", "ok", f"{found[0]}: {', '.join(onnxruntime.get_available_providers())}")]


def _space(engine: Engine) -> Check:
    free = shutil.disk_usage(engine.root).free
    state = "ok" if free >= _LITTLE_SPACE else "bad"
    return Check("disk", state, f"{free / 2**30:.1f} GiB free", "free some space")


def _database(engine: Engine) -> Check:
    try:
        differences = migrate.differences(engine.database)
    except DataEngineError as error:
        return Check("lineage", "bad", error.message, error.hint or "dataengine db check")
    if differences:
        return Check("lineage", "bad", differences[0], "dataengine db upgrade")
    return Check("lineage", "ok", f"{engine.database.dialect}, revision {migrate.HEAD}")


def _workspace(engine: Engine) -> list[Check]:
    checks = [
        Check("workspace", "ok" if engine.in_workspace else "absent", str(engine.root), "make one: dataengine init")
    ]
    names = registered_classes(engine).names
    checks.append(
        Check("classes", "ok" if names else "absent", ", ".join(names) or "none", "dataengine init --classes a,b")
    )
    path = current_model(engine, None)
    if path is None:
        checks.append(Check("model", "absent", "none yet", "dataengine retrain"))
    else:
        checks.append(_model(engine, path.name, names))
    with engine.database.read() as connection:
        frames = footage.sampled_frames(connection)
    gone = sum(not engine.storage.exists(frame.key) for frame in frames)
    state = "bad" if gone else "ok"
    checks.append(Check("frames", state, f"{len(frames)} sampled, {gone} no longer there", "dataengine sample"))
    return checks


def _model(engine: Engine, name: str, names: tuple[str, ...]) -> Check:
    from data_engine.app.models import open_detector

    path = current_model(engine, None)
    if path is None:
        return Check("model", "absent", "none yet", "dataengine retrain")
    try:
        detector = open_detector(engine, path)
    except DataEngineError as error:
        return Check("model", "bad", error.message, error.hint)
    strange = [label for label in detector.class_names if label not in names]
    if strange:
        return Check(
            "model", "bad", f"{name} knows other classes: {', '.join(strange)}", "see classes in dataengine.toml"
        )
    return Check("model", "ok", f"{name} ({detector.kind}) on {detector.device}")
