"""The reading half of ``dataset import``: a folder or an archive of labels becomes data sets, one a side.

Nothing is written and no database is asked: who accepted the boxes, and what they become in the master, is decided by
the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from data_engine.errors import DamagedInputError
from data_engine.formats.coco import CocoDataset, read_coco
from data_engine.formats.cvat_xml import CvatPictures
from data_engine.formats.labelled import LabelledPicture, gathered
from data_engine.formats.sniff import Found, Kind, side_named, sniff
from data_engine.formats.voc import ANNOTATIONS, LISTS, Pixels, parse_label_map, read_voc
from data_engine.formats.yolo import IMAGES, LABELS, parse_data_yaml, parse_yolo
from data_engine.stages.import_source import PictureIndex, Source
from data_engine.types import Box, ClassRegistry, Failed

MOST_BYTES = 1 << 30
"""Of one annotation file: it is decoded as a whole, in up to ten times its size of memory."""

SizeOf = Callable[[str], tuple[int, int]]
"""Width and height in pixels of a picture of the source, as people see it; DamagedInputError when it is none."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of the source holds."""

    split: str | None
    """``train``, ``valid``, ``test`` or a subset's name; None when nothing says."""
    dataset: CocoDataset
    """Pictures and annotations numbered from 1 in the order of the files."""
    pictures: Mapping[str, str]
    """Where the picture of a file name lies in the source, for those that were found."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read of a source."""

    kind: Kind
    sides: tuple[Side, ...]
    failures: tuple[Failed, ...]
    """Annotation files and pictures that could not be used, or with boxes that are none; the rest was read."""
    missing: tuple[str, ...]
    """Labelled pictures that the source does not hold, sorted."""
    unlabelled: int
    """Pictures of the source that no annotation names; nobody says that they show nothing."""


def read_labels(
    source: Source,
    *,
    size_of: SizeOf,
    registry: ClassRegistry | None = None,
    allow_unknown_labels: bool = False,
    only: Kind | None = None,
    coordinates: Pixels = "auto",
) -> Imported:
    """Read every label of a source.  Classes meet by name: each file may number them, and all else, its own way.

    A picture is found by its name below the annotation file's folder first, then anywhere in the source if only one
    file has it; a second one of its name on its side goes by its path.  Turned boxes are left out and counted, crowd
    regions kept where the format marks them.

    Args:
        source: where the files are.
        size_of: asked once for each picture that is found: a file that says another size is wrong.
        registry: the classes to map to; without it those of the source, from 1.
        allow_unknown_labels: give labels that the registry does not hold its next free ids, instead of refusing them.
        only: the format, where the source holds several.
        coordinates: how those of Pascal VOC are meant.

    Raises:
        DamagedInputError: no known format or several; no file that can be used; a label that the registry does not
            hold.
    """
    found = sniff(source.names, source.head, name=source.name, only=only)
    reader = _Reader(source, found, size_of, coordinates)
    sides: dict[str | None, list[LabelledPicture]] = {}
    for split, picture in reader.pictures():
        sides.setdefault(split, []).append(picture)
    if not sides and reader.failures:
        first = reader.failures[0]
        raise DamagedInputError(f"{source.name}: no file can be used; the first: {first.reason}")
    read = tuple(
        Side(
            split,
            gathered(
                sides[split],
                name=source.name,
                labels=reader.labels,
                registry=registry,
                allow_unknown_labels=allow_unknown_labels,
            ),
            {p.file_name: path for p in sides[split] if (path := reader.placed.get((split, p.file_name))) is not None},
        )
        for split in sorted(sides, key=lambda split: (split is not None, split or ""))
    )
    return Imported(found.kind, read, tuple(reader.failures), tuple(sorted(reader.missing)), reader.unlabelled)


_Placed = tuple[LabelledPicture, str | None]
"""A picture, and where it lies in the source."""


