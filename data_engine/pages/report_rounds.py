"""The report's part on the rounds: what they brought and what they cost, and how the classes are balanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_engine.pages import charts
from data_engine.pages.markup import text
from data_engine.pages.report_tables import MOST, grid, interval, number, percent, whole
from data_engine.words import counted

_MOST_CLASSES = 12
"""Classes that the chart shows: the commonest half and the rarest half of these."""


def rounds_part(data: Mapping[str, Any]) -> str:
    """Charts and tables of the rounds."""
    told: Sequence[Mapping[str, Any]] = data["rounds"]
    if not told:
        return (
            '<section id="rounds"><h2>Rounds</h2><p class="said">No round has ended yet: one ends when a model was '
            "trained on a dataset version that people have labelled.</p></section>"
        )
    shown = told[-MOST:]
    older = f"<p class='soft'>The newest {len(shown)} of {len(told)}.</p>" if len(shown) < len(told) else ""
    return (
        f'<section id="rounds"><h2>Rounds <span class="soft">{len(told)}</span></h2>{older}'
        f"{_verdict(data['verdict'], told[-1])}"
        f'<div class="grid">{_reached(data, shown)}{_labels(shown)}{_minutes(shown)}</div>'
        f"{_table(data, shown)}{_decisions(shown)}{_cpu(shown)}</section>"
    )


def _verdict(verdict: Mapping[str, Any] | None, last: Mapping[str, Any]) -> str:
    """Whether another round is worth it."""
    if verdict is None:
        return ""
    head = {True: "Another round is worth its labels", False: "Another round is not worth its labels"}.get(
        verdict["go_on"], "Whether another round is worth its labels is not known"
    )
    stopped = last["stop"] or {}
    overruled = (
        f" It was begun all the same on {text(stopped['overruled_at'][:10])}." if stopped.get("overruled_at") else ""
    )
    return f'<p class="said"><b>{head}.</b> {text(verdict["told"][:1].upper() + verdict["told"][1:])}.{overruled}</p>'


def _measure(one: Mapping[str, Any], name: str | None = None) -> Mapping[str, Any]:
    """What a round's model reaches, over all classes or for one."""
    reached = one["reached"] or {}
    found: Mapping[str, Any] | None = (
        reached.get("map50") if name is None else (reached.get("ap50_per_class") or {}).get(name)
    )
    return found or {"value": None, "low": None, "high": None}


def _rare(data: Mapping[str, Any]) -> str | None:
    """The rarest of several classes."""
    found = data["class_balance"] or {}
    rare: str | None = found.get("rarest_class")
    return rare if len(found.get("classes", ())) > 1 else None


