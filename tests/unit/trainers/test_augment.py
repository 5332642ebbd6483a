"""The common names of changes to pictures, and each library's own."""

from __future__ import annotations

import pytest

from data_engine.errors import UsageError
from data_engine.stages.retrain_sections import AugmentSettings
from data_engine.trainers.augment import YOLO, for_rfdetr, for_yolo


def test_every_setting_has_a_name_in_ultralytics() -> None:
    assert set(YOLO) == set(AugmentSettings.model_fields)
    default = pytest.importorskip("ultralytics.cfg").DEFAULT_CFG_DICT
    assert set(YOLO.values()) <= set(default)
    assert for_yolo({"hflip": 0.3, "hue": 0.1}) == {"fliplr": 0.3, "hsv_h": 0.1}
    assert for_yolo({}) == {}


def test_rfdetr_gets_albumentations_of_what_is_chosen() -> None:
    assert for_rfdetr({}) == {}
    chosen = {"hflip": 0.5, "vflip": 0.0, "scale": 0.2, "rotate": 10.0, "saturation": 0.5}
    assert for_rfdetr(chosen) == {
        "aug_config": {
            "HorizontalFlip": {"p": 0.5},
            "Affine": {"scale": (0.8, 1.2), "rotate": (-10.0, 10.0), "p": 1.0},
            "HueSaturationValue": {
                "hue_shift_limit": 0.0,
                "sat_shift_limit": 127.5,
                "val_shift_limit": 0.0,
                "p": 1.0,
            },
        },
        "augmentation_backend": "albumentations",
    }


def test_what_rfdetr_cannot_do_is_refused_unless_it_is_switched_off() -> None:
    with pytest.raises(UsageError, match="RF-DETR has no mosaic"):
        for_rfdetr({"mosaic": 0.5})
    assert for_rfdetr({"mosaic": 0.0})["aug_config"] == {}
