"""What goes into an RF-DETR and what comes out, whoever runs it.  Pure.

It is that of ``rfdetr.RFDETR.predict`` (rfdetr 1.11): RGB over 255, a bilinear resize of the *float* picture straight
to the input's size (no letterbox, no antialias), ImageNet's mean and deviation; boxes are centres and sizes as parts of
the picture, and each logit goes through a sigmoid of its own (not a softmax).

``predict`` ranks pairs of query and class, so that a query can come out twice, or with one class only.  Here every
query comes out once with its whole vector: the pairs above a threshold are the same, and an entropy is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_engine.detectors.boxes import corners, in_picture
from data_engine.ports import Prepared

if TYPE_CHECKING:
    from data_engine.ports import UInt8Array
    from data_engine.types import Detections, FloatArray

# Of pixels 0..255; a cv2.Scalar has four numbers.
_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255, 0.0)
_PER_DEVIATION = tuple(np.float32(1 / (255 * deviation)) for deviation in (0.229, 0.224, 0.225))


def prepared(image: UInt8Array, height: int, width: int) -> Prepared:
    """A ``(h, w, 3)`` uint8 RGB picture as the model's ``(3, height, width)`` float32 input.

    Resized before it is scaled and normalised, which is the same (both are linear) for a third of the numbers.
    """
    import cv2

    resized = cv2.resize(image.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.subtract(resized, _MEAN, dst=resized)
    pixels = np.empty((3, height, width), np.float32)
    for channel, factor in enumerate(_PER_DEVIATION):
        np.multiply(resized[:, :, channel], factor, out=pixels[channel])
    return Prepared(pixels, image.shape[1], image.shape[0])


def detections(boxes: FloatArray, logits: FloatArray, picture: Prepared) -> Detections:
    """One picture's detections from its ``(queries, 4)`` boxes and ``(queries, classes)`` logits."""
    width, height = picture.width, picture.height
    xyxy = corners(boxes) * np.asarray([width, height, width, height], np.float32)
    return in_picture(xyxy, sigmoid(logits), width, height)


def sigmoid(logits: FloatArray) -> FloatArray:
    """``1 / (1 + exp(-x))`` without overflow."""
    probabilities: FloatArray = np.exp(-np.logaddexp(np.float32(0), -logits))
    return probabilities
