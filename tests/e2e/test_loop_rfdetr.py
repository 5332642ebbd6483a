"""The loop with RF-DETR: a real one, shrunken, is trained, registered, and asked in the next round.

Its backbone is shrunk here (64 channels, 3 layers), which the settings do not offer; all else is the library's.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from data_engine.app.annotation.preannotate import preannotate
from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.convert import convert
from data_engine.app.engine import open_engine
from data_engine.app.footage.sample import sample
from data_engine.app.init import init
from data_engine.app.merge.export import export
from data_engine.app.models.retrain import retrain
from data_engine.app.selection.filter import filter_frames
from data_engine.app.status import standing, status
from data_engine.demo.footage import CLASSES, make_footage
from data_engine.demo.people import work
from data_engine.lineage import choices, datasets, models
from data_engine.media.images import sha256_of

SMALL = {
    "out_feature_indexes": [1, 2, 3],
    "hidden_dim": 64,
    "sa_nheads": 2,
    "ca_nheads": 4,
    "dec_layers": 1,
    "num_queries": 20,
    "num_select": 20,
}
OVERRIDES = {
    "sample": {"method": "interval", "interval": 0.5, "workers": 1},
    "filter": {"budget": 24, "tolerance": 0, "min_gap": 0.0},
    "preannotate": {"confidence": 0.01},
    "convert": {"format": "rfdetr"},
    "retrain": {
        "kind": "rfdetr",
        "image_size": 64,
        "epochs": 3,
        "batch": 4,
        "learning_rate": 1e-3,
        "device": "cpu",
        "extra": [f"{name}={json.dumps(value)}" for name, value in SMALL.items()],
    },
    "predict": {"device": "cpu"},
}


class Notes:
    def __init__(self) -> None:
        self.noted: list[str] = []

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None:
        self.noted.append(text)

    def finish(self) -> None: ...


@pytest.fixture
def shrunken_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    dinov2 = pytest.importorskip("rfdetr.models.backbone.dinov2", reason="rfdetr is not installed")
    published = dinov2.get_config
    small = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    monkeypatch.setattr(dinov2, "get_config", lambda size, registers: {**published(size, registers), **small})
    monkeypatch.setitem(dinov2.size_to_width, "small", 64)


@pytest.mark.required
@pytest.mark.usefixtures("shrunken_backbone")
def test_the_trained_model_chooses_and_proposes_in_the_next_round(tmp_path: Path) -> None:
    root = tmp_path / "Werk [3] für alle"
    footage = make_footage(tmp_path / "footage", seed=5, cameras=2, seconds=12.0, fps=Fraction(4), size=(160, 120))

    def truth(frame: Any) -> Any:
        clip = next(clip for clip in footage.clips if frame.name.startswith(f"{clip.name}_"))
        return footage.boxes_at(clip.name, frame.time_s)

    progress = Notes()
    init(root, classes=CLASSES, progress=progress)
    videos = [footage.path(clip).parent for clip in footage.clips]
    with open_engine(root, workspace=root, overrides=OVERRIDES, progress=progress, environ={}) as engine:
        sample(engine, inputs=videos)
        first = filter_frames(engine)
        assert first.data["model"] is None
        assert first.data["chosen"] == 24
        upload(engine)
        work(engine, truth, annotator="ann", reviewer="rev")
        assert export(engine).data["valid"] > 0
        convert(engine)
        assert standing(engine).next() == "dataengine retrain"
        trained = retrain(engine)

        # Registered by its bytes, with the version that it came from, and in use.
        champion = root / "models" / "rfdetr_best.onnx"
        identity = sha256_of(champion)[:32]
        assert trained.data["model_id"] == identity
        assert trained.data["dataset_version"] == "v1"
        with engine.database.read() as connection:
            ((model, number),) = models.trained(connection)
            version = datasets.latest(connection)
            weights = models.weights_of(connection, identity)
        assert version is not None
        assert (model.id, model.kind, model.class_names, number) == (identity, "rfdetr", CLASSES, 1)
        assert (model.dataset_version_id, model.parent_id) == (version.id, None)
        assert model.key.startswith("models/rfdetr/")
        assert model.metrics["images"] == trained.data["validation_images"] > 0
        assert 0.0 <= model.metrics["map50"] <= 1.0
        assert weights is not None
        assert (root / weights).is_file()
        assert sum(note.startswith("epoch ") for note in progress.noted) == 3
        assert standing(engine).next() == "dataengine filter"

        # Trained again on the same data it is the same model, and nothing is trained.
        assert retrain(engine).data["model_id"] == identity
        assert sum(note.startswith("epoch ") for note in progress.noted) == 3

        # The next round asks it, once for both steps.
        second = filter_frames(engine)
        assert second.data["model"] == "rfdetr_best.onnx"
        assert second.data["in_tasks_already"] == 24
        with engine.database.read() as connection:
            chosen = choices.latest(connection)
        assert chosen is not None
        assert chosen.model_id == identity
        assert standing(engine).next() == "dataengine preannotate"
        proposed = preannotate(engine)
        assert (proposed.data["model"], proposed.data["frames_predicted_now"]) == ("rfdetr_best.onnx", 0)
        document = json.loads((root / "preannotations" / "hard_frames_preanno.json").read_text("utf-8"))
        assert document["info"]["model"] == identity
        assert len(document["images"]) == second.data["chosen"] > 0
        # A few epochs teach little, but it answers on every frame; what it says is shown to people.
        assert document["annotations"]
        assert upload(engine).data["proposed_boxes"] == len(document["annotations"])
        work(engine, truth, annotator="ann", reviewer="rev")
        report = export(engine)
        assert (report.data["version"], report.data["new"]) == ("v2", True)
        convert(engine)

        # A second training goes on from the first one's checkpoint and names it.
        with open_engine(
            root,
            workspace=root,
            overrides={**OVERRIDES, "retrain": {**OVERRIDES["retrain"], "weights": "champion", "epochs": 1}},
            progress=progress,
            environ={},
        ) as later:
            again = retrain(later)
        assert again.data["dataset_version"] == "v2"
        with engine.database.read() as connection:
            newest = models.by_id(connection, again.data["model_id"])
        assert newest is not None
        assert newest.parent_id == identity
        assert sha256_of(champion)[:32] == newest.id != identity
        shown = {row["step"]: row["detail"] for row in status(engine).rows}
        assert shown["models"].startswith("newest: rfdetr on v2, mAP50 ")
