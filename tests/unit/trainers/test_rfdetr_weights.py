"""A parent's classification rows, by the names of its classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from data_engine.errors import DamagedInputError
from data_engine.trainers.rfdetr_weights import parent_names, private_weights

torch = pytest.importorskip("torch")
HEADS = ("class_embed", "transformer.enc_out_class_embed.0")


def checkpoint(names: list[str] | None, rows: int, prefix: str = "") -> dict[str, Any]:
    """Every row of a layer holds its number."""
    numbers = torch.arange(rows, dtype=torch.float32)
    state = {f"{prefix}{head}.bias": numbers.clone() for head in HEADS}
    state |= {f"{prefix}{head}.weight": numbers[:, None].repeat(1, 4) for head in HEADS}
    state[f"{prefix}backbone.weight"] = torch.ones(3)
    return {("state_dict" if prefix else "model"): state, "args": {"class_names": names, "num_classes": rows - 1}}


@pytest.mark.parametrize("prefix", ["", "model."])
def test_rows_of_the_same_name_are_taken_over_and_new_ones_begin_anew(prefix: str, tmp_path: Path) -> None:
    torch.save(checkpoint(["person", "helmet", "cone"], 4, prefix), tmp_path / "parent.pth")
    assert private_weights(tmp_path / "parent.pth", tmp_path / "start.pth", ("cone", "vest", "person"), 0) == (
        "person",
        "helmet",
        "cone",
    )
    content = torch.load(tmp_path / "start.pth", weights_only=True)
    for head in HEADS:
        bias, weight = content["model"][f"{head}.bias"], content["model"][f"{head}.weight"]
        assert bias.tolist() == pytest.approx([2.0, -math.log(99), 0.0, 3.0])
        assert weight[[0, 2, 3]].tolist() == [[2.0] * 4, [0.0] * 4, [3.0] * 4]
        assert weight[1].abs().max() <= 0.5
    assert content["model"]["backbone.weight"].tolist() == [1.0] * 3
    assert content["args"] == {"class_names": ["cone", "vest", "person"], "num_classes": 3}

    # The same seed draws the same rows.
    private_weights(tmp_path / "parent.pth", tmp_path / "again.pth", ("cone", "vest", "person"), 0)
    again = torch.load(tmp_path / "again.pth", weights_only=True)["model"]
    assert all(torch.equal(value, content["model"][name]) for name, value in again.items())


def test_the_same_classes_leave_the_rows_as_they_are(tmp_path: Path) -> None:
    torch.save(checkpoint(["person", "helmet"], 3), tmp_path / "parent.pth")
    private_weights(tmp_path / "parent.pth", tmp_path / "start.pth", ("person", "helmet"), 0)
    content = torch.load(tmp_path / "start.pth", weights_only=True)
    assert content["model"]["class_embed.bias"].tolist() == [0.0, 1.0, 2.0]


def test_a_checkpoint_that_does_not_name_its_classes_is_known_only_when_it_is_coco_s() -> None:
    assert parent_names(checkpoint(None, 4)) is None
    assert parent_names(checkpoint(["one", "too", "many", "names"], 4)) is None
    pytest.importorskip("rfdetr.assets.coco_classes")
    names = parent_names(checkpoint(None, 91))
    assert names is not None
    assert (names[0], names[1], names[12], names[13], names[90]) == ("", "person", "", "stop sign", "toothbrush")


def test_where_coco_has_no_background_it_begins_anew(tmp_path: Path) -> None:
    pytest.importorskip("rfdetr.assets.coco_classes")
    torch.save(checkpoint(None, 91), tmp_path / "rf-detr-nano.pth")
    private_weights(tmp_path / "rf-detr-nano.pth", tmp_path / "start.pth", ("toothbrush", "vest"), 0)
    bias = torch.load(tmp_path / "start.pth", weights_only=True)["model"]["class_embed.bias"]
    assert bias.tolist() == pytest.approx([90.0, -math.log(99), -math.log(99)])


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"model": {"backbone.weight": torch.ones(1)}}, tmp_path / "other.pth")
    with pytest.raises(DamagedInputError, match=r"other\.pth is not an RF-DETR checkpoint"):
        private_weights(tmp_path / "other.pth", tmp_path / "start.pth", ("person",), 0)


def test_what_it_cannot_read_is_said_without_advice_to_load_it_all_the_same(tmp_path: Path) -> None:
    strange, text = tmp_path / "strange.pth", tmp_path / "text.pth"
    torch.save({"model": Path("an object of some other kind")}, strange)
    text.write_text("not weights")
    for weights in (strange, text):
        with pytest.raises(DamagedInputError) as caught:
            private_weights(weights, tmp_path / "start.pth", ("person",), 0)
        assert str(caught.value).startswith(f"{weights} is not an RF-DETR checkpoint: it is damaged, or holds other")
        assert "weights_only" not in str(caught.value)
