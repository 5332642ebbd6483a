"""How far two sets of boxes agree, frame by frame, in the numbers of a quality report."""

from __future__ import annotations

from typing import Any

from .annotation import iou
from .records import Shape, Task
from .state import State

Numbers = dict[str, Any]
PARAMETERS: Numbers = {
    "iou_threshold": 0.4,
    "oks_sigma": 0.09,
    "point_size_base": "group_bbox_size",
    "line_thickness": 0.01,
    "low_overlap_threshold": 0.8,
    "compare_line_orientation": True,
    "line_orientation_threshold": 0.1,
    "compare_groups": True,
    "group_match_threshold": 0.5,
    "check_covered_annotations": True,
    "object_visibility_threshold": 0.05,
    "panoptic_comparison": True,
    "compare_attributes": True,
    "empty_is_annotated": False,
}


def compared(state: State, task: Task, made: list[Shape], truth: list[Shape]) -> Numbers:
    """One frame: pairs by IoU, best first, and the confusion of their labels; the last row and column is no partner."""
    labels = [label.id for label in state.labels_of(task)]
    pairs = sorted(
        ((iou(a["points"], b["points"]), i, j) for i, a in enumerate(made) for j, b in enumerate(truth)), reverse=True
    )
    matrix = [[0] * (len(labels) + 1) for _ in range(len(labels) + 1)]
    left, right, overlaps = set(range(len(made))), set(range(len(truth))), []
    for overlap, i, j in pairs:
        if overlap >= PARAMETERS["iou_threshold"] and i in left and j in right:
            left.discard(i)
            right.discard(j)
            overlaps.append(overlap)
            matrix[labels.index(made[i]["label_id"])][labels.index(truth[j]["label_id"])] += 1
    for i in left:
        matrix[labels.index(made[i]["label_id"])][-1] += 1
    for j in right:
        matrix[-1][labels.index(truth[j]["label_id"])] += 1
    return {"matrix": matrix, "ds": len(made), "gt": len(truth), "matched": len(overlaps), "overlaps": overlaps}


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def sums_of(frames: dict[int, Numbers]) -> Numbers:
    rows = list(frames.values())
    valid = sum(row["matrix"][k][k] for row in rows for k in range(len(row["matrix"]) - 1))
    made, truth = sum(row["ds"] for row in rows), sum(row["gt"] for row in rows)
    matched = sum(row["matched"] for row in rows)
    total = made + truth - matched
    return {
        "valid": valid,
        "ds": made,
        "gt": truth,
        "total": total,
        "missing": truth - matched,
        "extra": made - matched,
        "wrong": matched - valid,
        "accuracy": share(valid, total),
        "precision": share(valid, made),
        "recall": share(valid, truth),
    }


def of_frame(frame: int, result: Numbers, labels: list[str]) -> Numbers:
    sums = sums_of({frame: result})
    kinds = {
        "missing_annotation": sums["missing"],
        "extra_annotation": sums["extra"],
        "mismatching_label": sums["wrong"],
    }
    found = {name: count for name, count in kinds.items() if count}
    mean = share(sum(result["overlaps"]), len(result["overlaps"]))
    return {
        "conflicts": [],
        **agreement({frame: result}, labels, mean),
        "error_count": sum(found.values()),
        "warning_count": 0,
        "conflicts_by_type": found,
        "conflict_count": sum(found.values()),
    }


def agreement(frames: dict[int, Numbers], labels: list[str], mean_iou: float) -> Numbers:
    sums, size = sums_of(frames), len(labels) + 1
    matrix = [[sum(row["matrix"][i][j] for row in frames.values()) for j in range(size)] for i in range(size)]
    made, truth = [sum(row) for row in matrix], [sum(row[j] for row in matrix) for j in range(size)]
    hit = [matrix[k][k] if k < size - 1 else 0 for k in range(size)]
    count = sum(made)
    valid, total = sums["valid"], sums["total"]
    counted = {
        "valid_count": valid,
        "missing_count": sums["missing"],
        "extra_count": sums["extra"],
        "total_count": total,
        "ds_count": sums["ds"],
        "gt_count": sums["gt"],
    }
    matched = total - sums["missing"] - sums["extra"]
    return {
        "annotations": {
            **counted,
            "confusion_matrix": {
                "labels": [*labels, "unmatched"],
                "rows": matrix,
                "axes": {"cols": "gt", "rows": "ds"},
                "precision": [share(hit[k], made[k]) for k in range(size)],
                "jaccard_index": [share(hit[k], made[k] + truth[k] - hit[k]) for k in range(size)],
                "accuracy": [share(count - made[k] - truth[k] + 2 * hit[k], count) for k in range(size)],
                "recall": [share(hit[k], truth[k]) for k in range(size)],
            },
            **{name: sums[name] for name in ("precision", "accuracy", "recall")},
        },
        "annotation_components": {
            "shape": {**counted, "mean_iou": mean_iou, "accuracy": share(matched, total)},
            "label": {
                "valid_count": valid,
                "invalid_count": sums["wrong"],
                "total_count": valid + sums["wrong"],
                "accuracy": share(valid, valid + sums["wrong"]),
            },
        },
    }
