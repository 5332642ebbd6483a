"""``dataset certificate``: by what counts it is shown that nothing leaks from one side of a version into another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from data_engine.app.certificate_counts import counts
from data_engine.app.dataset_versions import version_named
from data_engine.app.engine import Engine
from data_engine.lineage import certificate_rows, golden_frames
from data_engine.selection.kept_apart import SIDES
from data_engine.types import DatasetVersion, Failed, Report
from data_engine.words import counted

_FOLDER = "master_dataset"


def certificate_key(number: int) -> str:
    """Where the certificate of a version lies, beside its file."""
    return f"{_FOLDER}/certificate_v{number}.json"


def write_certificate(engine: Engine, version: DatasetVersion, *, anew: bool = False) -> None:
    """Write the certificate of a version, where it is not there yet.

    It is built on that of the version before, where that lies there: :func:`certificate` counts everything anew.

    Args:
        anew: count everything, and write it whatever lies there: rows of the version were taken away.
    """
    there = None if anew else _written(engine, version.number)
    if there is not None and there["id"] == version.id:
        return
    with engine.database.read() as connection:
        found = counts(connection, version, None if anew else _written(engine, version.number - 1))
    engine.storage.write_bytes(certificate_key(version.number), _bytes(found))


def _written(engine: Engine, number: int) -> dict[str, Any] | None:
    key = certificate_key(number)
    try:
        found = json.loads(engine.storage.read_bytes(key)) if engine.storage.exists(key) else None
    except ValueError:
        return None
    whole = isinstance(found, dict) and {"id", "classes", "near_duplicates"} <= found.keys()
    return found if whole else None


def _bytes(found: Mapping[str, Any]) -> bytes:
    return json.dumps(found, ensure_ascii=False, indent=1).encode() + b"\n"


def certificate(engine: Engine, text: str | None = None) -> Report:
    """Compute a version's certificate anew, compare it with what was written, and hold the models against it.

    What does not hold is a failure each.

    Args:
        text: the version: ``v3``, ``3``, the beginning of its id; without, the newest.

    Raises:
        MissingInputError: there is no such version.
    """
    with engine.database.read() as connection:
        version = version_named(connection, text)
        said = counts(connection, version)
        data = _bytes(said)
        trained: list[dict[str, Any]] = [
            {
                "model": model.model_id,
                "version": None if model.version is None else f"v{model.version}",
                "golden_frames_trained_on": None
                if model.version is None
                else certificate_rows.trained_on_golden(connection, version.number, model.version),
            }
            for model in golden_frames.trained_models(connection)
        ]
    key = certificate_key(version.number)
    wrong = _wrong(said)
    wrong += [
        f"model {model['model'][:8]} ({model['version']}) was trained on "
        f"{counted(model['golden_frames_trained_on'], 'frame')} that are golden here"
        for model in trained
        if model["golden_frames_trained_on"]
    ]
    if not engine.storage.exists(key):
        engine.storage.write_bytes(key, data)
    elif engine.storage.read_bytes(key) != data:
        wrong.append(f"{engine.shown(key)} says other counts than the rows do")
    time, looks = said["time"], said["near_duplicates"]
    return Report(
        title=f"certificate of dataset version {version.label}: "
        + ("nothing leaks from one side into another" if not wrong else f"{counted(len(wrong), 'thing')} wrong"),
        data={
            "version": version.label,
            "version_id": version.id,
            "sound": not wrong,
            **{f"{side}_{what}": n for side in SIDES for what, n in said["sides"][side].items()},
            **{name: value for name, value in time.items() if value is not None},
            "pairs_of_frames_compared": looks["pairs_compared"],
            "near_duplicates_across_sides": looks["across_sides"],
            "frames_that_changed_sides": said["frames_that_changed_sides"],
            "models_trained_on_golden": sum(bool(model["golden_frames_trained_on"]) for model in trained),
            "models": trained,
            "certificate": said,
            "output": engine.shown(key),
        },
        rows=tuple(said["classes"]),
        notes=(
            f"pairs of frames of different sources count as near-duplicates up to {looks['differing_bits_at_most']} "
            "differing bits of 64, where neither look recurs in its own source",
        ),
        failures=tuple(Failed(version.label, reason) for reason in wrong),
    )


def _wrong(said: Mapping[str, Any]) -> list[str]:
    time, looks = said["time"], said["near_duplicates"]
    claims = (
        (
            time["training_frames_too_near"],
            "of the training side nearer than the guard to one that models are judged by",
        ),
        (said["frames_that_changed_sides"], "on another side than in a version before"),
    )
    wrong = [f"{counted(number, 'frame')} {what}" for number, what in claims if number]
    if looks["across_sides"]:
        pairs = "; ".join(f"{one[:8]} and {other[:8]}" for one, other in looks["named"][:3])
        wrong.append(f"{counted(looks['across_sides'], 'pair')} of near-duplicates on two sides: {pairs}")
    return wrong
