"""The convert stage, on real files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs
from PIL import Image

from data_engine.errors import ConflictError, DamagedInputError, DataEngineError, UsageError
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage, read_coco
from data_engine.formats.yolo import parse_yolo
from data_engine.stages.convert import Converted, ConvertSettings, convert_rfdetr, convert_yolo
from data_engine.storage.local import LocalStorage
from data_engine.types import ClassRegistry

BCCD = Path(__file__).parents[4] / "shared" / "data" / "bccd"
REGISTRY = ClassRegistry.of(["person", "helmet"])
NAMES = ("b.jpg", "a ä.jpg", "leer.png")


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        self.events.append(f"{label}: {total} {unit}")

    def advance(self, amount: int = 1) -> None:
        self.events.append(f"+{amount}")

    def note(self, text: str) -> None:
        self.events.append(text)

    def finish(self) -> None:
        self.events.append("end")


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path / "arbeits platz")
    for name in NAMES:
        storage.write_bytes(f"frames/{name}", b"picture " + name.encode())
    return storage


def a_dataset(names: tuple[str, ...] = NAMES, registry: ClassRegistry = REGISTRY) -> CocoDataset:
    images = tuple(CocoImage(number, name, 100, 50) for number, name in enumerate(names, 1))
    boxes = (
        CocoAnnotation(1, 1, 1, (10, 10, 20.125, 20)),
        CocoAnnotation(2, 1, 2, (90, 40, 20, 20)),
        CocoAnnotation(3, 1, 1, (200, 10, 20, 20)),
        CocoAnnotation(4, 2, 2, (0, 0, 100, 50), iscrowd=True),
        CocoAnnotation(5, 2, 2, (0, 0, 1 / 3, 0.1)),
    )
    return CocoDataset(images, tuple(b for b in boxes if b.image_id <= len(names)), registry)


def run(
    convert: Callable[..., Converted], storage: LocalStorage, dataset: CocoDataset, split: str = "train", **options: Any
) -> Converted:
    def find(image: CocoImage) -> str | None:
        key = f"frames/{image.file_name}"
        return key if storage.exists(key) else None

    root = {convert_yolo: "final_labels/yolo", convert_rfdetr: "final_labels/rfdetr"}[convert]
    return convert(
        dataset, split, **{"storage": storage, "root": root, "find_picture": find, "progress": Told()} | options
    )


both = pytest.mark.parametrize("convert", [convert_yolo, convert_rfdetr])


def tree(storage: LocalStorage, folder: str = "final_labels") -> dict[str, bytes]:
    """Every file, the hidden ones too, without the times in the marks of pictures."""
    root = storage.path(folder)
    return {
        path.relative_to(root).as_posix(): re.sub(rb'"(\d+)-\d+"', rb'"\1-time"', path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_yolo_layout(storage: LocalStorage) -> None:
    told = Told()
    counts = run(convert_yolo, storage, a_dataset(), progress=told)
    assert list(storage.list("final_labels/yolo")) == [
        "final_labels/yolo/data.yaml",
        "final_labels/yolo/train/images/a ä.jpg",
        "final_labels/yolo/train/images/b.jpg",
        "final_labels/yolo/train/images/leer.png",
        "final_labels/yolo/train/labels/a ä.txt",
        "final_labels/yolo/train/labels/b.txt",
        "final_labels/yolo/train/labels/leer.txt",
    ]
    assert storage.read_bytes("final_labels/yolo/train/labels/leer.txt") == b""
    assert storage.read_bytes("final_labels/yolo/train/labels/b.txt") == (
        b"0 0.200625 0.4 0.20125 0.4\n1 0.95 0.9 0.1 0.2\n"
    )
    assert counts == Converted(
        images=3, boxes=3, backgrounds=1, crowds_dropped=1, clipped=1, outside=1, per_class={"person": 1, "helmet": 2}
    )
    assert told.events == ["convert to yolo/train: 3 images", "+1", "+1", "+1", "end"]


def test_rfdetr_layout(storage: LocalStorage) -> None:
    # Ids of a version are large, and not in the order of the pictures' names.
    large = a_dataset()
    images = tuple(structs.replace(image, id=image.id * 1000) for image in large.images)
    boxes = tuple(structs.replace(box, id=box.id * 10**9, image_id=box.image_id * 1000) for box in large.annotations)
    counts = run(convert_rfdetr, storage, replace(large, images=images, annotations=boxes), "valid")
    assert list(storage.list("final_labels/rfdetr")) == [
        "final_labels/rfdetr/valid/_annotations.coco.json",
        "final_labels/rfdetr/valid/a ä.jpg",
        "final_labels/rfdetr/valid/b.jpg",
        "final_labels/rfdetr/valid/leer.png",
    ]
    document = json.loads(storage.read_bytes("final_labels/rfdetr/valid/_annotations.coco.json"))
    assert [(i["id"], i["file_name"]) for i in document["images"]] == [(1, "a ä.jpg"), (2, "b.jpg"), (3, "leer.png")]
    assert [(a["id"], a["image_id"], a["bbox"], a["iscrowd"]) for a in document["annotations"]] == [
        (1, 1, [0, 0, 1 / 3, 0.1], 0),
        (2, 1, [0, 0, 100, 50], 1),
        (3, 2, [10, 10, 20.125, 20], 0),
        (4, 2, [90, 40, 10, 10], 0),
    ]
    assert counts == Converted(
        images=3, boxes=3, backgrounds=1, crowds_kept=1, clipped=1, outside=1, per_class={"person": 1, "helmet": 2}
    )


@both
def test_pictures_are_linked_or_copied(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    def placed() -> Iterator[Path]:
        return (Path(p) for p in storage.path("final_labels").rglob("b.jpg"))

    original = storage.path("frames/b.jpg")
    run(convert, storage, a_dataset())
    assert [os.path.samefile(original, path) for path in placed()] == [True]
    run(convert, storage, a_dataset(), copy_pictures=True)
    assert [os.path.samefile(original, path) for path in placed()] == [False]
    assert [path.read_bytes() for path in placed()] == [b"picture b.jpg"]


@both
def test_a_second_run_touches_nothing(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    def state() -> dict[str, tuple[int, int]]:
        found = (path.stat() for path in sorted(storage.path("final_labels").rglob("*")) if path.is_file())
        return {str(number): (stat.st_ino, stat.st_mtime_ns) for number, stat in enumerate(found)}

    first = run(convert, storage, a_dataset())
    before = state()
    assert run(convert, storage, a_dataset()) == first
    assert state() == before
    run(convert, storage, a_dataset(), copy_pictures=True)
    copied = state()
    run(convert, storage, a_dataset(), copy_pictures=True)
    assert state() == copied


@both
def test_a_changed_picture_or_label_is_written_again(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    run(convert, storage, a_dataset())
    storage.write_bytes("frames/b.jpg", b"picture B.jpg")
    dataset = a_dataset()
    moved = msgspec.structs.replace(dataset.annotations[0], xywh=(11.0, 10.0, 20.125, 20.0))
    run(convert, storage, CocoDataset(dataset.images, (moved, *dataset.annotations[1:]), REGISTRY))
    files = tree(storage)
    assert [data for path, data in files.items() if path.endswith("b.jpg")] == [b"picture B.jpg"]
    assert any(b"0.210625" in data or b"[11.0,10.0" in data for data in files.values())


@both
def test_what_left_the_split_is_removed_and_the_rest_stays(
    convert: Callable[..., Converted], storage: LocalStorage
) -> None:
    run(convert, storage, a_dataset())
    dataset = a_dataset(NAMES[:2])
    counts = run(convert, storage, dataset)
    assert counts.removed == (2 if convert is convert_yolo else 1)
    assert not [path for path in tree(storage) if "leer" in path]
    fresh = LocalStorage(storage.root.parent / "fresh")
    for name in NAMES:
        fresh.write_bytes(f"frames/{name}", b"picture " + name.encode())
    run(convert, fresh, dataset)
    assert tree(storage) == tree(fresh)


@both
def test_missing_pictures_are_counted_and_their_labels_written(
    convert: Callable[..., Converted], storage: LocalStorage
) -> None:
    storage.delete("frames/a ä.jpg")
    counts = run(convert, storage, a_dataset())
    assert (counts.missing, counts.missing_names) == (1, ("a ä.jpg",))
    assert (counts.images, counts.boxes) == (3, 3)
    assert not [path for path in tree(storage) if path.endswith("ä.jpg")]
    assert any("a ä" in path + data.decode("utf-8", "replace") for path, data in tree(storage).items())
    # The finder may also name a picture that is not there.
    assert run(convert, storage, a_dataset(), find_picture=lambda image: f"frames/{image.file_name}").missing == 1
    storage.write_bytes("frames/a ä.jpg", b"found again")
    assert run(convert, storage, a_dataset()).missing == 0


@both
def test_the_last_copy_of_a_picture_is_kept(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    run(convert, storage, a_dataset())
    before = tree(storage)
    storage.delete("frames/b.jpg")
    assert run(convert, storage, a_dataset()).missing == 0
    assert tree(storage) == before


@both
def test_files_of_somebody_else_are_never_touched(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    folder = {convert_yolo: "final_labels/yolo/train", convert_rfdetr: "final_labels/rfdetr/train"}[convert]
    own = f"{folder}/images/b.jpg" if convert is convert_yolo else f"{folder}/b.jpg"
    storage.write_bytes(own, b"my only copy")
    before = tree(storage)
    with pytest.raises(ConflictError) as caught:
        run(convert, storage, a_dataset())
    assert caught.value.message == (
        f"{folder} holds 1 files that convert did not write, such as {own.removeprefix(folder + '/')}"
    )
    assert tree(storage) == before


def test_a_side_without_a_picture_is_a_side(storage: LocalStorage) -> None:
    for _again in range(2):
        assert run(convert_yolo, storage, a_dataset(()), "train").images == 0
        assert run(convert_yolo, storage, a_dataset(), "valid").images == len(NAMES)
    # Once it has some, they come in.
    assert run(convert_yolo, storage, a_dataset(), "train").images == len(NAMES)


def test_a_foreign_description_is_never_touched(storage: LocalStorage) -> None:
    storage.write_bytes("final_labels/yolo/data.yaml", b"names: [mine]")
    with pytest.raises(ConflictError, match="was not written by convert"):
        run(convert_yolo, storage, a_dataset())
    assert tree(storage) == {"yolo/data.yaml": b"names: [mine]"}


@both
def test_an_interrupted_run_is_completed_by_the_next(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    class Killed(Told):
        def advance(self, amount: int = 1) -> None:
            raise KeyboardInterrupt

    killed = Killed()
    with pytest.raises(KeyboardInterrupt):
        run(convert, storage, a_dataset(), progress=killed)
    assert killed.events[-1] == "end"
    assert tree(storage)
    dataset = a_dataset(("a ä.jpg",))
    run(convert, storage, dataset)
    files = [path for path in tree(storage) if "b.jpg" in path or "b.txt" in path]
    assert files == []
    fresh = LocalStorage(storage.root.parent / "fresh")
    fresh.write_bytes("frames/a ä.jpg", "picture a ä.jpg".encode())
    run(convert, fresh, dataset)
    assert tree(storage) == tree(fresh)


@both
def test_both_splits_number_their_classes_alike(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    run(convert, storage, a_dataset(), "train")
    grown = REGISTRY.extended(["vest"])
    run(convert, storage, a_dataset(registry=grown), "valid")
    before = tree(storage)
    with pytest.raises(ConflictError) as caught:
        run(convert, storage, a_dataset(registry=ClassRegistry.of(["helmet", "person"])), "train")
    assert "valid numbers its classes person, helmet, vest, this data set helmet, person" in caught.value.message
    assert caught.value.hint.startswith("remove final_labels/")
    assert tree(storage) == before


@pytest.mark.parametrize("names", [("x.jpg", "x.png"), ("cam/x.jpg", "cam/x.JPG")])
def test_two_pictures_cannot_share_a_label_file(names: tuple[str, ...], storage: LocalStorage) -> None:
    with pytest.raises(DamagedInputError) as caught:
        run(convert_yolo, storage, a_dataset(names))
    first, second = sorted(names)
    label = f"labels/{names[0].rsplit('.', 1)[0]}.txt"
    assert caught.value.message == f"pictures {first!r} and {second!r} would share the label file {label!r}"
    assert not storage.path("final_labels").exists()


@both
def test_pictures_in_folders_keep_them(convert: Callable[..., Converted], storage: LocalStorage) -> None:
    names = ("cam 1/x.jpg", "./cam 2//x.jpg")
    for folder in ("cam 1", "cam 2"):
        storage.write_bytes(f"frames/{folder}/x.jpg", folder.encode())
    counts = run(convert, storage, a_dataset(names))
    assert (counts.images, counts.missing) == (2, 0)
    pictures = {path: data for path, data in tree(storage).items() if path.endswith(".jpg")}
    assert list(pictures.values()) == [b"cam 1", b"cam 2"]
    assert run(convert, storage, a_dataset(names)) == counts


@both
@pytest.mark.parametrize(
    ("dataset", "split", "error", "message"),
    [
        (a_dataset(), "guard", UsageError, "split 'guard' is not one of train, valid"),
        (a_dataset(("../x.jpg",)), "train", DamagedInputError, "the file name '../x.jpg' climbs out of its folder"),
        (a_dataset(("x.jpg", "./x.jpg")), "train", DamagedInputError, "the data set holds a file name twice"),
        (CocoDataset((), (), ClassRegistry()), "train", DamagedInputError, "the data set has no classes"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_written(
    convert: Callable[..., Converted],
    dataset: CocoDataset,
    split: str,
    error: type[DataEngineError],
    message: str,
    storage: LocalStorage,
) -> None:
    with pytest.raises(error) as caught:
        run(convert, storage, dataset, split)
    assert caught.value.message == message
    assert not storage.path("final_labels").exists()


class Forgetful(LocalStorage):
    """Changes what is written to labels, as a broken disk might."""

    def __init__(self, root: Path, old: bytes, new: bytes) -> None:
        super().__init__(root)
        self.old, self.new = old, new

    def write_bytes(self, key: str, data: bytes) -> None:
        super().write_bytes(key, self._spoilt(key, data))

    def write_many(self, files: Iterable[tuple[str, bytes]]) -> None:
        super().write_many((key, self._spoilt(key, data)) for key, data in files)

    def _spoilt(self, key: str, data: bytes) -> bytes:
        return data.replace(self.old, self.new) if "train/" in key else data


@pytest.mark.parametrize(
    ("convert", "old", "new", "message"),
    [
        (convert_yolo, b"1 0.95 0.9 0.1 0.2\n", b"", "labels/b.txt does not read back as it was written: 1 boxes inst"),
        (convert_yolo, b"1 0.95", b"0 0.95", "labels/b.txt does not read back as it was written: person at "),
        (convert_yolo, b"1 0.95", b"1 0.9500101", "labels/b.txt does not read back as it was written: helmet at "),
        (convert_yolo, b"1 0.95", b"7 0.95", "labels/b.txt: line 2 has the class '7'"),
        (convert_rfdetr, b"[90.0,", b"[90.01,", "_annotations.coco.json does not read back as it was written: helmet"),
        (convert_rfdetr, b'"category_id":1', b'"category_id":2', "does not read back as it was written: helmet"),
        (convert_rfdetr, b'"b.jpg"', b'"c.jpg"', "does not read back as it was written: its pictures differ"),
    ],
)
def test_labels_that_do_not_read_back_are_refused(
    convert: Callable[..., Converted], old: bytes, new: bytes, message: str, storage: LocalStorage
) -> None:
    with pytest.raises(DataEngineError) as caught:
        run(convert, Forgetful(storage.root, old, new), a_dataset())
    assert message in caught.value.message


def test_the_cache_of_older_ultralytics_goes_with_the_labels_it_was_made_of(storage: LocalStorage) -> None:
    run(convert_yolo, storage, a_dataset())
    cache = "final_labels/yolo/train/labels.cache"
    storage.write_bytes(cache, b"made by a training run")
    run(convert_yolo, storage, a_dataset())
    assert storage.exists(cache)
    run(convert_yolo, storage, a_dataset(NAMES[:2]))
    assert not storage.exists(cache)


def test_settings_are_the_options_of_the_command() -> None:
    assert ConvertSettings().model_dump() == {"format": "all", "copy_pictures": False}


@pytest.mark.required
def test_the_real_set(storage: LocalStorage) -> None:
    if not BCCD.is_dir():
        pytest.skip("the BCCD set is not beside this checkout")
    dataset = read_coco((BCCD / "instances.json").read_bytes(), name="instances.json")
    pictures = {path.name: storage.key_of(path) for path in sorted((BCCD / "images").iterdir())}
    for convert in (convert_yolo, convert_rfdetr):
        counts = run(convert, storage, dataset, find_picture=lambda image: pictures[image.file_name])
        assert (counts.images, counts.boxes, counts.missing, counts.outside) == (364, 4886, 0, 0)
        assert counts.per_class == {"RBC": 4153, "WBC": 372, "Platelets": 361}
    by_image = dataset.by_image()
    for image in dataset.images:
        key = f"final_labels/yolo/train/labels/{Path(image.file_name).stem}.txt"
        found = parse_yolo(storage.read_bytes(key).decode(), image.width, image.height, dataset.categories.names)
        for box, annotation in zip(found, by_image[image.id], strict=True):
            assert box.label == dataset.categories.name_of(annotation.category_id)
            assert box.xywh == pytest.approx(annotation.xywh, abs=1e-3)


@both
@pytest.mark.parametrize("copy", [False, True])
def test_a_picture_that_is_turned_for_display_becomes_an_upright_copy(
    convert: Callable[..., Converted], copy: bool, storage: LocalStorage
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = storage.path("frames/b.jpg")
    Image.new("RGB", (50, 100), "red").save(source, exif=exif)
    before = source.read_bytes()
    run(convert, storage, a_dataset(), copy_pictures=copy)
    (placed,) = storage.path("final_labels").rglob("b.jpg")
    with Image.open(placed) as picture:
        assert (picture.size, dict(picture.getexif())) == ((100, 50), {})
    assert source.read_bytes() == before
    there, written = placed.stat(), tree(storage)
    run(convert, storage, a_dataset(), copy_pictures=copy)
    assert (placed.stat().st_ino, placed.stat().st_mtime_ns) == (there.st_ino, there.st_mtime_ns)
    assert tree(storage) == written
