"""``doctor``: is this machine, and is this workspace, fit for the loop?"""

from __future__ import annotations

import importlib
import shutil
import sys
from importlib import metadata
from pathlib import Path

from data_engine.app.engine import Engine
from data_engine.app.footage import renditions
from data_engine.app.models.in_use import standing_of
from data_engine.app.models.models import current_model, naming_classes, registered_classes
from data_engine.errors import DataEngineError
from data_engine.lineage import footage, migrate
from data_engine.lineage.ledger import TaskLedger
from data_engine.types import Check, ClassRegistry, Failed, Report
from data_engine.words import counted, installing

_LITTLE_SPACE = 2 << 30
PACKAGES = {
    "av": "",
    "scikit-image": "",
    "pycocotools": "",
    "sqlalchemy": "",
    "ultralytics": "yolo",
    "rfdetr": "rfdetr",
    "torch": "train",
    "cvat-sdk": "cvat",
}
"""Distribution -> the extra that brings it; nothing for one that is always there."""


def doctor(engine: Engine) -> Report:
    """Look at everything that the loop stands on; anything bad makes the exit code 8.

    Nothing is changed, not even an old database: what is wrong with one thing must not keep the others from being seen.
    """
    lineage = _database(engine)
    checks = [
        Check(
            "python", "ok" if sys.version_info >= (3, 11) else "bad", sys.version.split()[0], "use Python 3.11 or newer"
        ),
        *_packages("cvat" if engine.settings.annotation.backend == "cvat" else ""),
        _opencv(),
        _runtime(),
        _space(engine),
        lineage,
        *_workspace(engine, recorded=lineage.state == "ok"),
        *_annotation(engine, recorded=lineage.state == "ok"),
    ]
    bad = [check for check in checks if check.state == "bad"]
    warn, absent = (sum(check.state == state for check in checks) for state in ("warn", "absent"))
    return Report(
        title="everything that is needed is there"
        if not bad
        else f"{len(bad)} of {counted(len(checks), 'check')} failed",
        data={"checks": len(checks), "bad": len(bad), "warn": warn, "absent": absent},
        rows=tuple(
            {"check": c.name, "state": c.state, "detail": c.detail if c.state == "ok" else c.told} for c in checks
        ),
        failures=tuple(Failed(check.name, check.told) for check in bad),
        next="" if bad else _next(engine, recorded=lineage.state == "ok"),
    )


def _next(engine: Engine, *, recorded: bool) -> str:
    """The loop's next command."""
    from data_engine.app.status import standing

    if recorded and engine.settings.annotation.backend != "local":
        return "dataengine status"  # which asks the server, for as long as its patience lasts
    if recorded:
        return standing(engine).next()
    return "dataengine sample" if engine.in_workspace else "dataengine init"


def _packages(needed: str) -> list[Check]:
    """The distributions; ``needed`` is an extra that is not optional here."""
    from data_engine.annotation.cvat.checks import sdk

    checks = []
    for name, extra in PACKAGES.items():
        try:
            version = metadata.version(name)
            checks.append(sdk(version) if name == "cvat-sdk" else Check(name, "ok", version))
        except metadata.PackageNotFoundError:
            repair = installing(extra) if extra else f"pip install {name}"
            checks.append(Check(name, "absent" if extra and extra != needed else "bad", "not installed", repair))
    return checks


def _opencv() -> Check:
    """OpenCV; two builds of it share a folder, which does no harm at one and the same version."""
    found = _installed("opencv-python", "opencv-python-headless")
    if len({text.split()[1] for text in found}) > 1:
        return Check("opencv", "bad", " and ".join(found) + " share one folder", "install both at the same version")
    return _imported("opencv", "cv2", found, "pip install opencv-python")


def _runtime() -> Check:
    """ONNX Runtime and what it can run on; two builds installed at once spoil one another."""
    found = _installed("onnxruntime", "onnxruntime-gpu")
    if len(found) > 1:
        repair = f"pip uninstall onnxruntime onnxruntime-gpu, then {installing('cpu', 'gpu')}"
        return Check("onnxruntime", "bad", " and ".join(found) + " share one folder", repair)
    check = _imported("onnxruntime", "onnxruntime", found, installing("cpu", "gpu"))
    if check.state != "ok":
        return check
    import onnxruntime

    return Check("onnxruntime", "ok", f"{found[0]}: {', '.join(onnxruntime.get_available_providers())}")


