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
from data_engine.trainers.epochs import read_epochs
from data_engine.trainers.rfdetr import RfDetrTrainer
from data_engine.trainers.yolo import YoloTrainer
from data_engine.types import Detections

if TYPE_CHECKING:
    from collections.abc import Callable

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
EACH: dict[str, Any] = {"checkpoint_seconds": 0.0}
"""A checkpoint in every epoch."""
BESIDE = ("arguments.json", "metrics.jsonl", "result.json", "tensorboard", "training.csv", "training.log")
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


def shrink(put: Callable[[Any, str, Any], None]) -> None:
    """Make RF-DETR's backbone small."""
    from rfdetr.models.backbone import dinov2

    published = dinov2.get_config
    small = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    put(dinov2, "get_config", lambda size, registers: {**published(size, registers), **small})
    put(dinov2, "size_to_width", {**dinov2.size_to_width, "small": 64})


@pytest.fixture(autouse=True)
def shrunken_backbone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "rfdetr" in request.node.name:
        pytest.importorskip("rfdetr.models.backbone.dinov2", reason="rfdetr is not installed")
        shrink(monkeypatch.setattr)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small training folder of each kind, in places with spaces and non-ASCII letters."""
    root = tmp_path_factory.mktemp("Daten [1] für alle")
    return {kind: training_folder(kind, root / kind, train=12, valid=4) for kind in KINDS}


def files_of(output: Path, kind: str) -> dict[str, bytes]:
    names = (f"model{SUFFIX[kind]}", "model.onnx", "result.json")
    return {name: (output / name).read_bytes() for name in names}


def event_scalars(folder: Path) -> dict[str, list[float]]:
    """What TensorBoard shows of a training: the values of each name, by step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {name: [event.value for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


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
    assert {path.name for path in (tmp_path / "a b").iterdir()} == {"model.onnx", trained.weights_key, *BESIDE}
    rows = read_epochs(tmp_path / "a b/metrics.jsonl")
    assert [(row["epoch"], row["epochs"]) for row in rows] == [(1, 2), (2, 2)]
    assert all(row["loss"] > 0 and row["lr"] > 0 and row["seconds"] >= 0 for row in rows)
    scalars = event_scalars(tmp_path / "a b/tensorboard")
    assert scalars["loss"] == pytest.approx([row["loss"] for row in rows])
    arguments = json.loads((tmp_path / "a b/arguments.json").read_text("utf-8"))
    assert (arguments["seed"], arguments["epochs"]) == (0, 2)
    assert str(tmp_path) not in json.dumps(arguments, ensure_ascii=False)
    assert sorted(path.relative_to(quick[kind]) for path in quick[kind].rglob("*")) == before
    wanted = files_of(tmp_path / "a b", kind)

    # Interrupted after the first epoch: unfinished, and gone on with by the same call.
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(quick[kind], tmp_path / "c", EACH | options, weights=None, progress=Watch(interrupt_at=1))
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "c/result.json").exists()
    rest = Watch()
    assert trainer.train(quick[kind], tmp_path / "c", options, weights=None, progress=rest) == trained
    assert (rest.steps, rest.notes[0]) == (1, "going on after epoch 1 of 2")
    assert files_of(tmp_path / "c", kind) == wanted
    assert [row["loss"] for row in read_epochs(tmp_path / "c/metrics.jsonl")] == [row["loss"] for row in rows]
    again = event_scalars(tmp_path / "c/tensorboard")
    assert {**again, "seconds": None} == {**scalars, "seconds": None}

    # Finished: the same call trains no more, another seed does.
    once_more = Watch()
    assert trainer.train(quick[kind], tmp_path / "c", options, weights=None, progress=once_more) == trained
    assert once_more.steps == 0
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


LOUD = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]) / "tests/contract"))
import test_trainers as suite

kind = sys.argv[2]
if kind == "rfdetr":
    suite.shrink(lambda target, name, value: setattr(target, name, value))

class Loud(suite.Watch):
    def advance(self, amount=1):
        print("epoch", file=sys.stderr, flush=True)

