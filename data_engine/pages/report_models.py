"""The report's part on the models: one against the other, what came into use, and that nothing leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_engine.pages.markup import text
from data_engine.pages.report_tables import grid, interval, number, signed, whole
from data_engine.words import counted, listed

_SHORT = 8


def models_part(found: Mapping[str, Any], promotions: Sequence[Mapping[str, Any]]) -> str:
    """Model against model, and the history of those in use."""
    used = found["in_use"]
    lead = (
        f"<p>In use: <b>{text(used['id'][:_SHORT])}</b> ({text(used['kind'])}), one of "
        f"{counted(found['trained'], 'model')} trained here.</p>"
        if used is not None
        else ""
    )
    told = f'<p class="said">{text(found["told"][:1].upper() + found["told"][1:])}.</p>' if found["told"] else ""
    compared = (
        "" if found["comparison"] is None else _compared(found["comparison"], None if used is None else used["id"])
    )
    return f'<section id="models"><h2>Model against model</h2>{lead}{told}{compared}{_history(promotions)}</section>'


def _compared(found: Mapping[str, Any], used: str | None) -> str:
    earlier, later = found["champion_id"][:_SHORT], found["challenger_id"][:_SHORT]
    in_use = {earlier: "", later: "", (used or "")[:_SHORT]: " (in use)"}
    overall = found["overall"]
    low, high = overall["low"], overall["high"]
    sure = (
        "no interval: the footage is too little to say"
        if low is None or high is None
        else "better beyond its interval"
        if low > 0
        else "worse beyond its interval"
        if high < 0
        else "no difference beyond its interval"
    )
    lead = (
        f"<p>{text(later + in_use[later])} against {text(earlier + in_use[earlier])} on the {text(found['on'])}, "
        f"{counted(found['images'], 'picture')}: {text(found['metric'])} {number(overall['challenger'])} against "
        f"{number(overall['champion'])}, {signed(overall['difference'])} "
        f"(95 % {interval(low, high, sign=True)}): <b>{sure}</b>.</p>"
    )
    head = ("", "difference", "95 %", later, earlier, "boxes")
    parts = []
    for title, key in (("class", "per_class"), ("camera", "per_camera"), ("size", "per_size")):
        rows = [
            (
                name,
                signed(delta["difference"]),
                interval(delta["low"], delta["high"], sign=True),
                number(delta["challenger"]),
                number(delta["champion"]),
                whole(delta["boxes"]),
            )
            for name, delta in found[key].items()
        ]
        if rows:
            parts.append(
                f'<section class="card"><h3>By {title}</h3>{grid(f"Difference by {title}", head, rows)}</section>'
            )
    left = [
        f"{label}: {listed(found[key])}"
        for label, key in (
            ("Without a box on these pictures", "unmeasured"),
            (f"Only {earlier} has", "champion_only"),
            (f"Only {later} has", "challenger_only"),
        )
        if found[key]
    ]
    more = f'<p class="soft">{text(". ".join(left))}.</p>' if left else ""
    return f'{lead}<div class="grid wide">{"".join(parts)}</div>{more}'


def _history(promotions: Sequence[Mapping[str, Any]]) -> str:
    if not promotions:
        return ""
    rows = [
        (
            row["at"][:16].replace("T", " "),
            row["model"][:_SHORT],
            row["what"],
            (row["instead_of"] or "–")[:_SHORT],
            row["by"] or "–",
            row["reason"] or "–",
        )
        for row in promotions
    ]
    head = ("when", "model", "what", "instead of", "by", "reason")
    return (
        f'<details class="card"><summary>What came into use, {counted(len(rows), "time")}</summary>'
        f"{grid('Models that came into use', head, rows, words=(1, 2, 3, 4, 5))}</details>"
    )


def certificate_part(found: Mapping[str, Any] | None) -> str:
    """Whether anything leaks from one side of the dataset into another."""
    if found is None:
        return ""
    head = f'<section id="leakage"><h2>Leakage certificate of {text(found["version"])}</h2>'
    said = found["said"]
    if said is None:
        return f'{head}<p class="said">Not written yet: dataengine dataset certificate</p></section>'
    wrong = "".join(f"<li>{text(line)}</li>" for line in found["wrong"])
    verdict = (
        f'<p class="said bad"><b>Something leaks:</b></p><ul>{wrong}</ul>'
        if wrong
        else f'<p class="said"><b>No leak is found, and not all of it can be shown:</b> {text(found["not_shown"])}.</p>'
        if found["not_shown"]
        else '<p class="said"><b class="good">Nothing leaks from one side into another</b>, by these counts.</p>'
    )
    sides = grid(
        "Sides of the dataset",
        ("side", "frames", "boxes", "sources", "blocks of time"),
        [
            (side, *(whole(counts[name]) for name in ("frames", "boxes", "sources", "blocks")))
            for side, counts in said["sides"].items()
        ],
    )
    time, looks = said["time"], said["near_duplicates"]
    facts = [
        ("sources with frames on both sides", whole(time["sources_on_both_sides"])),
        ("smallest distance in time between the sides", _seconds(time["smallest_distance_s"])),
        ("guard between the sides", _seconds(time["smallest_guard"])),
        ("training frames nearer than the guard", whole(time["training_frames_too_near"])),
        ("pairs of frames compared for their looks", whole(looks["pairs_compared"])),
        ("near-duplicates on two sides", whole(looks["across_sides"])),
        ("frames that changed sides", whole(said["frames_that_changed_sides"])),
    ]
    return (
        f'{head}{verdict}<div class="grid wide"><section class="card">{sides}</section><section class="card">'
        f"{grid('What was counted', ('', ''), facts)}</section></div>"
        f'<p class="soft">As written with the version in {text(found["file"])}; '
        "dataengine dataset certificate counts anew.</p></section>"
    )


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:g} s"