def _installed(*names: str) -> list[str]:
    """Those of these distributions that are there, with their versions."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def _imported(name: str, module: str, found: list[str], install: str) -> Check:
    if not found:
        return Check(name, "bad", "not installed", install)
    try:
        importlib.import_module(module)
    except ImportError as error:
        reason = str(error).splitlines()[0]
        distribution = found[0].split()[0]
        repair = f"pip install --force-reinstall {distribution}"
        return Check(name, "bad", f"{found[0]} cannot be imported: {reason}", repair)
    return Check(name, "ok", found[0])


def _space(engine: Engine) -> Check:
    free = shutil.disk_usage(engine.root).free
    return Check("disk", "ok" if free >= _LITTLE_SPACE else "bad", f"{free / 2**30:.1f} GiB free", "free some space")


def _database(engine: Engine) -> Check:
    nothing = Check("lineage", "absent", "nothing is recorded yet", "the first command begins it")
    if not engine.database.exists():
        # To ask an embedded database would make its file.
        return nothing
    try:
        found = migrate.current(engine.database)
        if found is None:
            return nothing
        if found != migrate.HEAD:
            there = f"{engine.database.shown} is at revision {found}, this release at {migrate.HEAD}"
            return Check("lineage", "bad", there, "dataengine db upgrade")
        differences = migrate.differences(engine.database)
    except DataEngineError as error:
        return Check("lineage", "bad", error.message, error.hint)
    if differences:
        return Check("lineage", "bad", f"{engine.database.shown}: {differences[0]}", "dataengine db check")
    return Check("lineage", "ok", f"{engine.database.dialect}, revision {migrate.HEAD}")


def _workspace(engine: Engine, *, recorded: bool) -> list[Check]:
    """What is in the workspace; ``recorded`` when lineage can be asked."""
    here = Check("workspace", "ok", str(engine.root))
    checks = [here if engine.in_workspace else Check("workspace", "absent", "none here", "dataengine init")]
    known = registered_classes(engine) if recorded else ClassRegistry.of(engine.settings.workspace.classes)
    names = known.offered.names
    checks.append(
        Check("classes", "ok" if names else "absent", ", ".join(names) or "none", naming_classes(engine, "a,b"))
    )
    path = current_model(engine, None, recorded=recorded, mend=False)
    if path is None:
        checks.append(Check("model", "absent", "none yet", "dataengine retrain"))
    else:
        checks.append(_model(engine, path, known))
    if recorded and (decided := standing_of(engine)) is not None:
        checks.append(decided)
    if recorded:
        with engine.database.read() as connection:
            frames = footage.sampled_frames(connection)
        gone = sum(not engine.storage.exists(frame.key) for frame in frames)
        told = f"{len(frames)} sampled" + (f", {gone} no longer there" if gone else "")
        checks.append(Check("frames", "bad" if gone else "ok", told, "dataengine sample"))
    copies, size = renditions.kept(engine)
    if copies:
        told = f"{counted(copies, 'small or reduced picture')} in {renditions.FOLDER}, {size / 2**20:.0f} MiB"
        checks.append(Check("copies for pages", "ok", told))
    return checks


def _annotation(engine: Engine, *, recorded: bool) -> list[Check]:
    """Where people annotate, when that is a server; also without an account there."""
    if engine.settings.annotation.backend != "cvat":
        return []
    checks = []
    secret = engine.settings.cvat.webhook_secret
    if secret is not None:
        from data_engine.app.annotation.webhook import secret_of

        try:
            secret_of(engine)
            checks.append(Check("web-hook", "ok", "a secret is set"))
        except DataEngineError as error:
            checks.append(Check("web-hook", "bad", error.message, error.hint))
    found = _installed("cvat-sdk")
    client = _imported("cvat-sdk", "cvat_sdk.core.client", found, installing("cvat"))
    if client.state != "ok":
        # What is not installed was told among the packages.
        return [client, *checks] if found else checks
    from data_engine.annotation.cvat import checks as on_cvat
    from data_engine.annotation.cvat.account import Account

    settings = engine.settings.cvat
    if settings.url is None:
        return [Check("CVAT", "bad", "no address", "[cvat] url in dataengine.toml"), *checks]
    account = Account(
        settings.url,
        settings.token.get_secret_value() if settings.token else None,
        settings.username,
        settings.password.get_secret_value() if settings.password else None,
        settings.organization,
        settings.known_as or "",
    )
    project = settings.project or engine.root.name
    names = registered_classes(engine).offered.names if recorded else engine.settings.workspace.classes
    ledger = TaskLedger(engine.database, account.backend_of(project), now=engine.now) if recorded else None
    seen = on_cvat.checks(account, project, ledger, names, timeout_s=settings.timeout, patience_s=settings.patience)
    return [*seen, *checks]


def _model(engine: Engine, path: Path, known: ClassRegistry) -> Check:
    from data_engine.app.models.models import open_detector

    try:
        detector = open_detector(engine, path)
    except DataEngineError as error:
        return Check("model", "bad", error.message, error.hint)
    strange = [label for label in detector.class_names if label not in known and label not in known.retired]
    if strange:
        return Check(
            "model", "bad", f"{path.name} knows other classes: {', '.join(strange)}", "see classes in dataengine.toml"
        )
    return Check("model", "ok", f"{path.name} ({detector.kind}) on {detector.device}")
