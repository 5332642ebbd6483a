"""One suite over every trainer: real training on drawn pictures, on the CPU.

RF-DETR's backbone is shrunk here (64 channels, 3 layers), which its settings do not offer; all else is the library's.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from data_engine.errors import DamagedInputError, MissingDependencyError, MissingInputError, UsageError
from data_engine.formats.yolo import data_yaml, label_path
from data_engine.media.images import read_rgb
from data_engine.stages.retrain import RetrainSettings, retrain
from data_engine.trainers.rfdetr import RfDetrTrainer
from data_engine.trainers.yolo import YoloTrainer
from data_engine.types import Detections

if TYPE_CHECKING:
    from data_engine.ports import Trainer

NAMES = ("disc", "square", "cross")
KINDS = ("yolo", "rfdetr")
TRAINERS: dict[str, Trainer] = {"yolo": YoloTrainer(), "rfdetr": RfDetrTrainer()}
QUICK: dict[str, dict[str, Any]] = {
    "yolo": {"size": "tiny", "image_size": 64, "epochs": 2, "batch": 4},
    "rfdetr": {
        "image_size": 64,
        "epochs": 2,
        "batch": 4,
        "learning_rate": 1e-3,
        "extra": {
            "out_feature_indexes": [1, 2, 3],
            "hidden_dim": 64,
            "sa_nheads": 2,
            "ca_nheads": 4,
            "dec_layers": 1,
            "num_queries": 20,
            "num_select": 20,
        },
    },
}
SUFFIX = {"yolo": ".pt", "rfdetr": ".pth"}


@dataclass
class Watch:
    """A progress that remembers, and can interrupt as a person does."""

    interrupt_at: int | None = None
    notes: list[str] = field(default_factory=list)
    steps: int = 0
    running: int = 0

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        self.running += 1

    def advance(self, amount: int = 1) -> None:
        self.steps += amount
        if self.steps == self.interrupt_at:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self) -> None:
        self.running -= 1


def drawn(rng: np.random.Generator, side: int) -> tuple[np.ndarray, list[tuple[int, int, int, int, int]]]:
    """A noisy picture with one to three shapes, and their class, left, top, right, bottom."""
    picture = cv2.GaussianBlur(rng.integers(60, 120, (side, side, 3)).astype(np.uint8), (0, 0), 2)
    shapes = []
    for _ in range(rng.integers(1, 4)):
        r = int(rng.integers(side // 11, side // 6))
        x, y = (int(v) for v in rng.integers(r, side - r, 2))
        label = int(rng.integers(0, 3))
        if label == 0:
            cv2.circle(picture, (x, y), r, (220, 60, 60), -1)
        elif label == 1:
            cv2.rectangle(picture, (x - r, y - r), (x + r, y + r), (60, 220, 60), -1)
        else:
            cv2.line(picture, (x - r, y), (x + r, y), (60, 60, 230), 2 + r // 3)
            cv2.line(picture, (x, y - r), (x, y + r), (60, 60, 230), 2 + r // 3)
        shapes.append((label, x - r, y - r, x + r, y + r))
    return picture, shapes


def training_folder(
    kind: str, folder: Path, *, train: int, valid: int, side: int = 64, names: tuple[str, ...] = NAMES
) -> Path:
    """Pictures and labels as ``convert`` lays them out; classes beyond ``names`` are left out."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("valid", valid)):
        pictures = folder / split / "images" if kind == "yolo" else folder / split
        pictures.mkdir(parents=True)
        images, annotations = [], []
        for number in range(count):
            # One in a folder of its own whose name misleads: labels are looked up by the last "images" of a path.
            name = f"Prüfung {number:03d}.jpg" if number else "cam 1/images/ä.jpg"
            picture, shapes = drawn(rng, side)
            (pictures / name).parent.mkdir(parents=True, exist_ok=True)
            (pictures / name).write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
            kept = [shape for shape in shapes if shape[0] < len(names)]
            images.append({"id": number + 1, "file_name": name, "width": side, "height": side})
            for label, left, top, right, bottom in kept:
                box = {"id": len(annotations) + 1, "image_id": number + 1, "category_id": label + 1, "iscrowd": 0}
                size = right - left, bottom - top
                annotations.append({**box, "bbox": [left, top, *size], "area": size[0] * size[1]})
            if kind == "yolo":
                lines = [
                    f"{label} {(left + right) / 2 / side:.9g} {(top + bottom) / 2 / side:.9g}"
                    f" {(right - left) / side:.9g} {(bottom - top) / side:.9g}\n"
                    for label, left, top, right, bottom in kept
                ]
                label = folder / split / label_path(name)
                label.parent.mkdir(parents=True, exist_ok=True)
                label.write_text("".join(lines))
        if kind == "rfdetr":
            categories = [{"id": i, "name": name, "supercategory": name} for i, name in enumerate(names, 1)]
            content = {"images": images, "annotations": annotations, "categories": categories}
            (folder / split / "_annotations.coco.json").write_text(json.dumps(content))
    if kind == "yolo":
        (folder / "data.yaml").write_text(data_yaml(names), "utf-8")
    return folder


