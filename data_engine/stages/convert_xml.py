"""Stage 6, for other tools: a dataset version becomes Pascal VOC, or what CVAT imports.

What is written is read back and compared, as in :mod:`data_engine.stages.convert`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from data_engine.errors import DamagedInputError, DataEngineError
from data_engine.formats import cvat_xml, voc
from data_engine.formats.coco import CocoDataset
from data_engine.formats.labelled import LabelledPicture
from data_engine.stages.convert_sheets import (
    Converted,
    FindPicture,
    Sheet,
    files_of,
    folders_of,
    named,
    placed,
    prove,
    sheets_of,
    told,
)

if TYPE_CHECKING:
    from data_engine.ports import Progress, Storage

_PIECE = 1 << 18


def convert_voc(
    dataset: CocoDataset,
    split: str,
    *,
    storage: Storage,
    root: str,
    find_picture: FindPicture,
    progress: Progress,
    copy_pictures: bool = False,
) -> Converted:
    """Write ``root/<split>`` with ``Annotations``, ``JPEGImages``, ``ImageSets/Main`` and its class list, then read the
    annotations back.

    Crowd regions and turned boxes are left out and counted; a picture without a box gets a file without an object.
    Otherwise, and in arguments and errors, as :func:`data_engine.stages.convert.convert_yolo`.
    """
    sheets, counts = sheets_of(dataset, split)
    files = files_of(sheets, _annotation_path, "file")
    list_file = f"{voc.LISTS}/{voc.LIST_NAMES[split]}.txt"
    folder, _ = folders_of(storage, root, split)
    pictures = {sheet.image.file_name: f"{voc.PICTURES}/{sheet.image.file_name}" for sheet in sheets}
    lists = [list_file, voc.LABEL_MAP]
    class_list = voc.label_map(dataset.categories.names).encode()
    folder.begin([*pictures.values(), *files.values(), *lists])
    with told(progress, f"convert to voc/{split}", len(sheets)):
        lost = placed(sheets, pictures, folder, find_picture, progress, copy=copy_pictures)
        for sheet in sheets:
            folder.write(files[sheet.image.file_name], voc.write_voc(sheet.boxes, sheet.image, dataset.categories))
    stems = (PurePosixPath(name).with_suffix("").as_posix() for name in files)
    folder.write(list_file, "".join(f"{stem}\n" for stem in stems).encode())
    folder.write(voc.LABEL_MAP, class_list)
    removed = folder.finish([*(pictures[name] for name in pictures.keys() - set(lost)), *files.values(), *lists])
    for sheet in sheets:
        path = files[sheet.image.file_name]
        found = voc.read_voc(folder.read(path), name=folder.key_of(path), coordinates="edges")
        _prove_picture(sheet, found, dataset, folder.key_of(path))
    return replace(counts, missing=len(lost), missing_names=tuple(lost[:10]), removed=removed)


def convert_cvat(
    dataset: CocoDataset,
    split: str,
    *,
    storage: Storage,
    root: str,
    find_picture: FindPicture,
    progress: Progress,
    copy_pictures: bool = False,
) -> Converted:
    """Write ``root/<split>/annotations.xml`` and ``images``, as CVAT's own zips have them, then read it back.

    Crowd regions are left out and counted, turned boxes stay turned.  Otherwise, and in arguments and errors, as
    :func:`data_engine.stages.convert.convert_yolo`.
    """
    sheets, counts = sheets_of(dataset, split)
    folder, _ = folders_of(storage, root, split)
    pictures = {sheet.image.file_name: f"{cvat_xml.PICTURES}/{sheet.image.file_name}" for sheet in sheets}
    folder.begin([*pictures.values(), cvat_xml.ANNOTATIONS])
    with told(progress, f"convert to cvat/{split}", len(sheets)):
        lost = placed(sheets, pictures, folder, find_picture, progress, copy=copy_pictures)
    images = tuple(sheet.image for sheet in sheets)
    drawn = tuple(a for sheet in sheets for a in (*sheet.boxes, *sheet.turned))
    pieces = cvat_xml.write_cvat(replace(dataset, images=images, annotations=drawn))
    folder.write(cvat_xml.ANNOTATIONS, b"".join(pieces))
    removed = folder.finish([*(pictures[name] for name in pictures.keys() - set(lost)), cvat_xml.ANNOTATIONS])
    file = folder.key_of(cvat_xml.ANNOTATIONS)
    read = iter(cvat_xml.CvatPictures(_pieces(storage, file), name=file))
    for sheet in sheets:
        if (found := next(read, None)) is None:
            raise DataEngineError(f"{file} does not read back as it was written: its pictures differ")
        boxes = sorted((*sheet.boxes, *sheet.turned), key=lambda a: a.id)
        _prove_picture(replace(sheet, boxes=tuple(boxes)), found, dataset, file)
    if next(read, None) is not None:
        raise DataEngineError(f"{file} does not read back as it was written: its pictures differ")
    return replace(
        counts,
        missing=len(lost),
        missing_names=tuple(lost[:10]),
        removed=removed,
        turned_dropped=0,
        turned_kept=counts.turned_dropped,
    )


def _annotation_path(file_name: str) -> str:
    if "\n" in file_name:
        raise DamagedInputError(f"picture {file_name!r} cannot be listed: its name holds a line break")
    return voc.annotation_path(file_name)


def _prove_picture(sheet: Sheet, found: LabelledPicture, dataset: CocoDataset, file: str) -> None:
    image = sheet.image
    if (image.file_name, image.width, image.height) != (found.file_name, found.width, found.height):
        raise DataEngineError(f"{file} does not read back as it was written: its pictures differ")
    prove(named(sheet.boxes, dataset), [(box.label, box.xywh) for box in found.boxes], file)


def _pieces(storage: Storage, key: str) -> Iterator[bytes]:
    with storage.open(key) as file:
        while piece := file.read(_PIECE):
            yield piece
