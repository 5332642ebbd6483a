"""A model whose classes moved by one is stopped on the command line, with a trained RF-DETR and drawn footage."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import plant
import pytest

from data_engine.app.annotation.upload import upload
from data_engine.app.engine import open_engine
from data_engine.app.footage.sample import sample
from data_engine.app.init import init
from data_engine.app.merge.export import export
from data_engine.demo.footage import CLASSES, make_footage
from data_engine.demo.people import work

OVERRIDES = {"sample": {"method": "interval", "interval": 0.5, "workers": 1}, "upload": {"job_size": 100}}


class Silent:
    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def renamed(source: Path, target: Path, names: tuple[str, ...]) -> Path:
    """The same outputs under other names."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(source))
    onnx.helper.set_model_props(model, {"rfdetr_notes": json.dumps({"class_names": list(names)})})
    onnx.save(model, str(target))
    return target


def test_a_shift_by_one_stops_the_run(shared, tmp_path, clock):
    pytest.importorskip("onnxruntime")
    right = shared / "models/rfdetr_tiny.onnx"
    root = tmp_path / "plant"
    init(root, classes=CLASSES, progress=Silent())
    film = make_footage(root / "videos_raw", seed=3, cameras=2, seconds=9, fps=Fraction(4), size=(160, 120))

    def truth(frame):
        video, time_ms, _short = Path(frame.name).stem.rsplit("_", 2)
        return film.boxes_at(video, int(time_ms) / 1000)

    with open_engine(root, overrides=OVERRIDES, progress=Silent(), environ={}, clock=clock) as engine:
        sample(engine)
        upload(engine, frames=root / "frames_sampled")
        work(engine, truth, annotator="ada", reviewer="bo")
        export(engine)

    shell = plant.Shell(root)
    shifted = renamed(right, tmp_path / "shifted.onnx", (*CLASSES[1:], CLASSES[0]))
    for command in ("filter", "preannotate --frames frames_sampled"):
        ended = shell.type(f"dataengine {command} --model {shifted} --device cpu")
        assert (ended.code, ended.out) == (4, ""), ended
        error, hint = ended.err.splitlines()[-2:]
        assert error.startswith("error: shifted.onnx calls 'no-helmet' ")
        assert error.endswith("accepted boxes of person: its numbering is shifted by one")
        assert hint.startswith("hint: name its classes in their real order, person,helmet,no-helmet (in the file")
    rows = shell.counts()
    assert (rows["models"], rows["predictions"], rows["canaries"]) == (0, 0, 0)

    ended = shell.type(f"dataengine filter --model {right} --device cpu")
    assert ended.code == 0, ended
    rows = shell.counts()
    assert (rows["models"], rows["canaries"]) == (1, 1)
    assert rows["predictions"] > 0
