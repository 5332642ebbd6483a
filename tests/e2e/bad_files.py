"""Files that are not what they claim to be, made on the spot, and a small model that is sound."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

RATE = 10
FRAMES = 50
PER_SCENE = 10
"""Frames until the picture changes: what ``sample`` keeps is every tenth frame."""


def scene(number: int) -> np.ndarray:
    """A picture of blocks, unlike that of any other number."""
    blocks = np.random.default_rng(number).integers(60, 180, (15, 20, 3), dtype=np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)


def picture(path: Path, number: int) -> Path:
    # Written in Python: OpenCV prints warnings about names that it does not like.
    path.write_bytes(cv2.imencode(path.suffix, scene(number))[1].tobytes())
    return path


def video(path: Path, first_scene: int = 0, codec: str = "mpeg4") -> Path:
    """A video of five seconds and five scenes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 120, "yuv420p", PER_SCENE
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(scene(first_scene + number // PER_SCENE), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut_off(path: Path, frames: int, first_scene: int = 0) -> Path:
    """A video whose file ends in the middle of the frame after so many."""
    whole = video(path.with_name(f"whole{path.suffix}"), first_scene)
    with av.open(str(whole)) as container:
        ends = [packet.pos + packet.size // 2 for packet in container.demux(video=0) if packet.size]
    path.write_bytes(whole.read_bytes()[: ends[frames]])
    whole.unlink()
    return path


def text_file(path: Path) -> None:
    path.write_text("This is no video.\n" * 100)


def empty_file(path: Path) -> None:
    path.write_bytes(b"")


def recording_without_index(path: Path) -> None:
    data = video(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        for start in range(0, 44100, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def frames_overwritten(path: Path) -> None:
    """A video whose frames are all overwritten with zeros."""
    data = bytearray(video(path).read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for start, size in places:
        # An AVI packet begins with eight bytes of its chunk's name and size.
        data[start + 8 : start + 8 + size] = bytes(size)
    path.write_bytes(bytes(data))


def header_only(path: Path) -> None:
    """A video that ends before its first frame."""
    whole = video(path).read_bytes()
    with av.open(str(path)) as container:
        first = next(packet.pos for packet in container.demux(video=0) if packet.size)
    path.write_bytes(whole[:first])


def onnx(path: Path, outputs: dict[str, np.ndarray], metadata: dict[str, str]) -> Path:
    """An ONNX model that answers every picture with the same arrays."""
    from onnx import TensorProto, helper, numpy_helper, save

    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, f"{name}_value"))
        for name, value in outputs.items()
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata)
    save(model, str(path))
    return path


def rfdetr(path: Path, names: Sequence[str] = ("a", "b"), *, noted: bool = True, broken: bool = False) -> Path:
    """An RF-DETR that sees the same four boxes in every picture; a broken one answers NaN."""
    boxes = np.array([[[0.2, 0.2, 0.2, 0.2], [0.7, 0.2, 0.2, 0.2], [0.2, 0.7, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]]])
    logits = np.full((1, 4, len(names) + 1), -3.0)
    logits[0, range(4), [number % len(names) for number in range(4)]] = [2.0, 1.0, 0.5, -1.0]
    if broken:
        boxes[0, 0, 0] = np.nan
    notes = {"rfdetr_notes": json.dumps({"class_names": list(names)})} if noted else {}
    return onnx(path, {"dets": boxes.astype(np.float32), "labels": logits.astype(np.float32)}, notes)


CLIMBING = ("../../etc/passwd", "/etc/passwd", "..\\..\\secret.jpg", "C:\\secret.jpg")


def bad_coco(good: dict[str, Any]) -> Iterator[tuple[str, bytes, str]]:
    """``(what is wrong, the file, what is said after its name)`` for a sound COCO file with two images and boxes."""

    def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
        document = copy.deepcopy(good)
        change(document)
        return json.dumps(document).encode()

    def box(*numbers: float) -> bytes:
        return changed(lambda document: document["annotations"][0].update(bbox=list(numbers)))

    image, first = good["images"][0]["id"], good["annotations"][0]["id"]
    whole = json.dumps(good).encode()
    yield (
        "unknown image",
        changed(lambda d: d["annotations"][0].update(image_id=99)),
        (f": annotation {first} is on the unknown image 99"),
    )
    yield (
        "unknown label",
        changed(lambda d: d["categories"][0].update(name="zebra")),
        (": unknown label 'zebra': the known labels are a, b"),
    )
    yield (
        "unknown category",
        changed(lambda d: d["annotations"][0].update(category_id=99)),
        (f": annotation {first} is of the unknown category 99"),
    )
    yield "negative box", box(10, 10, -5, 5), f": annotation {first} has a box of -5 x 5 pixels"
    yield "box without area", box(10, 10, 0, 5), f": annotation {first} has a box of 0 x 5 pixels"
    yield "NaN", box(10, 10, float("nan"), 5), ": annotations[0].bbox[2] is NaN, which is not a number"
    yield "infinite", box(10, 10, 5, float("inf")), ": annotations[0].bbox[3] is Infinity, which is not a number"
    yield "three numbers", box(1, 2, 3), ": annotations[0].bbox must be 4 numbers: left, top, width, height"
    yield "image id twice", changed(lambda d: d["images"][1].update(id=image)), f": two images have the id {image}"
    yield (
        "annotation id twice",
        changed(lambda d: d["annotations"][1].update(id=first)),
        (f": two annotations have the id {first}"),
    )
    yield "category id twice", changed(lambda d: d["categories"][1].update(id=1)), ": two categories have the id 1"
    for name in CLIMBING:
        yield (
            f"climbs: {name}",
            changed(lambda d, name=name: d["images"][0].update(file_name=name)),
            (f": the file name {name!r} of image {image} climbs out of its folder"),
        )
    yield (
        "truncated",
        whole[: len(whole) // 2],
        (" ends in the middle: it is a truncated piece of JSON, not a COCO file"),
    )
    yield "not JSON", b"hello", " is not JSON: invalid character at byte 0"
    yield "empty", b"", " is empty, not a COCO file"
    yield "a list", b"[]", " is not a COCO file: expected object, got array at its top"
    yield "no annotations", changed(lambda d: d.pop("annotations")), " is not a COCO file: it has no 'annotations'"
    yield "picture resized", changed(lambda d: d["images"][0].update(width=99)), ""
