"""Every count is pycocotools' own, whatever is asked of it once and what is counted from that."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_engine.metrics.average_precision import LEVELS, Ranked, average_precision, draws_of
from data_engine.metrics.coco import TrueBoxes, evaluate
from data_engine.metrics.matching import IOUS, SIZES, match, pairs_of
from data_engine.metrics.measuring import Subset, measure
from data_engine.types import Detections


def world(seed, pictures=12, classes=3, crowds=True, most=6, false=8, ties=True):
    """Boxes of all sizes, found well, badly and not at all, many of them with equal scores.

    Args:
        ties: whether boxes of one picture have equal scores too.
    """
    random = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(pictures):
        count = int(random.integers(0, most))
        at = random.uniform(0, 300, (count, 2))
        # Sides of whole pixels: areas fall exactly on the bounds of the sizes.
        wh = random.choice([8, 16, 32, 64, 96, 150], (count, 2)).astype(float)
        labels = random.integers(0, classes, count)
        truth.append(TrueBoxes(np.hstack([at, at + wh]), labels, random.random(count) < (0.15 if crowds else 0.0)))
        shaken = np.hstack([at, at + wh]) + random.normal(0, 0.06, (count, 4)) * np.hstack([wh, wh])
        seen = random.random(count) < 0.8
        others = random.uniform(0, 300, (int(random.integers(0, false)), 2))
        boxes = np.concatenate([shaken[seen], np.hstack([others, others + random.uniform(5, 130, others.shape)])])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        scores = random.integers(0, 20, (len(boxes), classes)) / 40.0
        scores[np.arange(seen.sum()), labels[seen]] += 0.4
        if not ties:
            scores = 0.9 * scores + 1e-3 * np.arange(len(boxes))[:, None]
        found.append(Detections(boxes, np.minimum(scores, 1.0)))
    return truth, found


def columns(found, classes):
    offsets = np.cumsum([0, *(len(one) for one in found)])
    xyxy = np.concatenate([np.zeros((0, 4), np.float32), *(one.xyxy for one in found)])
    return offsets, xyxy, np.concatenate([np.zeros((0, classes), np.float32), *(one.scores for one in found)])


def reference(truth, found, classes, size=0):
    """pycocotools asked about everything at once: precision (overlap, level, class) and recall (overlap, class)."""
    offsets, xyxy, scores = columns(found, classes)
    pairs = pairs_of(offsets, scores)
    frame = {
        "images": [{"id": number + 1} for number in range(len(truth))],
        "categories": [{"id": number + 1, "name": str(number)} for number in range(classes)],
    }
    wanted = [
        {"image_id": number + 1, "category_id": int(label) + 1, "bbox": [*box[:2], *(box[2:] - box[:2])],
         "area": float(np.prod(box[2:] - box[:2])), "iscrowd": int(crowd)}
        for number, boxes in enumerate(truth)
        for box, label, crowd in zip(boxes.xyxy, boxes.classes, boxes.crowd, strict=True)
    ]  # fmt: skip
    given = [
        {"image_id": int(picture) + 1, "category_id": int(label) + 1, "bbox": [*box[:2], *(box[2:] - box[:2])],
         "area": float(np.prod(box[2:] - box[:2])), "iscrowd": 0, "score": float(score)}
        for picture, box, label, score in zip(
            pairs.picture, xyxy[pairs.box].astype(float), pairs.label, pairs.score, strict=True)
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        one, other = COCO(), COCO()
        one.dataset = {**frame, "annotations": [{"id": n, **row} for n, row in enumerate(wanted, 1)]}
        other.dataset = {**frame, "annotations": [{"id": n, **row} for n, row in enumerate(given, 1)]}
        one.createIndex()
        other.createIndex()
        asked = COCOeval(one, other, "bbox")
        asked.params.maxDets = [100]
        asked.params.areaRng, asked.params.areaRngLbl = [list(SIZES[size][1:])], [SIZES[size][0]]
        asked.evaluate()
        asked.accumulate()
    return asked.eval["precision"][:, :, :, 0, 0], asked.eval["recall"][:, :, 0, 0]


def expected(truth, found, classes, size=0):
    """Average precision by overlap and class, NaN where there is no box."""
    precision, _recall = reference(truth, found, classes, size)
    return np.where(precision[:, 0] < 0, np.nan, precision.mean(axis=1))


@given(seed=st.integers(0, 10_000), classes=st.integers(1, 4), size=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_average_precision_of_every_class_and_size_is_pycocotools_own(seed, classes, size):
    truth, found = world(seed, classes=classes)
    measured = measure(match(truth, *columns(found, classes)), np.arange(len(truth)), None, Subset(size=size))
    np.testing.assert_allclose(measured.precision, expected(truth, found, classes, size).T, atol=1e-9, rtol=0)
    recall = reference(truth, found, classes, size)[1]
    np.testing.assert_allclose(measured.recall, np.where(recall < 0, np.nan, recall).mean(axis=0), atol=1e-9, rtol=0)


@given(seed=st.integers(0, 10_000), draw=st.integers(0, 10_000), size=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_resample_is_worth_what_pycocotools_says_of_its_pictures_written_out(seed, draw, size):
    # Of equal scores in one picture nobody knows which comes first, once or twice.
    truth, found = world(seed, pictures=8, classes=2, ties=False)
    times = draws_of(8, 1, draw)
    written = [number for number in range(8) for _ in range(times[0, number])]
    measured = measure(match(truth, *columns(found, 2)), np.arange(8), times, Subset(size=size))
    wanted = expected([truth[n] for n in written], [found[n] for n in written], 2, size)
    both = np.stack([wanted.mean(axis=0), wanted[0]], axis=-1)
    np.testing.assert_allclose(measured.samples[0], both, atol=1e-9, rtol=0)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_some_pictures_are_worth_what_they_are_worth_alone(seed):
    truth, found = world(seed, classes=2)
    some = np.arange(len(truth)) % 3 == 0
    measured = measure(match(truth, *columns(found, 2)), np.arange(len(truth)), None, Subset(pictures=some))
    alone = expected(
        [t for t, here in zip(truth, some, strict=True) if here], [f for f, h in zip(found, some, strict=True) if h], 2
    )
    np.testing.assert_allclose(measured.precision, alone.T, atol=1e-9, rtol=0)


def test_it_agrees_with_what_a_training_is_measured_by():
    truth, found = world(3, crowds=False)
    measured = measure(match(truth, *columns(found, 3)), np.arange(len(truth)), None)
    told = evaluate(truth, found, ["a", "b", "c"])
    assert measured.values[0] == pytest.approx(told["map"], abs=1e-8)
    assert measured.values[1] == pytest.approx(told["map50"], abs=1e-8)
    assert float(np.nanmean(measured.recall)) == pytest.approx(told["ar100"], abs=1e-8)
    assert measured.boxes.tolist() == list(told["boxes_per_class"].values())


@pytest.mark.parametrize("empty", ["truth", "found", "both"])
def test_nothing_to_find_is_no_number_and_nothing_found_is_nought(empty):
    truth, found = world(1, classes=2, crowds=False)
    if empty in ("truth", "both"):
        truth = [TrueBoxes.of([], []) for _ in truth]
    if empty in ("found", "both"):
        found = [Detections.empty(2) for _ in found]
    measured = measure(match(truth, *columns(found, 2)), np.arange(len(truth)), draws_of(len(truth), 20, 0))
    if empty == "found":
        assert measured.values.tolist() == [0.0, 0.0]
        assert set(measured.samples[~np.isnan(measured.samples)].tolist()) == {0.0}
    else:
        assert np.isnan(measured.values).all()
        assert np.isnan(measured.samples).all()


def test_a_picture_has_at_most_a_hundred_detections_the_best_first():
    found = [Detections(np.tile([0, 0, 9, 9], (150, 1)), np.full((150, 2), 0.5)), Detections.empty(2)]
    pairs = pairs_of(*columns(found, 2)[::2])
    assert len(pairs.box) == 100
    assert pairs.box.tolist() == [row for row in range(50) for _ in range(2)]


def test_levels_and_overlaps_are_coco_s():
    params = COCOeval(iouType="bbox").params
    np.testing.assert_array_equal(LEVELS, params.recThrs)
    np.testing.assert_allclose(IOUS, params.iouThrs, atol=1e-12)
    assert [[low, high] for _name, low, high in SIZES] == [[float(a), float(b)] for a, b in params.areaRng]


@pytest.mark.parametrize("total", [1, 3, 20, 25, 40, 50, 75, 100, 997])
def test_levels_are_reached_by_pycocotools_own_division(total):
    """0.95 of 20 boxes are 20, as it divides, and 0.28 of 25 are 7."""
    found = np.arange(1, total + 1)
    recall = found / total
    hit = np.zeros((1, 2 * total), np.bool_)
    hit[0, 0::2] = True
    ranked = Ranked(np.zeros(2 * total, np.intp), hit, np.ones_like(hit), np.array([total]))
    precision = found / (2 * found - 1)
    places = np.searchsorted(recall, LEVELS, side="left")
    wanted = np.append(precision, 0.0)[places].mean()
    assert average_precision(ranked, np.ones((1, 1), np.int32))[0, 0] == pytest.approx(wanted, abs=1e-12)


def test_what_never_counts_changes_nothing():
    hit = np.array([[True, False, False, True, False]])
    counts = np.array([[True, False, True, True, True]])
    ranked = Ranked(np.zeros(5, np.intp), hit, counts, np.array([2]))
    assert average_precision(ranked, np.ones((1, 1), np.int32))[0, 0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert len(ranked.trimmed().unit) == 3


def test_counts_that_do_not_agree_are_refused():
    truth, found = world(1, classes=2)
    with pytest.raises(ValueError, match="pictures"):
        match(truth[1:], *columns(found, 2))
    with pytest.raises(ValueError, match="no class"):
        match([TrueBoxes.of([[0, 0, 5, 5]], [2])], np.array([0, 0]), np.zeros((0, 4)), np.zeros((0, 2)))
