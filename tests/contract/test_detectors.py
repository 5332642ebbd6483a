"""One suite over every detector, and what each does with a file that is not what it should be."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import detector_models as models
import numpy as np
import pytest

from data_engine.detectors.identify import identify
from data_engine.detectors.loading import open_detector
from data_engine.detectors.ultralytics_offline import imported_ultralytics
from data_engine.errors import DamagedInputError, DataEngineError, MissingDependencyError, MissingInputError, UsageError
from data_engine.ports import Detector

pytestmark = [pytest.mark.required, pytest.mark.filterwarnings("ignore:Converting a tensor")]

SHARED = Path(__file__).parents[2].parent / "shared" / "models" / "rfdetr_tiny.onnx"
YOLO = {"author": "Ultralytics", "task": "detect", "names": "{0: 'red', 1: 'green', 2: 'blue'}", "imgsz": "[32, 32]"}
RFDETR = {"rfdetr_notes": json.dumps({"class_names": models.NAMES})}


@pytest.fixture(scope="session")
def yolo_checkpoint(tmp_path_factory) -> Path:
    imported_ultralytics()
    return models.trained_yolo(tmp_path_factory.mktemp("yolo"))


@pytest.fixture(scope="session")
def end_to_end_checkpoint(tmp_path_factory) -> Path:
    imported_ultralytics()
    return models.trained_yolo(tmp_path_factory.mktemp("yolo26"), end2end=True)


@pytest.fixture(scope="session")
def rfdetr_pair(tmp_path_factory):
    return models.shrunken_rfdetr(tmp_path_factory.mktemp("rfdetr"))


@pytest.fixture(scope="session")
def files(tmp_path_factory, request):
    """Model files by name, each made on first use."""
    folder = tmp_path_factory.mktemp("models with ünïcode")
    made: dict[str, Path] = {}

    def yolo() -> Path:
        return request.getfixturevalue("yolo_checkpoint")

    def yolo26() -> Path:
        return request.getfixturevalue("end_to_end_checkpoint")

    recipes = {
        "rfdetr shared": lambda: SHARED,
        "rfdetr": lambda: request.getfixturevalue("rfdetr_pair")[1],
        "rfdetr pth": lambda: request.getfixturevalue("rfdetr_pair")[2],
        "yolo pt": yolo,
        "yolo onnx": lambda: models.exported(yolo(), folder / "static.onnx"),
        "yolo onnx dynamic": lambda: models.exported(yolo(), folder / "dynamic.onnx", dynamic=True),
        "yolo onnx batch 4": lambda: models.exported(yolo(), folder / "four.onnx", batch=4),
        "yolo onnx nms": lambda: models.exported(yolo(), folder / "nms.onnx", nms=True),
        "yolo26 pt": lambda: models.end_to_end(yolo26(), folder / "yolo26.pt"),
        "yolo26 onnx": lambda: models.exported(yolo26(), folder / "yolo26.onnx", nms=False),
    }

    def get(name: str) -> Path:
        if name == "rfdetr shared" and not SHARED.exists():
            pytest.skip(f"the shared model {SHARED.name} is not there")
        if name not in made:
            made[name] = recipes[name]()
        return made[name]

    return get


ALL = [
    "rfdetr shared",
    "rfdetr",
    "rfdetr pth",
    "yolo pt",
    "yolo onnx",
    "yolo onnx dynamic",
    "yolo onnx batch 4",
    "yolo onnx nms",
    "yolo26 pt",
    "yolo26 onnx",
]


@pytest.fixture(scope="session")
def opened(files):
    held: dict[str, Detector] = {}

    def get(name: str) -> Detector:
        if name not in held:
            with models.small_backbone() if name == "rfdetr pth" else contextlib.nullcontext():
                held[name] = open_detector(files(name), device="cpu", threads=1)
        return held[name]

    return get


@pytest.fixture(params=ALL)
def detector(request, opened) -> Detector:
    return opened(request.param)


# --- the contract -----------------------------------------------------------------------------------------------------


def test_what_comes_back(detector):
    pictures = models.pictures()
    found = detector.predict(pictures)
    assert isinstance(detector, Detector)
    assert len(found) == len(pictures)
    assert sum(map(len, found)) > len(pictures)
    for picture, detections in zip(pictures, found, strict=True):
        height, width = picture.shape[:2]
        assert detections.scores.shape == (len(detections), len(detector.class_names))
        assert len(detections) <= 100
        assert (detections.best >= 0.01).all()
        assert (np.diff(detections.best) <= 0).all()
        x1, y1, x2, y2 = detections.xyxy.T
        assert (x1 >= 0).all()
        assert (y1 >= 0).all()
        assert (x2 <= width).all()
        assert (y2 <= height).all()
        assert (x2 > x1).all()
        assert (y2 > y1).all()


def test_together_as_alone(detector):
    pictures = models.pictures()
    together = detector.predict(pictures)
    for picture, among in zip(pictures, together, strict=True):
        (alone,) = detector.predict([picture])
        assert len(alone) == len(among)
        np.testing.assert_allclose(alone.scores, among.scores, atol=1e-5)
        np.testing.assert_allclose(alone.xyxy, among.xyxy, atol=1e-3)


def test_the_same_twice(detector, files, request):
    name = request.node.callspec.params["detector"]
    with models.small_backbone() if name == "rfdetr pth" else contextlib.nullcontext():
        again = open_detector(files(name), device="cpu", threads=1)
    for one, other in zip(detector.predict(models.pictures()), again.predict(models.pictures()), strict=True):
        np.testing.assert_array_equal(one.xyxy, other.xyxy)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_no_pictures(detector):
    assert detector.predict([]) == []


def test_a_picture_of_one_pixel(detector):
    (found,) = detector.predict([np.full((1, 1, 3), 200, np.uint8)])
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= 1).all()


def test_the_file_says_what_it_is(files):
    assert {name: identify(files(name)) for name in ALL if name != "rfdetr shared"} == {
        name: name.split()[0].replace("26", "") for name in ALL if name != "rfdetr shared"
    }


def test_nothing_on_stdout(files, capfd):
    path = files("yolo pt")
    capfd.readouterr()
    open_detector(path, device="cpu").predict(models.pictures())
    assert capfd.readouterr().out == ""


def test_the_shared_model(files):
    detector = open_detector(files("rfdetr shared"), device="cpu")
    assert (detector.kind, detector.class_names, detector.device) == (
        "rfdetr",
        ("person", "helmet", "no-helmet"),
        "CPUExecutionProvider",
    )


# --- the same model through another door ------------------------------------------------------------------------------


def matched(one, other, *, scores: float, pixels: float) -> int:
    """Asserts that every box of ``one`` above 0.02 is in ``other`` with the same vector; returns their number."""
    strong = one.kept(0.02)
    for box, vector in zip(strong.xyxy, strong.scores, strict=True):
        near = np.flatnonzero(np.abs(other.xyxy - box).max(axis=1) <= pixels)
        assert len(near)
        assert np.abs(other.scores[near] - vector).max(axis=1).min() <= scores
    return len(strong)


@pytest.mark.parametrize("name", ["yolo onnx", "yolo onnx dynamic", "yolo onnx batch 4"])
def test_yolo_export_and_checkpoint_agree(opened, name):
    pictures = models.pictures()
    count = 0
    for export, checkpoint in zip(opened(name).predict(pictures), opened("yolo pt").predict(pictures), strict=True):
        count += matched(export, checkpoint, scores=1e-3, pixels=0.5)
        count += matched(checkpoint, export, scores=1e-3, pixels=0.5)
    assert count > 20


def test_rfdetr_export_and_checkpoint_agree(opened):
    """Query by query, with whole vectors."""
    pictures = [models.drawn(768, 576, 7)[0], models.drawn(1280, 720, 8)[0], *models.pictures()]
    count = 0
    for export, checkpoint in zip(
        opened("rfdetr").predict(pictures), opened("rfdetr pth").predict(pictures), strict=True
    ):
        count += matched(export, checkpoint, scores=1e-4, pixels=0.01)
        count += matched(checkpoint, export, scores=1e-4, pixels=0.01)
    assert count > 200


def test_yolo_finds_what_is_drawn(opened):
    hits = total = 0
    for seed in range(200, 220):
        picture, boxes = models.drawn(models.SIZE, models.SIZE, seed)
        (found,) = opened("yolo onnx").predict([picture])
        for label, x, y, w, h in boxes:
            total += 1
            centre = np.abs((found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2 - (x + w / 2, y + h / 2)).max(axis=1)
            hits += bool(((centre < 8) & (found.labels == label)).any())
    assert hits > total / 2


def test_yolo_as_ultralytics_predicts(opened, files):
    """Boxes, winners and order as ``YOLO.predict`` gives them on the same whole canvas."""
    import ultralytics

    reference = ultralytics.YOLO(str(files("yolo pt")))
    for picture in models.pictures():
        (found,) = opened("yolo pt").predict([picture])
        (result,) = reference.predict(
            picture[..., ::-1], conf=0.01, iou=0.7, max_det=100, imgsz=models.SIZE, rect=False, verbose=False
        )
        boxes = result.boxes.data.numpy()
        assert len(boxes) == len(found)
        np.testing.assert_allclose(found.xyxy, boxes[:, :4], atol=0.02)
        np.testing.assert_allclose(found.best, boxes[:, 4], atol=1e-4)
        np.testing.assert_array_equal(found.labels, boxes[:, 5])


def test_end_to_end_export_tells_the_best_pairs_of_its_checkpoint(opened):
    pictures = models.pictures()
    exports, checkpoints = opened("yolo26 onnx").predict(pictures), opened("yolo26 pt").predict(pictures)
    some = 0
    for export, checkpoint in zip(exports, checkpoints, strict=True):
        top = export.kept(0.02)
        some += len(top)
        for box, vector in zip(top.xyxy, top.scores, strict=True):
            near = np.abs(checkpoint.xyxy - box).max(axis=1) <= 0.5
            known = vector > 0
            assert (np.abs(checkpoint.scores[near][:, known] - vector[known]).max(axis=1) <= 1e-3).any()
    assert some > 20


def test_built_in_suppression_keeps_the_winners(opened):
    pictures = models.pictures()
    for inside, outside in zip(
        opened("yolo onnx nms").predict(pictures), opened("yolo onnx").predict(pictures), strict=True
    ):
        # The export suppresses by its own threshold, so it may keep fewer boxes, never others.
        for box, best in zip(inside.xyxy, inside.best, strict=True):
            near = np.abs(outside.xyxy - box).max(axis=1) <= 0.5
            assert near.any()
            assert np.abs(outside.best[near] - best).min() <= 1e-3


def test_rfdetr_as_rfdetr_predicts(opened, rfdetr_pair):
    """Every pair of query and class that ``predict()`` ranks, and no other above its last one."""
    model, _, _ = rfdetr_pair
    sizes = [(768, 576), (333, 201), (97, 300), (128, 128)]
    for number, (width, height) in enumerate(sizes):
        picture = models.drawn(width, height, number)[0]
        reference = model.predict(picture, threshold=0.0)
        (found,) = opened("rfdetr").predict([picture])
        real = reference.class_id < len(models.NAMES)
        compared = 0
        for box, score, label in zip(
            reference.xyxy[real], reference.confidence[real], reference.class_id[real], strict=True
        ):
            if box[2] - box[0] < 0.1 or box[3] - box[1] < 0.1:
                continue
            near = np.abs(found.xyxy - box).max(axis=1) <= 0.01
            assert near.any()
            assert np.abs(found.scores[near, label] - score).min() <= 1e-4
            compared += 1
        assert compared > 5
        assert (found.scores > reference.confidence.min() + 1e-4).sum() <= real.sum()


# --- files that are not what they should be ---------------------------------------------------------------------------


def dets_and_labels(slots: int, value: float = 0.2) -> dict[str, np.ndarray]:
    return {"dets": np.full((1, 5, 4), value, np.float32), "labels": np.full((1, 5, slots), value, np.float32)}


def raises(error: type[DataEngineError], text: str, path: Path, **options) -> DataEngineError:
    with pytest.raises(error) as caught:
        open_detector(path, **{"device": "cpu", **options}).predict([np.zeros((40, 60, 3), np.uint8)])
    assert type(caught.value) is error
    assert caught.value.message == text
    return caught.value


def test_constant_models_work(tmp_path):
    path = models.constant_model(tmp_path / "a.onnx", dets_and_labels(4), RFDETR)
    (found,) = open_detector(path, device="cpu").predict([np.zeros((40, 60, 3), np.uint8)])
    np.testing.assert_allclose(found.xyxy, np.tile([6, 4, 18, 12], (5, 1)), atol=1e-5)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-0.2)), atol=1e-6)
    path = models.constant_model(tmp_path / "b.onnx", {"output0": np.full((1, 7, 5), 0.5, np.float32)}, YOLO)
    (found,) = open_detector(path, device="cpu").predict([np.full((32, 32, 3), 9, np.uint8)])
    np.testing.assert_allclose(found.xyxy, [[0.25, 0.25, 0.75, 0.75]])


def test_nan(tmp_path):
    path = models.constant_model(tmp_path / "nan.onnx", dets_and_labels(4, np.nan), RFDETR)
    raises(DamagedInputError, "nan.onnx answers with NaN or infinite numbers in dets", path)
    path = models.constant_model(tmp_path / "nan.onnx", {"output0": np.full((1, 7, 5), np.nan, np.float32)}, YOLO)
    raises(DamagedInputError, "nan.onnx answers with NaN or infinite numbers in output0", path)


def test_nan_in_the_weights(files, tmp_path):
    import onnx
    from onnx import numpy_helper

    model = onnx.load(files("yolo onnx"))
    for weights in model.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT and len(weights.dims) == 4:
            weights.CopyFrom(numpy_helper.from_array(np.full(weights.dims, np.nan, np.float32), weights.name))
    onnx.save(model, str(tmp_path / "spoilt.onnx"))
    raises(DamagedInputError, "spoilt.onnx answers with NaN or infinite numbers in output0", tmp_path / "spoilt.onnx")


def test_nan_in_the_weights_of_a_checkpoint(files, tmp_path):
    import ultralytics

    model = ultralytics.YOLO(str(files("yolo pt")))
    model.model.model[0].conv.weight.data.fill_(np.nan)
    model.save(str(tmp_path / "spoilt.pt"))
    raises(DamagedInputError, "spoilt.pt answers with NaN or infinite numbers", tmp_path / "spoilt.pt")


def test_other_outputs(tmp_path):
    path = models.constant_model(tmp_path / "other.onnx", {"scores": np.zeros((1, 5, 3), np.float32)}, {})
    error = raises(UsageError, "other.onnx does not say which kind of model it is", path)
    assert error.hint == "--kind rfdetr|yolo"
    raises(
        DamagedInputError,
        "other.onnx is not an RF-DETR model: its outputs are scores, not dets and labels",
        path,
        kind="rfdetr",
    )
    raises(
        DamagedInputError,
        "other.onnx is not a YOLO model: its outputs are scores [1, 5, 3], not output0 of 3 axes",
        path,
        kind="yolo",
    )


def test_no_classes(tmp_path):
    for slots in (0, 1):
        path = models.constant_model(tmp_path / "none.onnx", dets_and_labels(slots), RFDETR)
        text = f"none.onnx has no class: its labels have {slots} slots, background included"
        raises(DamagedInputError, text, path)
    path = models.constant_model(tmp_path / "none.onnx", {"output0": np.zeros((1, 4, 5), np.float32)}, YOLO)
    raises(DamagedInputError, "none.onnx has no class: its output0 has 4 rows, 4 are the box", path)


def test_classes_and_names_that_differ(tmp_path):
    path = models.constant_model(tmp_path / "many.onnx", dets_and_labels(501), RFDETR)
    raises(
        DamagedInputError,
        "many.onnx has labels of 501 slots (one is background), "
        "which does not fit its 3 class names (red, green, blue)",
        path,
    )
    path = models.constant_model(tmp_path / "many.onnx", {"output0": np.zeros((1, 504, 5), np.float32)}, YOLO)
    raises(
        DamagedInputError,
        "many.onnx has 500 classes, which does not fit its 3 class names (red, green, blue)",
        path,
    )
    names = [f"class {number}" for number in range(500)]
    path = models.constant_model(tmp_path / "many.onnx", dets_and_labels(501), {})
    (found,) = open_detector(path, class_names=names).predict([np.zeros((40, 60, 3), np.uint8)])
    assert found.scores.shape == (5, 500)


def test_names_that_nobody_tells(tmp_path):
    path = models.constant_model(tmp_path / "mute.onnx", dets_and_labels(4), {"rfdetr_notes": "trained on Tuesday"})
    error = raises(UsageError, "mute.onnx does not name its classes", path)
    assert error.hint == "name them in their order: --classes a,b,c"
    assert open_detector(path, class_names=["a", "b", "c"]).class_names == ("a", "b", "c")
    raises(
        UsageError,
        "mute.onnx has labels of 4 slots (one is background), which does not fit its 2 class names (a, b)",
        path,
        class_names=["a", "b"],
    )
    raises(UsageError, "mute.onnx: class 'a' is named twice", path, class_names=["a", "a", "b"])


def test_names_that_contradict_the_file(tmp_path):
    path = models.constant_model(tmp_path / "a.onnx", dets_and_labels(4), RFDETR)
    text = "a.onnx names its classes red, green, blue; given were green, red, blue"
    raises(UsageError, text, path, class_names=["green", "red", "blue"])
    assert open_detector(path, class_names=models.NAMES).class_names == ("red", "green", "blue")


def test_slots_by_category_id(tmp_path):
    """As many names as slots: the unnamed slots are dropped, none is background."""
    outputs = dets_and_labels(5)
    outputs["labels"][:] = np.arange(5, dtype=np.float32)
    path = models.constant_model(tmp_path / "coco.onnx", outputs, {})
    detector = open_detector(path, class_names=["", "person", "bicycle", "", "dog"])
    assert detector.class_names == ("person", "bicycle", "dog")
    (found,) = detector.predict([np.zeros((40, 60, 3), np.uint8)])
    np.testing.assert_allclose(found.scores[0], 1 / (1 + np.exp(-np.array([1.0, 2.0, 4.0]))), atol=1e-6)


def test_another_task(tmp_path):
    path = models.constant_model(
        tmp_path / "seg.onnx", {"output0": np.zeros((1, 39, 5), np.float32)}, {**YOLO, "task": "segment"}
    )
    raises(DamagedInputError, "seg.onnx is a YOLO for the task 'segment', not for finding boxes", path)


def test_scores_that_are_none(tmp_path):
    path = models.constant_model(tmp_path / "raw.onnx", {"output0": np.full((1, 7, 5), 16.0, np.float32)}, YOLO)
    raises(DamagedInputError, "raw.onnx does not answer as a YOLO does: scores must lie in 0..1: got 16.0..16.0", path)


@pytest.mark.parametrize("kind", [None, "rfdetr", "yolo"])
def test_a_text_file_named_onnx(tmp_path, kind):
    path = tmp_path / "notes.onnx"
    path.write_text("These are my notes.\n" * 20)
    raises(DamagedInputError, "notes.onnx is not an ONNX model", path, kind=kind)


def test_a_text_file_named_pt(tmp_path):
    path = tmp_path / "notes.pt"
    path.write_text("These are my notes.\n" * 20)
    raises(DamagedInputError, "notes.pt is not a PyTorch checkpoint", path)


def test_a_truncated_export(files, tmp_path):
    whole = files("yolo onnx").read_bytes()
    path = tmp_path / "half.onnx"
    path.write_bytes(whole[: len(whole) // 2])
    raises(DamagedInputError, "half.onnx is not an ONNX model", path)


def test_a_truncated_checkpoint(files, tmp_path):
    whole = files("yolo pt").read_bytes()
    path = tmp_path / "half.pt"
    path.write_bytes(whole[: len(whole) // 2])
    raises(DamagedInputError, "half.pt is damaged: it begins as an archive, but can't be read as one", path)
    raises(
        DamagedInputError, "half.pt is damaged: it begins as an archive, but can't be read as one", path, kind="yolo"
    )


def test_a_checkpoint_of_something_else(tmp_path):
    import torch

    path = tmp_path / "other.pt"
    torch.save({"weights": torch.zeros(3)}, path)
    assert identify(path) is None
    raises(UsageError, "other.pt does not say which kind of model it is", path)
    raises(DamagedInputError, "other.pt is not a checkpoint that ultralytics wrote, or is damaged", path, kind="yolo")
    raises(DamagedInputError, "other.pt is not a checkpoint that rfdetr wrote, or is damaged", path, kind="rfdetr")


def test_a_checkpoint_runs_no_code(tmp_path):
    """A pickle that would write a file when it is loaded, dressed as a checkpoint of ultralytics."""
    import torch

    flag = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return Path.touch, (flag,)

    path = tmp_path / "trap.pt"
    torch.save({"model": Trap(), "docs": "ultralytics"}, path)
    raises(DamagedInputError, "trap.pt is not a checkpoint that ultralytics wrote, or is damaged", path)
    assert not flag.exists()


def test_empty_missing_and_folder(tmp_path):
    empty = tmp_path / "empty.onnx"
    empty.touch()
    raises(DamagedInputError, "empty.onnx is empty, not a model", empty)
    error = raises(MissingInputError, f"model {tmp_path / 'none.onnx'} is not there", tmp_path / "none.onnx")
    assert error.exit_code == 3
    assert "dataengine retrain" in error.hint
    raises(DamagedInputError, f"{tmp_path.name} is a folder, not a model file", tmp_path)


def test_kinds(files):
    raises(UsageError, "model kind 'ssd' is unknown", files("yolo onnx"), kind="ssd")
    error = raises(UsageError, "static.onnx is a yolo model, not rfdetr", files("yolo onnx"), kind="rfdetr")
    assert error.hint == "leave --kind out, or give --kind yolo"


def test_a_checkpoint_of_rfdetr_runs_no_code(tmp_path):
    import torch

    flag = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return Path.touch, (flag,)

    path = tmp_path / "trap.pth"
    names = ["class_embed.weight", "refpoint_embed.weight", "query_feat.weight"]
    torch.save({"model": Trap(), "args": {}, "model_name": "RFDETRNano", "names": names}, path)
    assert identify(path) == "rfdetr"
    raises(DamagedInputError, "trap.pth is not a checkpoint that rfdetr wrote, or is damaged", path)
    assert not flag.exists()


def test_nan_in_the_weights_of_an_rfdetr_checkpoint(files, tmp_path):
    import torch

    content = torch.load(files("rfdetr pth"), weights_only=True)
    content["model"]["class_embed.bias"].fill_(np.nan)
    torch.save(content, tmp_path / "spoilt.pth")
    with models.small_backbone():
        raises(DamagedInputError, "spoilt.pth answers with NaN or infinite numbers", tmp_path / "spoilt.pth")


def test_names_of_an_rfdetr_checkpoint(files, tmp_path):
    import torch

    content = torch.load(files("rfdetr pth"), weights_only=True)
    path = tmp_path / "names.pth"
    torch.save({**content, "args": {"num_classes": 3}}, path)
    with models.small_backbone():
        raises(UsageError, "names.pth does not name its classes", path)
        assert open_detector(path, device="cpu", class_names=["a", "b", "c"]).class_names == ("a", "b", "c")
    torch.save({**content, "args": {**content["args"], "class_names": ["a", "b"]}}, path)
    text = "names.pth has labels of 4 slots (one is background), which does not fit its 2 class names (a, b)"
    with models.small_backbone():
        raises(DamagedInputError, text, path)


def test_other_inputs(tmp_path):
    from onnx import TensorProto, helper, save

    flat = helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [1, 7])
    out = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 7])
    graph = helper.make_graph([helper.make_node("Identity", ["numbers"], ["output0"])], "flat", [flat], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, YOLO)
    save(model, str(tmp_path / "flat.onnx"))
    raises(
        DamagedInputError,
        "flat.onnx does not take pictures: its inputs are numbers [1, 7]",
        tmp_path / "flat.onnx",
    )


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cpu:1", "auto:0", "", "cpu,", "tensorrt:x"])
@pytest.mark.parametrize("name", ["yolo onnx", "yolo pt"])
def test_unknown_device(files, name, device):
    wrong = device.rpartition(",")[2]
    raises(UsageError, f"device {wrong!r} is unknown", files(name), device=device)


def test_tensorrt_is_never_replaced_in_silence(files):
    import onnxruntime

    text = "TensorRT runs .onnx files, not PyTorch's checkpoints"
    error = raises(UsageError, text, files("yolo pt"), device="tensorrt:1")
    assert error.hint == "give the model's .onnx file"
    offered = onnxruntime.get_available_providers()
    if "TensorrtExecutionProvider" in offered:
        pytest.skip("this ONNX Runtime offers TensorRT")
    for device in ("tensorrt", "tensorrt:1"):
        error = raises(
            MissingDependencyError,
            f"this ONNX Runtime has no TensorRT: it offers {', '.join(offered)}",
            files("yolo onnx"),
            device=device,
        )
        assert error.hint == "pip uninstall onnxruntime, then pip install '.[gpu]' in your checkout of dataengine"


def test_cuda_is_never_replaced_in_silence(files):
    import onnxruntime
    import torch

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        offered = ", ".join(onnxruntime.get_available_providers())
        error = raises(
            MissingDependencyError,
            f"this ONNX Runtime has no CUDA: it offers {offered}",
            files("yolo onnx"),
            device="cuda",
        )
        assert "'.[gpu]'" in error.hint
    elif torch.cuda.is_available():
        assert open_detector(files("yolo onnx"), device="cuda").device == "CUDAExecutionProvider"
    else:
        text = "CUDA device 0 could not be started for static.onnx; what works here is CPUExecutionProvider"
        raises(UsageError, text, files("yolo onnx"), device="cuda")
    if not torch.cuda.is_available():
        text = "PyTorch sees no CUDA device here; what works is cpu"
        raises(MissingDependencyError, text, files("yolo pt"), device="cuda:0")
    else:
        assert open_detector(files("yolo pt"), device="cuda:0").device == "cuda:0"
