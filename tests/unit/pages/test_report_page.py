"""The report's page: drawn from plain data, readable without its pictures, and never endless."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from data_engine.pages import charts
from data_engine.pages.report import ChosenFrames, report_page
from data_engine.types import Frame, SelectedFrame, Selection

VOID = {"meta", "img", "br", "path", "use", "rect", "input"}


class Checked(HTMLParser):
    """Every element is closed where it belongs; what it holds is told."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("role") == "img":
            self.labels.append(given["aria-label"] or "")
        if "svg" not in self.open and given.get("id"):
            self.ids.append(given["id"] or "")
        if tag == "a":
            self.links.append(given["href"] or "")
        if tag == "img":
            self.images.append(given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None: ...

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def checked(page: str) -> Checked:
    found = Checked()
    found.feed(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links} <= set(found.ids)
    assert all(image["alt"] for image in found.images)
    assert "<script" not in page
    assert not re.search(
        r'(?:src|href)="(?!data:|#)|url\((?!#)', page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    )
    return found


def interval(value: float | None, off: float = 0.05) -> dict[str, Any]:
    return {
        "value": value,
        "low": None if value is None else value - off,
        "high": None if value is None else value + off,
    }


def a_round(number: int, **changes: Any) -> dict[str, Any]:
    reached = {
        "on": "golden set of v3",
        "map50": interval(0.4 + 0.1 * number if number < 5 else 0.8),
        "ap50_per_class": {"person": interval(0.7), "no-helmet": interval(None if number == 1 else 0.2)},
    }
    return {
        "round": number,
        "version": f"v{number}",
        "pool": 100,
        "chosen": 12,
        "frames": 10 + number,
        "boxes": 30,
        "jobs": 2,
        "jobs_timed": 1,
        "minutes": 7.5,
        "review_minutes": None,
        "reviews_timed": 0,
        "decision": "promoted",
        "reasons": [],
        "reached": reached,
        "cpu_s": {"retrain": 12.5},
        "stop": None,
    } | changes


def data(**changes: Any) -> dict[str, Any]:
    return {
        "workspace": "yard <7>",
        "at": "2026-01-02T03:04:05.678+00:00",
        "flow": [
            {"step": "videos", "count": 1234, "detail": "videos_raw/"},
            {"step": "jobs", "count": None, "detail": ""},
        ],
        "next": "dataengine filter",
        "rounds": [],
        "verdict": None,
        "class_balance": None,
        "annotators": [],
        "reviewers": [],
        "audit": None,
        "chosen": None,
        "models": {"trained": 0, "in_use": None, "other": None, "comparison": None, "told": "no model is in use yet"},
        "promotions": [],
        "certificate": None,
    } | changes


def page_of(**changes: Any) -> str:
    return report_page(data(**changes))


BALANCE = {
    "from": "v1",
    "to": "v3",
    "classes": [
        {"class": "person", "before": 60, "after": 200, "share_before": 0.9, "share_after": 0.8},
        {"class": "no-helmet", "before": 7, "after": 50, "share_before": 0.1, "share_after": 0.2},
    ],
    "rarest_class": "no-helmet",
    "rarest_boxes": 50,
    "rarest_share": 0.2,
    "commonest_to_rarest": 4.0,
}


def test_a_workspace_where_nothing_happened_yet():
    page = page_of()
    found = checked(page)
    assert "yard &lt;7&gt;" in page
    assert "No round has ended yet" in page
    assert "Nobody has annotated yet" in page
    assert "No model is in use yet" in page
    assert found.labels == []
    assert found.links == ["#flow", "#rounds", "#models", "#people"]


def test_charts_say_in_words_what_they_show_and_a_table_says_it_too():
    page = page_of(rounds=[a_round(1), a_round(2), a_round(3, minutes=None)], class_balance=BALANCE)
    found = checked(page)
    assert found.labels == [
        "AP50 by round. all classes: round 1 0.500, round 2 0.600, round 3 0.700; "
        "no-helmet (rarest): round 2 0.200, round 3 0.200",
        "Frames labelled by people: round 1 11, round 2 12, round 3 13",
        "Minutes of annotators: round 1 7.5, round 2 7.5, round 3 0",
        "Share of the boxes by class: person 90.0 % in v1, 80.0 % in v3; no-helmet 10.0 % in v1, 20.0 % in v3",
    ]
    assert "<td>0.600</td><td>0.550 to 0.650</td><td>0.200</td><td>0.150 to 0.250</td>" in page
    assert "seen of 3 of 6 jobs, of the others as expected" in page
    assert page_of(rounds=[a_round(1)], class_balance=BALANCE) == page_of(rounds=[a_round(1)], class_balance=BALANCE)


def test_one_class_has_no_rarest():
    alone = BALANCE | {"classes": BALANCE["classes"][:1], "rarest_class": "person"}
    page = page_of(rounds=[a_round(1)], class_balance=alone)
    assert "(rarest)" not in page
    assert "AP50 person" not in page


def test_rounds_without_any_measure():
    page = page_of(rounds=[a_round(1, reached=None, decision=None)])
    assert "No model of these rounds was measured" in page
    assert len(checked(page).labels) == 2


def test_the_rule_and_what_was_decided_are_told():
    stopped = a_round(1, reasons=["no-helmet is worse beyond its tolerance"], decision="refused")
    stopped["stop"] = {"overruled_at": "2026-01-05T00:00"}
    page = page_of(rounds=[stopped], verdict={"go_on": False, "told": "rounds 1 to 3 brought +0.1 points"})
    assert "<b>Another round is not worth its labels.</b> Rounds 1 to 3 brought +0.1 points." in page
    assert "It was begun all the same on 2026-01-05." in page
    assert "no-helmet is worse beyond its tolerance" in page


def test_one_model_against_the_other():
    delta = {"champion": 0.6, "challenger": 0.7, "difference": 0.1, "low": 0.02, "high": 0.18, "images": 9, "boxes": 40}
    nothing = dict.fromkeys(delta) | {"images": 9, "boxes": 0}
    comparison = {
        "champion_id": "a" * 32,
        "challenger_id": "b" * 32,
        "on": "golden set of v3",
        "images": 9,
        "metric": "map50",
        "overall": delta,
        "per_class": {"person": delta},
        "per_camera": {"gate": delta},
        "per_size": {"small": nothing},
        "unmeasured": ("vest",),
        "champion_only": (),
        "challenger_only": (),
    }
    used = {"id": "b" * 32, "kind": "yolo", "file": "f", "classes": []}
    told = {"trained": 2, "in_use": used, "other": None, "comparison": comparison, "told": ""}
    page = page_of(models=told)
    checked(page)
    assert "bbbbbbbb (in use) against aaaaaaaa on the golden set of v3, 9 pictures" in page
    assert "<b>better beyond its interval</b>" in page
    assert "Without a box on these pictures: vest" in page
    for ends, said in (
        ((-0.2, -0.1), "worse beyond"),
        ((-0.1, 0.1), "no difference"),
        ((None, None), "too little to say"),
    ):
        comparison["overall"] = delta | dict(zip(("low", "high"), ends, strict=True))
        assert said in page_of(models=told)


@pytest.mark.parametrize(
    ("wrong", "untold"),
    [([], ""), (["3 frames on another side than in a version before"], ""), ([], "2 pairs of frames look alike")],
)
def test_the_certificate(wrong, untold):
    sides = {side: {"frames": 4, "boxes": 9, "sources": 1, "blocks": 2} for side in ("train", "valid")}
    time = {
        "sources_on_both_sides": 1,
        "smallest_distance_s": None,
        "smallest_guard": 1.5,
        "training_frames_too_near": 0,
    }
    said = {
        "sides": sides,
        "time": time,
        "near_duplicates": {"pairs_compared": 12345, "across_sides": 0},
        "frames_that_changed_sides": 0,
    }
    page = page_of(certificate={"version": "v3", "said": said, "wrong": wrong, "not_shown": untold, "file": "c.json"})
    checked(page)
    assert ("Nothing leaks" in page) == (not wrong and not untold)
    assert untold in page
    assert all(line in page for line in wrong)
    assert "Not written yet" in page_of(certificate={"version": "v3", "said": None, "wrong": [], "file": "c.json"})


AUDIT = {
    "annotators": [
        {
            "annotator": "ann",
            "probes": 4,
            "caught": 1,
            "moved": 2,
            "relabelled": 0,
            "added": 3,
            "removed": 0,
            "changed_in_review": None,
            "flagged": 2,
        }
    ],
    "probes": 4,
    "caught": 1,
    "rushed_jobs": [{"job": 7, "annotator": "ann", "frames": 9, "minutes": 0.1}],
    "told": ["job 7 (ann): nothing was changed on 9 frames in 0.1 min"],
}


def test_people_are_told_with_how_closely_they_looked():
    annotator = {"annotator": "ann", "jobs": 2, "frames": 9, "kept": 5, "edited": 1, "added": 0, "minutes": None}
    reviewer = {"reviewer": "rev", "accepted": 1, "rejected": 0, "minutes": 12.5, "jobs_timed": 1}
    people = {"annotators": [{**annotator, "jobs_timed": 0, "rejections": 0}], "reviewers": [reviewer]}
    page = page_of(**people, audit=AUDIT, rounds=[a_round(1, review_minutes=12.5, reviews_timed=1)])
    for told in (
        "1 of 4 probes caught; 1 job handed in without a change in less time than looking takes.",
        "job 7 (ann): nothing was changed on 9 frames in 0.1 min",
        "Reviewers: 0.2 h, seen of 1 of 2 jobs.",
        "hours of reviewers, as far as seen",
    ):
        assert told in page
    assert "No probe was shown" in page_of(**people, audit={**AUDIT, "probes": 0, "caught": 0})
    assert "How closely they looked" not in page_of(**people)
    assert "reviewers&#x27; minutes are not known" in page_of(rounds=[a_round(1)])


def test_pictures_are_described():
    frame = Frame("f" * 32, "gate.jpg", "frames/gate.jpg", 64, 48, "gate")
    selection = Selection("s" * 32, None, (SelectedFrame(frame.id, 1, 0.5, "diverse: unlike the rest", {}),))
    page = report_page(
        data(chosen={"frames": 900, "model": None, "shown": []}),
        ChosenFrames(selection, {frame.id: frame}, {}, (), {frame.id: b"jpeg"}, floor=0.05, threshold=0.4),
    )
    assert [image["alt"] for image in checked(page).images] == ["gate.jpg, no box"]
    assert "899 more in the gallery" in page


def test_the_page_ends_whatever_there_is():
    many = [a_round(number) for number in range(1, 401)]
    classes = [dict(BALANCE["classes"][0], **{"class": f"class {number}"}) for number in range(500)]
    people = [
        {
            "annotator": f"a{n}",
            "jobs": 1,
            "frames": 1,
            "kept": 1,
            "edited": 0,
            "added": 0,
            "minutes": 1.0,
            "jobs_timed": 1,
        }
        | {"rejections": 0}
        for n in range(900)
    ]
    page = page_of(rounds=many, class_balance=BALANCE | {"classes": classes}, annotators=people)
    checked(page)
    assert len(page) < 400_000
    assert "The newest 30 of 400" in page
    assert "and 870 more: dataengine report --json" in page
    assert "The commonest and rarest of 500 classes" in page


def test_a_chart_takes_its_colours_from_the_page_and_its_letters_as_letters():
    chart = charts.columns(
        ["1", "2"], [1.0, 3.0], unit="frames & more", hue=charts.GREEN, alternative='a "quoted" <one>'
    )
    assert "frames &amp; more</text>" in chart
    assert "fill: var(--c0)" in chart
    assert "#0101" not in chart
    assert "<style" not in chart
    assert 'aria-label="a &quot;quoted&quot; &lt;one&gt;"' in chart
