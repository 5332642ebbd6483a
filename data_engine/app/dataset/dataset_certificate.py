"""``dataset certificate``: by what counts it is shown that nothing leaks from one side of a version into another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from data_engine.app.dataset.certificate_counts import counts
from data_engine.app.dataset.dataset_versions import version_named
from data_engine.app.engine import Engine
from data_engine.lineage import certificate_rows, golden_frames
from data_engine.lineage.database import Connection
from data_engine.lineage.split_sources import Ever
from data_engine.selection.kept_apart import SIDES
from data_engine.types import DatasetVersion, Failed, Report, content_id
from data_engine.words import counted

_FOLDER = "master_dataset"
_NO_PAIRS = "no two sources without a common time axis lie on two sides: by their looks nothing was to be compared"


def certificate_key(number: int) -> str:
    """Where the certificate of a version lies, beside its file."""
    return f"{_FOLDER}/certificate_v{number}.json"


def write_certificate(engine: Engine, version: DatasetVersion, *, anew: bool = False, ever: Ever | None = None) -> None:
    """Write the certificate of a version, where it is not there yet.

    It is built on that of the version before, where that lies there: :func:`made_anew` counts everything.

    Args:
        anew: count everything, and write it whatever lies there: rows of the version were taken away.
        ever: as of :func:`~data_engine.app.dataset.certificate_counts.counts`.
    """
    there = None if anew else written(engine, version.number)
    if there is not None and there["id"] == version.id:
        return
    with engine.database.read() as connection:
        found = counts(connection, version, None if anew else written(engine, version.number - 1), ever)
    engine.storage.write_bytes(certificate_key(version.number), _bytes(found))


def made_anew(connection: Connection, version: DatasetVersion) -> bytes:
    """The certificate's file as the rows say it, nothing taken over from any file."""
    return _bytes(counts(connection, version))


def written(engine: Engine, number: int) -> dict[str, Any] | None:
    """What a certificate's file says; None where it is not there, or not as this program wrote it."""
    key = certificate_key(number)
    try:
        found = json.loads(engine.storage.read_bytes(key)) if engine.storage.exists(key) else None
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    # Made by an earlier release, or edited by hand.
    return found if found.pop("content_id", None) == _content(found) else None


def _content(found: Mapping[str, Any]) -> str:
    return content_id("certificate", json.dumps(found, sort_keys=True))


def _bytes(found: Mapping[str, Any]) -> bytes:
    whole = {**found, "content_id": _content(found)}
    return json.dumps(whole, ensure_ascii=False, indent=1).encode() + b"\n"


def remark(engine: Engine, version: DatasetVersion) -> str | None:
    """What people are to know of the certificate that was written of a version; None where it shows no leak."""
    said = written(engine, version.number)
    if said is None:
        return None
    wrong, untold = wrong_with(said), not_shown(said)
    if not wrong and not untold:
        return None
    told = f"the certificate of {version.label} is not sound: {wrong[0]}" if wrong else untold
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return f"{told}{more}; see: dataengine dataset certificate {version.label}"


def certificate(engine: Engine, text: str | None = None) -> Report:
    """Compute a version's certificate anew, compare it with what was written, and hold the models against it.

    What does not hold is a failure each.  It is sound where nothing is wrong and no pair of frames is left out of
    which nobody can tell whether it is one moment.

    Args:
        text: the version: ``v3``, ``3``, the beginning of its id; without, the newest.

    Raises:
        MissingInputError: there is no such version.
    """
    with engine.database.read() as connection:
        version = version_named(connection, text)
        said = counts(connection, version)
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
    key, data = certificate_key(version.number), _bytes(said)
    wrong, untold = wrong_with(said), not_shown(said)
    wrong += [
        f"model {model['model'][:8]} ({model['version']}) was trained on "
        f"{counted(model['golden_frames_trained_on'], 'frame')} that are golden here"
        for model in trained
        if model["golden_frames_trained_on"]
    ]
    if not engine.storage.exists(key):
        engine.storage.write_bytes(key, data)
    differs = engine.storage.read_bytes(key) != data
    if differs:
        wrong.append(f"{engine.shown(key)} says other counts than the rows do")
    time, looks = said["time"], said["near_duplicates"]
    return Report(
        title=f"certificate of dataset version {version.label}: "
        + (
            f"{counted(len(wrong), 'thing')} wrong"
            if wrong
            else "no leak is found, and not all of it can be shown"
            if untold
            else "nothing leaks from one side into another"
        ),
        data={
            "version": version.label,
            "version_id": version.id,
            "sound": not wrong and not untold,
            "verdict": "wrong" if wrong else "not shown" if untold else "sound",
            **{f"{side}_{what}": n for side in SIDES for what, n in said["sides"][side].items()},
            **({"frames_purged": said["frames_purged"]} if said["frames_purged"] else {}),
            **{name: value for name, value in time.items() if value is not None},
            "frames_compared": looks["frames_compared"],
            "frames_without_a_look": looks["frames_without_a_look"],
            "pairs_of_frames_compared": looks["pairs_compared"],
            "near_duplicates_across_sides": looks["across_sides"],
            "near_duplicates_not_counted": looks["exempt_pairs"],
            "frames_that_changed_sides": said["frames_that_changed_sides"],
            "models_trained_on_golden": sum(bool(model["golden_frames_trained_on"]) for model in trained),
            "models": trained,
            "certificate": said,
            "output": engine.shown(key),
        },
        rows=tuple(said["classes"]),
        notes=(
            *filter(None, [untold]),
            f"pairs of frames of sources without a common time axis count as near-duplicates up to "
            f"{looks['differing_bits_at_most']} differing bits of 64, where neither look recurs in its own source, or "
            "nearer than it does, between a video and numbered pictures",
            *(() if looks["pairs_compared"] else (_NO_PAIRS,)),
        ),
        failures=tuple(Failed(version.label, reason) for reason in wrong),
        next="dataengine dataset verify --repair" if differs else "",
    )


def wrong_with(said: Mapping[str, Any]) -> list[str]:
    """What does not hold, by the counts of a certificate."""
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


def not_shown(said: Mapping[str, Any]) -> str:
    """What the certificate cannot tell, in a sentence; empty where there is nothing."""
    exempt, unseen = (said["near_duplicates"][name] for name in ("exempt_pairs", "frames_without_a_look"))
    parts = []
    if exempt:
        parts.append(
            f"{counted(exempt, 'pair')} of frames on two sides look alike and {'is' if exempt == 1 else 'are'} not "
            "counted: a static camera shows that look again and again, so nobody can tell whether they are one moment"
        )
    if unseen:
        parts.append(f"{counted(unseen, 'frame')} without a hash {'was' if unseen == 1 else 'were'} not compared")
    return "; ".join(parts)
