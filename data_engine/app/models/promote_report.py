"""What was decided about a challenger, as people and programs are told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from data_engine.app.models.in_use import SHORT
from data_engine.stages.promote import Decision
from data_engine.types import Failed, Model, Report

REFUSED = 1
"""Exit code of a challenger that does not come into use: a result, and one that a script must notice."""
_SHOWN = ("champion", "challenger", "difference", "low", "high", "boxes")


def told_of(decision: Decision | None) -> dict[str, Any]:
    """A decision as a few plain values; None where none was asked for."""
    if decision is None:
        return {"in_use": None}
    overall = decision.numbers.get("overall") or {}
    return {
        "in_use": decision.promoted,
        "held_against": decision.over_id,
        "judged_on": decision.on,
        "difference": overall.get("difference"),
        "reasons": list(decision.reasons),
    }


def remarks_on(decision: Decision | None) -> tuple[str, ...]:
    """The same for people, beside other work."""
    if decision is None:
        return ("it is not in use: nothing was decided about it; dataengine promote does",)
    return (*(f"it does not come into use: {reason}" for reason in decision.reasons), *decision.notes)


def report(challenger: Model, decision: Decision, *, dry_run: bool) -> Report:
    """The whole of it; the exit code of a refusal is :data:`REFUSED`."""
    short, would = challenger.id[:SHORT], "would be" if dry_run else "is"
    over = "" if decision.over_id is None else f", after {decision.over_id[:SHORT]}"
    if decision.promoted:
        how = "forced into use" if decision.forced else "in use"
        title = f"{challenger.kind} {short} {would} {how}{over}"
    else:
        title = f"{challenger.kind} {short} {'would not come' if dry_run else 'does not come'} into use"
    return Report(
        title=title,
        data={
            "promoted": decision.promoted,
            "forced": decision.forced,
            "model_id": challenger.id,
            "kind": challenger.kind,
            "over": decision.over_id,
            "on": decision.on,
            **_measured(decision),
            "reasons": list(decision.reasons),
            "decision": dict(decision.numbers),
        },
        rows=tuple(_rows(decision)),
        notes=(*(f"overruled: {text}" for text in decision.reasons if decision.forced), *decision.notes),
        failures=() if decision.promoted else tuple(Failed(short, text) for text in decision.reasons),
        failure_code=REFUSED,
        next="dataengine filter" if decision.promoted else "",
    )


def _measured(decision: Decision) -> dict[str, Any]:
    """The numbers that decided."""
    overall = decision.numbers.get("overall")
    if not overall:
        return {}
    return {
        "metric": decision.numbers["metric"],
        "evidence": decision.numbers["evidence"],
        "images": decision.numbers["images"],
        "stretches": decision.numbers["stretches"],
        **{name: overall[name] for name in ("champion", "challenger", "difference", "low", "high")},
    }


def _rows(decision: Decision) -> Iterable[dict[str, Any]]:
    groups = [("per_class", "class"), ("per_camera", "camera")]
    # Where recall decides, the classes' numbers are those.
    groups += [("recall", "recall of")] if decision.numbers.get("metric") != "recall" else []
    for group, name in groups:
        for part, delta in decision.numbers.get(group, {}).items():
            yield {"part": f"{name} {part}", **{shown: delta[shown] for shown in _SHOWN}}