class _Reader:
    def __init__(self, source: Source, found: Found, size_of: SizeOf, coordinates: Pixels) -> None:
        self.labels: list[str] = []
        self.failures: list[Failed] = []
        self.missing: set[str] = set()
        self.placed: dict[tuple[str | None, str], str] = {}
        self._seen: set[tuple[str | None, str]] = set()
        self._sizes: dict[str, tuple[int, int]] = {}
        self._source, self._found, self._size_of, self._coordinates = source, found, size_of, coordinates
        self._index = PictureIndex(source.names)
        self._lists = _voc_lists(source) if found.kind == "voc" else {}
        self._readers = {"coco": self._coco, "yolo": self._yolo, "voc": self._voc, "cvat": self._cvat}

    @property
    def unlabelled(self) -> int:
        """Pictures that nothing named so far."""
        return len(self._index) - len(set(self.placed.values()))

    def pictures(self) -> Iterator[tuple[str | None, LabelledPicture]]:
        """Every picture that can be used, with its side."""
        self._declare()
        for part in self._found.parts:
            for file in part.files:
                try:
                    # A file that breaks off in the middle is used from none of its pictures.
                    read = list(self._readers[self._found.kind](file))
                except DamagedInputError as error:
                    self.failures.append(Failed(file, error.message))
                    continue
                for picture, path in read:
                    split = part.split or _said(picture) or self._listed(file)
                    own = self._own_name(picture, path, split)
                    if self._usable(own, path, split, file):
                        yield split, own

    def _declare(self) -> None:
        """The class list that stands in a file of its own."""
        path = self._found.description
        if path is None:
            return
        text = self._text(path)
        if self._found.kind == "voc":
            self.labels += parse_label_map(text)
        elif path.endswith(".names"):
            self.labels += [line.strip() for line in text.splitlines() if line.strip()]
        else:
            self.labels += parse_data_yaml(text, name=path)

    def _own_name(self, picture: LabelledPicture, path: str | None, split: str | None) -> LabelledPicture:
        """The picture; under its path where another one of its side has its name, as in parts numbered from 1 each."""
        other = self.placed.get((split, picture.file_name))
        return picture if path is None or other in (None, path) else replace(picture, file_name=path)

    def _usable(self, picture: LabelledPicture, path: str | None, split: str | None, file: str) -> bool:
        name = picture.file_name
        if (split, name) in self._seen:
            self.failures.append(Failed(file, f"{file}: the picture {name!r} was labelled before"))
            return False
        self._seen.add((split, name))
        if path is None:
            self.missing.add(name)
            return True
        self.placed[split, name] = path
        try:
            width, height = self._size(path)
        except DamagedInputError as error:
            self.failures.append(Failed(path, error.message))
            return False
        if (width, height) != (picture.width, picture.height):
            said = f"{picture.width} x {picture.height} pixels, but its picture has {width} x {height}"
            self.failures.append(Failed(path, f"{file}: {name} is said to have {said}"))
            return False
        return True

    def _size(self, path: str) -> tuple[int, int]:
        if path not in self._sizes:
            self._sizes[path] = self._size_of(path)
        return self._sizes[path]

    def _listed(self, file: str) -> str | None:
        """The side of a VOC file, by the lists of the development kit."""
        below = f"/{file}".rsplit(f"/{ANNOTATIONS}/", 1)[-1]
        return self._lists.get(str(PurePosixPath(below).with_suffix("")))

    def _coco(self, file: str) -> Iterator[_Placed]:
        refused: dict[int, str] = {}
        dataset = read_coco(self._bytes(file), name=file, clip=False, refused=refused)
        self.failures += [Failed(file, reason) for reason in refused.values()]
        self.labels += [name for name in dataset.categories.names if name not in self.labels]
        by_image = dataset.by_image()
        shapes = dataset.repairs.segmentations
        for image in dataset.images:
            boxes = tuple(
                Box(dataset.categories.name_of(a.category_id), a.xywh, a.score, None, a.iscrowd, a.attributes)
                for a in by_image[image.id]
            )
            left_out = {"boxed polygon or mask": shapes} if shapes else {}
            shapes = 0
            picture = LabelledPicture(image.file_name, image.width, image.height, boxes, left_out, image.extra)
            yield picture, self._index.find(image.file_name, file)

    def _cvat(self, file: str) -> Iterator[_Placed]:
        refused: list[str] = []
        pictures = CvatPictures(self._source.pieces(file), name=file, refused=refused)
        for picture in pictures:
            subset = str(picture.extra.get("subset", ""))
            yield picture, self._index.find(picture.file_name, f"{PurePosixPath(file).parent}/{subset}/{file}")
        self.labels += [name for name in pictures.labels if name not in self.labels]
        self.failures += [Failed(file, reason) for reason in refused]

    def _voc(self, file: str) -> Iterator[_Placed]:
        data = self._bytes(file)
        # The development kit finds a picture by its annotation's name; <filename> is forgotten when files are renamed.
        path = self._index.alike(PurePosixPath(file).stem, file)
        size = self._size(path) if path is not None else None
        picture = read_voc(data, name=file, size=size, coordinates=self._coordinates)
        if path is None:
            path = self._index.find(picture.file_name, file)
        elif PurePosixPath(path).name != PurePosixPath(picture.file_name).name:
            picture = replace(picture, file_name=PurePosixPath(path).name)
        yield picture, path

    def _yolo(self, file: str) -> Iterator[_Placed]:
        folders, rest = _below_labels(file)
        stem = str(PurePosixPath(*rest).with_suffix(""))
        path = self._index.stem(f"{folders}/{IMAGES}/{stem}") or self._index.stem(
            str(PurePosixPath(file).with_suffix(""))
        )
        if path is None:
            raise DamagedInputError(f"{file}: its picture is not there, and YOLO labels mean nothing without its size")
        width, height = self._size(path)
        text = self._text(file)
        boxes = tuple(parse_yolo(text, width, height, self.labels, name=file))
        inner = rest[1:] if len(rest) > 1 and side_named(rest[0]) in ("train", "valid", "test") else rest
        name = str(PurePosixPath(*inner).with_suffix(PurePosixPath(path).suffix))
        yield LabelledPicture(name, width, height, boxes), path

    def _bytes(self, file: str) -> bytes:
        if (size := self._source.size(file)) > MOST_BYTES:
            most = f"more than the {MOST_BYTES} that are read of one file"
            raise DamagedInputError(f"{file} has {size} bytes, {most}: split it by its pictures")
        return b"".join(self._source.pieces(file))

    def _text(self, file: str) -> str:
        try:
            return self._bytes(file).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DamagedInputError(f"{file} holds text that is not UTF-8") from None


def _below_labels(file: str) -> tuple[str, tuple[str, ...]]:
    """What stands before the last folder ``labels``, and what below it; of CVAT's 1.1 below its data folder."""
    parts = PurePosixPath(file).parts
    at = next((n for n in range(len(parts) - 2, -1, -1) if parts[n] == LABELS or parts[n].startswith("obj_")), -1)
    return "/".join(parts[: max(at, 0)]), parts[at + 1 :]


def _said(picture: LabelledPicture) -> str | None:
    """The side that the picture itself says."""
    said = picture.extra.get("split") or picture.extra.get("subset")
    return None if said in (None, "default") else side_named(str(said))


def _voc_lists(source: Source) -> dict[str, str]:
    """The side of each annotation, by its name without suffix, from the lists of the development kit."""
    sides: dict[str, str] = {}
    for path in source.names:
        pure = PurePosixPath(path)
        if f"/{path}".rsplit("/", 1)[0].endswith(f"/{LISTS}") and pure.stem in ("train", "val", "valid", "test"):
            lines = b"".join(source.pieces(path)).decode("utf-8", "replace").splitlines()
            sides |= {line.strip(): side_named(pure.stem) for line in lines if line.strip()}
    return sides
