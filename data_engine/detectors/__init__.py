"""Models that find boxes in pictures: RF-DETR and YOLO, from ONNX files and from their trainers' own checkpoints.

Every detector keeps the probability of every class for every box, because what a model hesitates between is what the
choice of the next frames lives on.  ``loading.open_detector`` opens a file, ``identify.identify`` says what it is; the
packages that run a model are imported only when one is opened.
"""
