"""Which known-wrong boxes are shown, and how one that nobody touched is known again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from data_engine.formats.boxes import overlap
from data_engine.stages.probes import CLEARLY_WRONG, MOST, plan, uncaught, with_probe
from data_engine.stages.upload import UploadSettings
from data_engine.types import Box, Frame, Probe, content_id

LABELS = ("person", "helmet", "no-helmet")
WIDTH, HEIGHT = 640, 360


def frame(number: int) -> Frame:
    return Frame(content_id("frame", number), f"f{number:04d}.jpg", f"f{number}.jpg", WIDTH, HEIGHT, "cam")


@st.composite
def proposals(draw) -> tuple[list[Frame], dict[str, tuple[Box, ...]]]:
    """Frames with up to six proposals each, best first, as the stage before rounds them."""
    frames = [frame(number) for number in range(draw(st.integers(1, 12)))]
    boxes = {}
    for each in frames:
        rows = []
        for index in range(draw(st.integers(0, 6))):
            w, h = draw(st.integers(1, WIDTH * 100)) / 100, draw(st.integers(1, HEIGHT * 100)) / 100
            x = round(draw(st.floats(0, 1)) * (WIDTH - w), 2)
            y = round(draw(st.floats(0, 1)) * (HEIGHT - h), 2)
            score = draw(st.none() | st.floats(0.25, 1).map(lambda value: round(value, 4)))
            label = draw(st.sampled_from(LABELS))
            identity = content_id("proposal", each.id, index)
            rows.append(Box(label, (x, y, w, h), score, identity, iscrowd=draw(st.integers(0, 9)) == 0))
        boxes[each.name] = tuple(sorted(rows, key=lambda box: -(box.score or 0.0)))
    return frames, boxes


@settings(max_examples=40, deadline=None)
@given(proposals(), st.floats(0, MOST), st.sampled_from(["", "cvat:one Batch_01"]))
def test_a_probe_is_wrong_and_looks_like_a_proposal(made, share, seed):
    frames, boxes = made
    probes = plan(frames, boxes, LABELS, share, seed)
    assert probes == plan(frames, boxes, LABELS, share, seed)
    total = sum(not box.iscrowd for rows in boxes.values() for box in rows)
    assert len(probes) <= (max(1, round(share * total)) if share else 0)
    scores = {box.score for rows in boxes.values() for box in rows}
    ids = {box.proposal_id for rows in boxes.values() for box in rows}
    for name, probe in probes.items():
        real, box = boxes[name], probe.box
        x, y, w, h = box.xywh
        assert min(x, y) >= 0
        assert x + w <= WIDTH
        assert y + h <= HEIGHT
        assert box.label in LABELS
        assert box.score in scores
        assert len(box.proposal_id or "") == 32
        assert box.proposal_id not in ids
        if probe.kind == "swapped":
            assert probe.replaces in real
            assert (box.xywh, box.score) == (probe.replaces.xywh, probe.replaces.score)
            assert box.label != probe.replaces.label
        elif probe.kind == "shifted":
            assert probe.replaces in real
            assert (box.label, box.xywh[2:]) == (probe.replaces.label, probe.replaces.xywh[2:])
            assert max(overlap(box.xywh, other.xywh) for other in real) < CLEARLY_WRONG
        else:
            assert probe.replaces is None
            assert max(overlap(box.xywh, other.xywh) for other in real) == 0.0
        shown = with_probe(real, probe)
        kept = [other for other in real if other != probe.replaces]
        assert [other for other in shown if other != box] == kept
        assert len(shown) == len(kept) + 1
        if probe.kind == "invented":
            assert [b.score or 0.0 for b in shown] == sorted((b.score or 0.0 for b in shown), reverse=True)
        found = uncaught(shown, [probe])
        assert [shown[position] for position in found] == [box]
        assert uncaught(real, [probe]) == {}


def many(count: int, *, labels: tuple[str, ...] = LABELS) -> tuple[list[Frame], dict[str, tuple[Box, ...]]]:
    frames = [frame(number) for number in range(count)]
    rows = {
        each.name: tuple(
            Box(labels[i % len(labels)], (40.0 + 200 * i, 60.0, 80.0, 120.0), 0.9 - i / 10, f"{each.id[:20]} {i}")
            for i in range(3)
        )
        for each in frames
    }
    return frames, rows


def test_every_part_of_the_work_has_its_share():
    frames, boxes = many(500)
    probes = plan(frames, boxes, LABELS, 0.02)
    assert len(probes) == 30
    # A job is fifty frames: three of a hundred and fifty boxes.
    jobs = Counter(int(name[1:5]) // 50 for name in probes)
    assert set(jobs) == set(range(10))
    assert set(jobs.values()) <= {2, 3, 4}
    kinds = Counter(probe.kind for probe in probes.values())
    assert min(kinds["invented"], kinds["shifted"], kinds["swapped"]) >= 4


def test_another_place_has_other_probes_and_ids():
    frames, boxes = many(200)
    one, other = (plan(frames, boxes, LABELS, 0.1, seed) for seed in ("cvat:a Night", "cvat:b Night"))
    assert one.keys() != other.keys()
    assert not {p.box.proposal_id for p in one.values()} & {p.box.proposal_id for p in other.values()}


def test_in_a_crowd_a_box_is_not_shifted_onto_its_neighbour():
    frames = [frame(number) for number in range(60)]
    crowd = [(200.0 + 40 * (n % 5), 100.0 + 40 * (n // 5), 40.0, 40.0) for n in range(25)]
    boxes = {
        each.name: tuple(Box("person", xywh, 0.9, f"{each.id[:20]} {n}") for n, xywh in enumerate(crowd))
        for each in frames
    }
    shifted = [p for p in plan(frames, boxes, ("person",), 0.04).values() if p.kind == "shifted"]
    assert len(shifted) >= 10
    assert max(overlap(p.box.xywh, xywh) for p in shifted for xywh in crowd) < CLEARLY_WRONG


def test_where_no_probe_is_possible_there_is_none():
    frames, boxes = many(3)
    assert plan(frames, boxes, LABELS, 0.0) == {}
    assert plan(frames, {}, LABELS, 0.2) == {}
    assert (
        plan(frames, {name: tuple(replace(b, iscrowd=True) for b in rows) for name, rows in boxes.items()}, LABELS, 0.2)
        == {}
    )
    # A box over the whole frame cannot move, nothing lies beside it, and there is no other class.
    full = {each.name: (Box("person", (0.0, 0.0, 640.0, 360.0), 0.9, each.id),) for each in frames}
    assert plan(frames, full, ("person",), 0.2) == {}
    assert {probe.kind for probe in plan(frames, full, LABELS, 0.2).values()} == {"swapped"}
    # The other class may be the right one where the model itself is in doubt.
    doubtful = {name: tuple(replace(box, score=0.4) for box in rows) for name, rows in full.items()}
    assert plan(frames, doubtful, LABELS, 0.2) == {}
    assert len(plan(frames, boxes, LABELS, 0.001)) == 1, "who asks for probes gets one"


PUT = Box("helmet", (10.0, 10.0, 20.0, 20.0), 0.8, "p" * 32)
PROBE = Probe("shifted", PUT, Box("helmet", (22.0, 10.0, 20.0, 20.0), 0.8, "r" * 32))


@pytest.mark.parametrize(
    ("box", "untouched"),
    [
        (PUT, True),
        (replace(PUT, score=None, attributes={"occluded": False}), True),
        (replace(PUT, xywh=(10.5, 10.0, 20.0, 20.0)), True),  # nudged
        (replace(PUT, proposal_id=None), True),  # by a tool that drops ids
        (replace(PUT, proposal_id=None, xywh=(10.004, 9.996, 20.0, 20.0)), True),  # and rounds
        (replace(PUT, proposal_id=None, xywh=(10.5, 10.0, 20.0, 20.0)), False),  # drawn by a person
        (replace(PUT, label="person"), False),
        (replace(PUT, xywh=(22.0, 10.0, 20.0, 20.0)), False),
        (replace(PUT, proposal_id="q" * 32), False),
        (PROBE.replaces, False),
    ],
)
def test_what_counts_as_untouched(box, untouched):
    other = Box("person", (100.0, 10.0, 20.0, 20.0), 0.8, "o" * 32)
    assert uncaught([other, box], [PROBE]) == ({1: PROBE} if untouched else {})


def test_a_copy_of_a_probe_does_not_hide_it():
    away = replace(PUT, xywh=(200.0, 10.0, 20.0, 20.0))
    assert uncaught([away, PUT, PUT], [PROBE]) == {1: PROBE, 2: PROBE}


@pytest.mark.parametrize(
    ("given", "share"), [("2%", 0.02), ("2 %", 0.02), ("0.02", 0.02), (0.02, 0.02), ("0", 0.0), (None, None)]
)
def test_the_share_is_spelt_as_people_do(given, share):
    assert UploadSettings(probes=given).probes == share


@pytest.mark.parametrize("given", ["2", "21%", "-1%", "nan", "a few", True, "%"])
def test_a_share_that_is_none_is_refused(given):
    with pytest.raises(ValidationError, match="the share of probes is at most 20%"):
        UploadSettings(probes=given)