@pytest.fixture(autouse=True)
def shrunken_backbone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "rfdetr" not in request.node.name:
        return
    dinov2 = pytest.importorskip("rfdetr.models.backbone.dinov2", reason="rfdetr is not installed")
    published = dinov2.get_config
    small = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    monkeypatch.setattr(dinov2, "get_config", lambda size, registers: {**published(size, registers), **small})
    monkeypatch.setitem(dinov2.size_to_width, "small", 64)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small training folder of each kind, in places with spaces and non-ASCII letters."""
    root = tmp_path_factory.mktemp("Daten [1] für alle")
    return {kind: training_folder(kind, root / kind, train=12, valid=4) for kind in KINDS}


def files_of(output: Path, kind: str) -> dict[str, bytes]:
    names = (f"model{SUFFIX[kind]}", "model.onnx", "result.json")
    return {name: (output / name).read_bytes() for name in names}


@pytest.mark.required
@pytest.mark.parametrize("kind", KINDS)
def test_training_ends_with_the_same_bytes_whatever_came_between(
    kind: str, quick: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trainer, options = TRAINERS[kind], QUICK[kind]
    before = sorted(path.relative_to(quick[kind]) for path in quick[kind].rglob("*"))
    watch = Watch()
    trained = trainer.train(quick[kind], tmp_path / "a b", options, weights=None, progress=watch)
    assert (trained.kind, trained.class_names, trained.epochs) == (kind, NAMES, 2)
    assert (trained.weights_key, trained.onnx_key) == (f"model{SUFFIX[kind]}", "model.onnx")
    assert (watch.steps, watch.running) == (2, 0)
    assert [note.split(":")[0] for note in watch.notes] == ["epoch 1/2", "epoch 2/2"]
    assert capfd.readouterr().out == ""
    # Nothing is left but the results, and the training folder is as it was.
    kept = {"model.onnx", trained.weights_key, "result.json", "training.csv", "training.log"}
    assert {path.name for path in (tmp_path / "a b").iterdir()} == kept
    assert sorted(path.relative_to(quick[kind]) for path in quick[kind].rglob("*")) == before
    wanted = files_of(tmp_path / "a b", kind)

    # Interrupted after the first epoch: unfinished, and begun anew by the same call.
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(quick[kind], tmp_path / "c", options, weights=None, progress=Watch(interrupt_at=1))
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "c/result.json").exists()
    assert trainer.train(quick[kind], tmp_path / "c", options, weights=None, progress=Watch()) == trained
    assert files_of(tmp_path / "c", kind) == wanted

    # Finished: the same call trains no more, another seed does.
    again = Watch()
    assert trainer.train(quick[kind], tmp_path / "c", options, weights=None, progress=again) == trained
    assert again.steps == 0
    other = Watch()
    short = {**options, "epochs": 1, "seed": 1}
    trainer.train(quick[kind], tmp_path / "c", short, weights=None, progress=other)
    assert other.steps == 1
    assert files_of(tmp_path / "c", kind).keys() == wanted.keys()
    assert files_of(tmp_path / "c", kind) != wanted


@pytest.mark.required
@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_other_classes_are_a_beginning(kind: str, quick: dict[str, Path], tmp_path: Path) -> None:
    import onnxruntime

    trainer, options = TRAINERS[kind], {**QUICK[kind], "epochs": 1}
    parent = trainer.train(quick[kind], tmp_path / "parent", options, weights=None, progress=Watch())
    two = training_folder(kind, tmp_path / "two", train=8, valid=0, names=NAMES[:2])
    weights = tmp_path / "parent" / parent.weights_key
    child = trainer.train(two, tmp_path / "child", options, weights=weights, progress=Watch())
    assert child.class_names == NAMES[:2]
    scratch = trainer.train(two, tmp_path / "scratch", options, weights=None, progress=Watch())
    assert (
        files_of(tmp_path / "child", kind)[child.weights_key]
        != files_of(tmp_path / "scratch", kind)[scratch.weights_key]
    )

    # The export takes any batch of pictures of one size, and carries the names of its classes.
    session = onnxruntime.InferenceSession(tmp_path / "child/model.onnx", providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert entry.shape[1:] == [3, 64, 64]
    for batch in (1, 3):
        outputs = session.run(None, {entry.name: np.zeros((batch, 3, 64, 64), np.float32)})
        assert {len(output) for output in outputs} == {batch}
    assert all(name in json.dumps(session.get_modelmeta().custom_metadata_map) for name in child.class_names)


@pytest.mark.required
def test_yolo_learns_and_its_export_is_measured(tmp_path: Path) -> None:
    from data_engine.detectors.loading import open_detector

    data = training_folder("yolo", tmp_path / "data", train=96, valid=24, side=160)
    settings = RetrainSettings(kind="yolo", size="tiny", image_size=160, epochs=12)
    trained = retrain(
        data,
        tmp_path / "out",
        settings,
        trainer=YoloTrainer(),
        open_detector=lambda path, names: open_detector(path, device="cpu", class_names=names),
        progress=Watch(),
    )
    assert trained.metrics["images"] == 24
    assert trained.metrics["boxes"] == sum(trained.metrics["boxes_per_class"].values()) > 24
    assert trained.metrics["map50"] > 0.4
    assert trained.metrics["map50"] > trained.metrics["map"] > 0.2
    assert set(trained.metrics["ap50_per_class"]) == set(NAMES)
    assert trained.metrics["notes"] == []


@pytest.mark.required
def test_rfdetr_is_measured_through_its_export(quick: dict[str, Path], tmp_path: Path) -> None:
    from data_engine.detectors.loading import open_detector

    extra = tuple(f"{name}={json.dumps(value)}" for name, value in QUICK["rfdetr"]["extra"].items())
    settings = RetrainSettings(kind="rfdetr", image_size=64, epochs=1, batch=4, extra=extra)
    seen: list[Detections] = []

    def opened(path: Path, names: tuple[str, ...]) -> Any:
        detector = open_detector(path, device="cpu", class_names=names)
        picture = read_rgb(next((quick["rfdetr"] / "valid").rglob("*.jpg")))
        seen.extend(detector.predict([picture]))
        return detector

    trained = retrain(
        quick["rfdetr"], tmp_path, settings, trainer=RfDetrTrainer(), open_detector=opened, progress=Watch()
    )
    # One epoch teaches nothing; what counts is that the export answers with whole probability vectors.
    assert (trained.metrics["images"], trained.epochs) == (4, 1)
    assert 0.0 <= trained.metrics["map50"] <= 1.0
    assert len(seen[0])
    assert seen[0].scores.shape[1] == 3


@pytest.mark.required
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_yolo_killed_in_the_middle_ends_as_undisturbed(quick: dict[str, Path], tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from data_engine.trainers.yolo import YoloTrainer\n"
        "class Loud:\n"
        "    def start(self, *a, **k): pass\n"
        "    def advance(self, amount=1): print('epoch', file=sys.stderr, flush=True)\n"
        "    def note(self, text): pass\n"
        "    def finish(self): pass\n"
        "YoloTrainer().train(Path(sys.argv[1]), Path(sys.argv[2]), eval(sys.argv[3]), weights=None, progress=Loud())\n"
    )
    options = {**QUICK["yolo"], "epochs": 3}
    arguments = [sys.executable, "-c", script, str(quick["yolo"]), str(tmp_path / "killed"), repr(options)]
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        arguments, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any(line == "epoch\n" for line in lines), "the training ended before its first epoch"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed/result.json").exists()
    for folder in ("killed", "undisturbed"):
        YoloTrainer().train(quick["yolo"], tmp_path / folder, options, weights=None, progress=Watch())
    assert files_of(tmp_path / "killed", "yolo") == files_of(tmp_path / "undisturbed", "yolo")
    assert not (tmp_path / "killed/.training").exists()


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "unpickled"))


@pytest.mark.required
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_none_are_refused_without_running_them(
    kind: str, quick: dict[str, Path], tmp_path: Path
) -> None:
    import torch

    trainer, options = TRAINERS[kind], QUICK[kind]
    with pytest.raises(MissingInputError, match="are not there"):
        trainer.train(quick[kind], tmp_path, options, weights=tmp_path / f"no{SUFFIX[kind]}", progress=Watch())
    (tmp_path / "model.txt").write_text("text")
    with pytest.raises(DamagedInputError, match=r"model\.txt is not a checkpoint to learn from"):
        trainer.train(quick[kind], tmp_path, options, weights=tmp_path / "model.txt", progress=Watch())
    text = tmp_path / f"text{SUFFIX[kind]}"
    text.write_text("not weights")
    zipped, pickled = tmp_path / f"zip{SUFFIX[kind]}", tmp_path / f"pickle{SUFFIX[kind]}"
    torch.save({"model": Bomb(tmp_path / "exploded"), "args": {}}, zipped)
    pickled.write_bytes(pickle.dumps({"model": Bomb(tmp_path / "exploded")}))
    for weights in (text, zipped, pickled):
        with pytest.raises(DamagedInputError, match=f"{weights.name} is not a"):
            trainer.train(quick[kind], tmp_path / "out", options, weights=weights, progress=Watch())
    assert not (tmp_path / "exploded").exists()


@pytest.mark.required
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown training option 'colour'"),
        ({"size": "huge"}, "size 'huge' is not one of "),
        ({"device": "cuda:99"}, r"device 'cuda:99' is not there: this machine has cpu"),
        ({"extra": {"no_such_setting": 1}}, "refuses a setting: .*no_such_setting"),
        ({"extra": {"epochs": 3}}, "extra setting 'epochs' is decided by the trainer"),
    ],
)
def test_options_that_cannot_be_are_refused(
    kind: str, change: dict[str, Any], message: str, quick: dict[str, Path], tmp_path: Path
) -> None:
    options = {**QUICK[kind], **change, "extra": {**QUICK[kind].get("extra", {}), **change.get("extra", {})}}
    with pytest.raises(UsageError, match=message):
        TRAINERS[kind].train(quick[kind], tmp_path, options, weights=None, progress=Watch())
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_package_the_install_command_is_named(
    kind: str, quick: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, {"yolo": "ultralytics", "rfdetr": "rfdetr.training"}[kind], None)
    with pytest.raises(MissingDependencyError) as caught:
        TRAINERS[kind].train(quick[kind], tmp_path, QUICK[kind], weights=None, progress=Watch())
    assert caught.value.hint == f"pip install '.[{kind}]' in your checkout of dataengine"


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_without_training_data_names_the_command_that_makes_it(kind: str, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError) as caught:
        TRAINERS[kind].train(tmp_path, tmp_path / "out", QUICK[kind], weights=None, progress=Watch())
    assert caught.value.hint == "dataengine convert"
    assert not (tmp_path / "out").exists()