suite.TRAINERS[kind].train(Path(sys.argv[3]), Path(sys.argv[4]), eval(sys.argv[5]), weights=None, progress=Loud())
"""


@pytest.mark.required
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_epoch_it_goes_on_and_ends_as_undisturbed(
    kind: str, quick: dict[str, Path], tmp_path: Path
) -> None:
    options = {**QUICK[kind], **EACH, "epochs": 3, "patience": 3}
    root = str(Path(__file__).resolve().parents[2])
    arguments = [root, kind, str(quick[kind]), str(tmp_path / "killed"), repr(options)]
    # Killed after the first epoch of each attempt, until none is left to be killed in.
    for _attempt in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", LOUD, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        ) as process:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            assert any(line == "epoch\n" for line in lines), "the training ended before its next epoch"
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "killed/result.json").exists()
    TRAINERS[kind].train(quick[kind], tmp_path / "undisturbed", options, weights=None, progress=Watch())
    rest = Watch()
    TRAINERS[kind].train(quick[kind], tmp_path / "killed", options, weights=None, progress=rest)
    assert rest.steps < 3
    assert files_of(tmp_path / "killed", kind) == files_of(tmp_path / "undisturbed", kind)
    measured = [read_epochs(tmp_path / folder / "metrics.jsonl") for folder in ("killed", "undisturbed")]
    assert untimed(measured[0]) == untimed(measured[1])
    assert not (tmp_path / "killed/.training").exists()


@pytest.mark.required
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_is_full_in_the_middle_is_said_and_gone_on_from(
    kind: str, quick: dict[str, Path], tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource", reason="this system limits no files")
    options = {**QUICK[kind], **EACH}
    root = str(Path(__file__).resolve().parents[2])
    arguments = [root, kind, str(quick[kind]), str(tmp_path / "full"), repr(options)]
    ended = subprocess.run(
        [sys.executable, "-c", LOUD, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        # No file may grow beyond this: the first checkpoint is larger.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY)),
        check=False,
    )
    assert ended.returncode == 1
    assert f"StorageFullError: the disk is full: the training in {tmp_path / 'full'} did not finish" in ended.stderr
    assert not (tmp_path / "full/result.json").exists()
    assert not list((tmp_path / "full").rglob("*.part"))
    trained = TRAINERS[kind].train(quick[kind], tmp_path / "full", options, weights=None, progress=Watch())
    assert trained.epochs == 2


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.required
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails_at", [1, 4])
def test_a_gpu_that_is_too_small_trains_with_smaller_batches_to_the_same_step(
    kind: str, fails_at: int, quick: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no GPU here: the library's step raises what torch raises there."""
    import torch

    seen: list[int] = []
    target, name = step_of(kind)
    step = getattr(target, name)

    def fails(self: Any, batch: Any, *rest: Any) -> Any:
        # A batch of rfdetr is a pair of pictures and targets, of ultralytics a mapping.
        seen.append(len(batch["img"]) if kind == "yolo" else len(batch[0].tensors))
        if len(seen) == fails_at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return step(self, batch, *rest)

    monkeypatch.setattr(target, name, fails)
    watch = Watch()
    trained = TRAINERS[kind].train(quick[kind], tmp_path, EACH | QUICK[kind], weights=None, progress=watch)
    assert trained.epochs == 2
    told = [note for note in watch.notes if "not enough memory" in note]
    assert told == [
        "the GPU has not enough memory for 4 pictures at a time: going on with 2, gradients added up to the same step"
    ]
    assert set(seen[:fails_at]) == {4}
    assert set(seen[fails_at:]) == {2}
    assert [row["epoch"] for row in read_epochs(tmp_path / "metrics.jsonl")] == [1, 2]


@pytest.mark.required
@pytest.mark.parametrize(
    "way",
    [
        # Six batches of one picture to a step, over the end of an epoch of ten: the GPU was too small for more.
        {"batch": 6, "extra": {"warmup_epochs": 0}},
        {"extra": {"mosaic": 1.0, "cache": False, "close_mosaic": 0}},
    ],
    ids=["gradients added up over epochs", "mosaics of pictures that are read anew"],
)
def test_yolo_goes_on_exactly_also_where_the_library_keeps_something_between_epochs(
    way: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    data = training_folder("yolo", tmp_path / "data", train=10, valid=2)
    target, name = step_of("yolo")
    step, small = getattr(target, name), way.get("batch", 4) > 4

    def fails(self: Any, batch: Any, *rest: Any) -> Any:
        if small and len(batch["img"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return step(self, batch, *rest)

    monkeypatch.setattr(target, name, fails)
    options = {**QUICK["yolo"], **EACH, **way, "epochs": 2}
    YoloTrainer().train(data, tmp_path / "undisturbed", options, weights=None, progress=Watch())
    with pytest.raises(KeyboardInterrupt):
        YoloTrainer().train(data, tmp_path / "cut", options, weights=None, progress=Watch(interrupt_at=1))
    rest = Watch()
    YoloTrainer().train(data, tmp_path / "cut", options, weights=None, progress=rest)
    assert rest.notes[0] == "going on after epoch 1 of 2"
    assert files_of(tmp_path / "cut", "yolo") == files_of(tmp_path / "undisturbed", "yolo")


def step_of(kind: str) -> tuple[Any, str]:
    """Where a library computes the loss of a batch."""
    if kind == "yolo":
        from data_engine.trainers.yolo_model import import_ultralytics

        import_ultralytics()
        from ultralytics.nn.tasks import DetectionModel

        return DetectionModel, "loss"
    from rfdetr.training import RFDETRModelModule

    return RFDETRModelModule, "training_step"


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
        ({"device": "cuda:99"}, r"device 'cuda:99' is not there: this machine has "),
        ({"device": "cuda:98,99"}, r"device 'cuda:98' is not there: this machine has "),
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