def _reached(data: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> str:
    rare = _rare(data)
    parts = [("all classes", None, charts.BLUE, "o"), (f"{rare} (rarest)", rare, charts.RED, "s")]
    drawn = [
        charts.Line(
            name,
            [_measure(one, key)["value"] for one in shown],
            [_measure(one, key)["low"] for one in shown],
            [_measure(one, key)["high"] for one in shown],
            hue,
            marker,
        )
        for name, key, hue, marker in parts
        if key is not None or name == "all classes"
    ]
    drawn = [line for line in drawn if any(value is not None for value in line.values)]
    if not drawn:
        return '<section class="card"><h3>AP50 by round</h3><p>No model of these rounds was measured.</p></section>'
    said = "; ".join(
        f"{line.name}: " + ", ".join(f"round {one['round']} {number(value)}" for one, value in _pairs(shown, line))
        for line in drawn
    )
    sets = sorted({(one["reached"] or {}).get("on") or "" for one in shown} - {""})
    where = f"On the {sets[0]}." if len(sets) == 1 else "On different pictures, see the table: compare with care."
    chart = charts.lines([str(one["round"]) for one in shown], drawn, unit="AP50", alternative=f"AP50 by round. {said}")
    return (
        f'<section class="card"><h3>AP50 by round, with 95 % intervals</h3>{chart}<p class="soft">{text(where)}</p>'
        "</section>"
    )


def _pairs(shown: Sequence[Mapping[str, Any]], line: charts.Line) -> list[tuple[Mapping[str, Any], float]]:
    return [(one, value) for one, value in zip(shown, line.values, strict=True) if value is not None]


def _labels(shown: Sequence[Mapping[str, Any]]) -> str:
    return _columns(
        "Frames labelled by people",
        shown,
        [float(one["frames"] or 0) for one in shown],
        "frames",
        charts.GREEN,
        f"{whole(sum(one['frames'] or 0 for one in shown))} frames with "
        f"{whole(sum(one['boxes'] or 0 for one in shown))} boxes in these rounds.",
    )


def _minutes(shown: Sequence[Mapping[str, Any]]) -> str:
    jobs = sum(one["jobs"] or 0 for one in shown)
    timed = sum(one["jobs_timed"] or 0 for one in shown)
    note = f"{number(sum(one['minutes'] or 0 for one in shown) / 60, 1)} h in these rounds; "
    note += (
        "seen of all jobs."
        if timed == jobs
        else f"seen of {timed} of {counted(jobs, 'job')}, of the others as expected."
    )
    reviews = sum(one["reviews_timed"] for one in shown)
    hours = number(sum(one["review_minutes"] or 0 for one in shown) / 60, 1)
    note += (
        f" Reviewers: {hours} h, seen of {reviews} of {counted(jobs, 'job')}."
        if reviews
        else " No review was seen to begin, so reviewers' minutes are not known."
    )
    minutes = [float(one["minutes"] or 0) for one in shown]
    return _columns("Minutes of annotators", shown, minutes, "minutes", charts.BLUE, note)


def _columns(
    title: str, shown: Sequence[Mapping[str, Any]], values: Sequence[float], unit: str, hue: str, note: str
) -> str:
    said = ", ".join(f"round {one['round']} {value:.4g}" for one, value in zip(shown, values, strict=True))
    chart = charts.columns(
        [str(one["round"]) for one in shown], values, unit=unit, hue=hue, alternative=f"{title}: {said}"
    )
    return f'<section class="card"><h3>{text(title)}</h3>{chart}<p class="soft">{text(note)}</p></section>'


def _table(data: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> str:
    rare = _rare(data)
    names: list[str | None] = [None] if rare is None else [None, rare]
    rows = []
    for one in shown:
        measures = [_measure(one, name) for name in names]
        rows.append(
            (
                one["round"],
                one["version"] or "–",
                *(whole(one[name]) for name in ("pool", "chosen", "frames", "boxes")),
                number(one["minutes"], 1),
                number(one["review_minutes"], 1),
                *(
                    cell
                    for found in measures
                    for cell in (number(found["value"]), interval(found["low"], found["high"]))
                ),
                one["decision"] or "–",
                (one["reached"] or {}).get("on") or "–",
            )
        )
    head = ["round", "version", "pool", "chosen", "frames", "boxes", "minutes", "of reviewers"]
    for name in names:
        head += ["AP50" if name is None else f"AP50 {name}", "95 %"]
    width = len(head)
    return grid("The rounds", (*head, "model", "measured on"), rows, words=(width, width + 1))


def _decisions(shown: Sequence[Mapping[str, Any]]) -> str:
    """Why models were refused."""
    rows = [(one["round"], one["decision"], "; ".join(one["reasons"])) for one in shown if one["reasons"]]
    if not rows:
        return ""
    return (
        "<details class='card'><summary>Why models were not promoted, or taken back</summary>"
        f"{grid('Reasons', ('round', 'decision', 'reasons'), rows, words=(1, 2))}</details>"
    )


def _cpu(shown: Sequence[Mapping[str, Any]]) -> str:
    """What this machine worked."""
    steps = list(dict.fromkeys(step for one in shown for step in one["cpu_s"]))
    if not steps:
        return ""
    rows = [(one["round"], *(number(one["cpu_s"].get(step), 1) for step in steps)) for one in shown]
    return (
        "<details class='card'><summary>CPU seconds of this machine, by step that run took</summary>"
        f"{grid('CPU seconds by step', ('round', *steps), rows)}</details>"
    )


def balance_part(found: Mapping[str, Any] | None) -> str:
    """The classes before and after."""
    if found is None or not found["classes"]:
        return ""
    rows: list[Mapping[str, Any]] = found["classes"]
    first, newest = found["from"], found["to"]
    drawn = rows
    if len(rows) > _MOST_CLASSES:
        drawn = [*rows[: _MOST_CLASSES // 2], *rows[-_MOST_CLASSES // 2 :]]
    said = "; ".join(
        f"{row['class']} {percent(row['share_before'])} in {first}, {percent(row['share_after'])} in {newest}"
        for row in drawn
    )
    chart = charts.pairs(
        [row["class"] for row in drawn],
        [row["share_before"] or 0.0 for row in drawn],
        [row["share_after"] or 0.0 for row in drawn],
        unit="share of the boxes",
        names=(f"in {first}", f"in {newest}"),
        alternative=f"Share of the boxes by class: {said}",
    )
    few = "" if len(drawn) == len(rows) else f'<p class="soft">The commonest and rarest of {len(rows)} classes.</p>'
    rare = found.get("rarest_class")
    told = (
        f"<p>Rarest: <b>{text(rare)}</b> with {counted(found['rarest_boxes'], 'box')}, "
        f"{percent(found['rarest_share'])} of all; of the commonest there are {found['commonest_to_rarest']:.3g} times "
        "as many.</p>"
        if rare is not None
        else "<p>No box of any class yet.</p>"
    )
    table = grid(
        "Boxes by class",
        ("class", f"boxes in {first}", "share", f"boxes in {newest}", "share"),
        [
            (
                row["class"],
                whole(row["before"]),
                percent(row["share_before"]),
                whole(row["after"]),
                percent(row["share_after"]),
            )
            for row in rows
        ],
    )
    return (
        f'<section id="classes"><h2>Class balance, {text(first)} to {text(newest)}</h2><div class="grid">'
        f'<section class="card">{chart}{few}</section><section class="card">{told}{table}</section></div></section>'
    )
