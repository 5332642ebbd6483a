"""The runs of a simulation, each in whatever process: train, predict, measure, keep."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from data_engine import registry
from data_engine.app.engine import STATE_FOLDER, Engine
from data_engine.app.models.retrain_parent import begun_from
from data_engine.errors import DamagedInputError
from data_engine.stages import simulate as stage
from data_engine.stages.base import Silent
from data_engine.types import ClassRegistry, Detections, Frame, content_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.app.selection.simulate_data import LabelledSet
    from data_engine.ports import Detector, Embedder, Storage, Trainer
    from data_engine.selection.hunting import Hunted
    from data_engine.stages.filter_settings import FilterSettings
    from data_engine.stages.retrain import RetrainSettings
    from data_engine.stages.simulate import Labelled, Learned, Point
    from data_engine.stages.simulate_settings import SimulateSettings

FOLDER = f"{STATE_FOLDER}/simulations"
_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Arms:
    """What every run needs; travels to other processes."""

    root: Path
    known: LabelledSet
    vectors: Mapping[str, NDArray[np.float32]]
    """By frame id."""
    settings: SimulateSettings
    training: RetrainSettings
    filtering: FilterSettings
    embedder: str
    weights: Path | None = None
    """The checkpoint that every training begins from; None for scratch."""

    @classmethod
    def of(cls, engine: Engine, known: LabelledSet, vectors: Mapping[str, NDArray[np.float32]]) -> Arms:
        """The runs of a workspace."""
        settings = engine.settings
        return cls(
            engine.root,
            known,
            vectors,
            settings.simulate,
            settings.retrain,
            settings.filter,
            settings.embed.embedder,
            begun_from(engine)[1],
        )

    def begin(self, seed: int, advance: Callable[[int], None]) -> None:
        """Train the model that all strategies of a seed begin with."""
        self.learn(stage.first_pictures(self.known.pool, self.settings.initial, seed), seed)
        advance(1)

    def play(self, run: tuple[str, int], advance: Callable[[int], None]) -> list[Point]:
        """Play one strategy of one seed."""
        strategy, seed = run

        def learn(labelled: Sequence[Labelled], number: int) -> Learned:
            learned = self.learn(labelled, number)
            if len(labelled) > self.settings.initial:
                advance(1)
            return learned

        return stage.replay(
            strategy,
            seed,
            self.known.pool,
            self.known.names,
            self.settings,
            self.filtering,
            learn=learn,
            vectors=self._vectors,
            hunt=self._hunted,
        )

    def first_picks(self, strategy: str, seed: int) -> list[Labelled]:
        """What a strategy picks by the model that a seed begins with."""
        known, settings = self.known, self.settings
        begun = stage.first_pictures(known.pool, settings.initial, seed)
        learned = self.learn(begun, seed)
        have = {picture.frame.id for picture in begun}
        rest = {picture.frame.id: picture for picture in known.pool if picture.frame.id not in have}
        chosen = stage.pick(
            strategy,
            seed,
            list(rest.values()),
            begun,
            known.names,
            settings.step,
            self.filtering,
            learned,
            self._vectors,
            self._hunted,
        )
        return [rest[row.frame_id] for row in chosen.frames]

    # --- one model ----------------------------------------------------------------------------------------------------

    def learn(self, labelled: Sequence[Labelled], seed: int) -> Learned:
        """A model's answers on all pictures, from what was kept or by training it now."""
        from data_engine.formats.predictions import unpack

        storage = self._storage()
        key = f"{FOLDER}/{self._identity(labelled, seed)}.npz"
        if not storage.exists(key):
            storage.write_bytes(key, self._trained(storage, labelled, seed))
        stored = unpack(storage.read_bytes(key), name=key)
        seen = dict(stored)
        return stage.Learned(
            {picture.frame.id: seen[picture.frame.id] for picture in self.known.pool}, self._measured(seen)
        )

    def _identity(self, labelled: Sequence[Labelled], seed: int) -> str:
        from data_engine.media.images import sha256_of

        def told(pictures: Sequence[Labelled]) -> list[str]:
            ordered = sorted(pictures, key=lambda picture: picture.frame.id)
            return [text for picture in ordered for text in (picture.frame.id, repr(picture.boxes))]

        everything = [picture.frame.id for picture in (*self.known.pool, *self.known.test)]
        training = self._seeded(seed).fingerprint()
        parts = (training, str(self._epochs(len(labelled))), *self.known.names, "", *told(labelled), "", *everything)
        begun = () if self.weights is None else (sha256_of(self.weights),)
        return content_id("simulated", stage.VERSION, *parts, *begun)

    def _seeded(self, seed: int) -> RetrainSettings:
        """The settings of a training: its own seed counts from that of the settings."""
        return self.training.model_copy(update={"seed": self.training.seed + seed})

    def _epochs(self, pictures: int) -> int:
        passes = self.settings.passes
        return self.training.epochs if passes is None else max(round(passes / pictures), 1)

    def _trained(self, storage: Storage, labelled: Sequence[Labelled], seed: int) -> bytes:
        """Train, ask about every picture, and leave nothing but the answers."""
        from data_engine.formats.predictions import pack

        _sweep(storage.path(FOLDER))
        home = f"{FOLDER}/training-{os.getpid()}-{self._identity(labelled, seed)[:12]}"
        shutil.rmtree(storage.path(home), ignore_errors=True)
        try:
            detector = self._detector(storage, home, labelled, seed)
            if sorted(detector.class_names) != sorted(self.known.names):
                raise DamagedInputError(f"the trained model names the classes {', '.join(detector.class_names)}")
            columns = [detector.class_names.index(name) for name in self.known.names]
            pictures = [*self.known.pool, *self.known.test]
            seen: list[Detections] = []
            for start in range(0, len(pictures), _TOGETHER):
                some = [self._picture(storage, picture.frame) for picture in pictures[start : start + _TOGETHER]]
                seen += [Detections(found.xyxy, found.scores[:, columns]) for found in detector.predict(some)]
            return pack("simulated", [picture.frame.id for picture in pictures], seen)
        finally:
            shutil.rmtree(storage.path(home), ignore_errors=True)

    def _detector(self, storage: Storage, home: str, labelled: Sequence[Labelled], seed: int) -> Detector:
        from data_engine.detectors.loading import open_detector
        from data_engine.stages.convert import convert_rfdetr, convert_yolo

        quiet = Silent()
        keys = {picture.frame.id: picture.frame.key for picture in labelled}
        training = self._seeded(seed).model_copy(update={"epochs": self._epochs(len(labelled))})
        write = {"yolo": convert_yolo, "rfdetr": convert_rfdetr}[training.kind]
        write(
            _dataset(labelled, self.known.names),
            "train",
            storage=storage,
            root=f"{home}/data",
            find_picture=lambda image: keys.get(str(image.extra["frame_id"])),
            progress=quiet,
        )
        trainer = cast("Trainer", registry.load("trainer", training.kind)())
        output = storage.path(f"{home}/model")
        output.mkdir(parents=True, exist_ok=True)
        made = trainer.train(
            storage.path(f"{home}/data"), output, training.options(), weights=self.weights, progress=quiet
        )
        device = "cpu" if training.device == "cpu" else "auto"
        return open_detector(output / made.onnx_key, kind=made.kind, device=device, threads=training.threads)

    def _measured(self, seen: Mapping[str, Detections]) -> dict[str, Any]:
        from data_engine.metrics.coco import TrueBoxes, evaluate

        names = self.known.names
        truth = [
            TrueBoxes.of(
                [[x, y, x + w, y + h] for _label, (x, y, w, h) in picture.boxes],
                [names.index(label) for label, _box in picture.boxes],
            )
            for picture in self.known.test
        ]
        return evaluate(truth, [seen[picture.frame.id] for picture in self.known.test], names)

    # --- pictures -----------------------------------------------------------------------------------------------------

    def _storage(self) -> Storage:
        return cast("Storage", registry.load("storage", "local")(self.root))

    def _picture(self, storage: Storage, frame: Frame) -> NDArray[np.uint8]:
        from data_engine.media.images import read_rgb

        return read_rgb(storage.path(frame.key), name=frame.key)

    def _vectors(self, frame_ids: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        return np.stack([self.vectors[frame_id] for frame_id in frame_ids])

    def _hunted(
        self,
        frames: Sequence[Frame],
        predictions: Mapping[str, Detections],
        labelled: Sequence[Labelled],
        classes: tuple[str, ...],
    ) -> Hunted:
        """As ``filter --hunt`` does it, with all crops in memory."""
        import numpy as np

        from data_engine.media.crops import square_crops
        from data_engine.selection.hunting import MOST_EXAMPLES, Hunted, Hunter, Typical, ranked
        from data_engine.stages.crops import FrameCrops, describe_crops, describe_examples, sought_among

        storage = self._storage()
        embedder = cast("Embedder", registry.load("embedder", self.embedder)())
        kinds: list[str] = []
        crops: list[NDArray[np.uint8]] = []
        for picture in labelled:
            wanted = [(label, box) for label, box in picture.boxes if label in classes]
            if wanted:
                xyxy = np.array([[x, y, x + w, y + h] for _label, (x, y, w, h) in wanted], np.float32)
                crops += square_crops(self._picture(storage, picture.frame), xyxy, embedder.side)
                kinds += [label for label, _box in wanted]
        crops, kinds = crops[:MOST_EXAMPLES], kinds[:MOST_EXAMPLES]
        examples = describe_examples(kinds, kinds, crops, embedder)
        described = describe_crops(
            list(sought_among(frames).values()),
            lambda frame_id: predictions[frame_id].xyxy,
            embedder,
            storage=storage,
            readers=1,
            progress=Silent(),
        )
        found = {one.frame_id: one for one in described if isinstance(one, FrameCrops)}
        typical = Typical(embedder.dimension)
        for one in found.values():
            typical.add(one.vectors)
        of_frames = [found.get(frame.id) for frame in frames]
        counts = [0 if one is None else len(one.vectors) for one in of_frames]
        there = [one for one in of_frames if one is not None]
        likeness, box, example = Hunter(typical, examples).best_of_frames(
            np.concatenate([one.vectors for one in there] or [np.empty((0, embedder.dimension), np.float32)]),
            np.concatenate([one.xyxy for one in there] or [np.empty((0, 4), np.float32)]),
            np.cumsum([0, *counts]),
        )
        return Hunted(tuple(frame.id for frame in frames), ranked(likeness), box, example, examples.names)


def _sweep(folder: Path) -> None:
    """Remove what trainings left whose process was killed."""
    for left in folder.glob("training-*-*"):
        pid = left.name.split("-")[1]
        if pid.isdecimal() and not Path("/proc", pid).exists() and Path("/proc/self").exists():
            shutil.rmtree(left, ignore_errors=True)


def _dataset(labelled: Sequence[Labelled], names: Sequence[str]) -> Any:
    """The pictures as a COCO data set with file names of their ids, which no two share."""
    from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage

    classes = ClassRegistry.of(names)
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    for number, picture in enumerate(sorted(labelled, key=lambda picture: picture.frame.id), 1):
        frame = picture.frame
        file_name = f"{frame.id}{Path(frame.key).suffix}"
        images.append(CocoImage(number, file_name, frame.width, frame.height, {"frame_id": frame.id}))
        for label, xywh in picture.boxes:
            annotations.append(CocoAnnotation(len(annotations) + 1, number, classes.id_of(label), xywh))
    return CocoDataset(tuple(images), tuple(annotations), classes, {})
