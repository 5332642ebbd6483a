"""The COCO files that RF-DETR trains on: ``train/_annotations.coco.json`` and ``valid/…``, each beside its pictures.

Read off rfdetr 1.11, ``datasets/coco.py``.  Its class numbers 0..N-1 are the categories of the *train* file by
ascending id, which is the order of :attr:`data_engine.types.ClassRegistry.names`.
"""

from __future__ import annotations

from dataclasses import replace

from data_engine.formats.coco import CocoDataset, read_coco, write_coco
from data_engine.types import Category, ClassRegistry

ANNOTATIONS = "_annotations.coco.json"


def write_rfdetr(dataset: CocoDataset) -> bytes:
    """The data set as RF-DETR's COCO file; crowd regions stay, as RF-DETR passes over them in training by itself.

    Every category is its own supercategory.  RF-DETR drops a category that another one names as its supercategory
    while no box has it, and older versions drop those whose supercategory is ``none``: either would shift the
    numbers of all that follow.
    """
    own = ClassRegistry(Category(c.id, c.name, c.name if c.name != "none" else "object") for c in dataset.categories)
    return write_coco(replace(dataset, categories=own))


def read_rfdetr(data: bytes, *, name: str, registry: ClassRegistry) -> CocoDataset:
    """Read such a file back; see :func:`data_engine.formats.coco.read_coco` for the errors."""
    return read_coco(data, name=name, registry=registry, clip=False)
