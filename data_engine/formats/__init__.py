"""Text and bytes to types and back: COCO, YOLO, RF-DETR's COCO, stored predictions, lists of hard frames.

No module here opens a file: callers read and write through :class:`data_engine.ports.Storage`.  What comes from
outside is checked completely, and everything wrong with it is a :class:`data_engine.errors.DamagedInputError` that
names the file and the place in it.
"""
