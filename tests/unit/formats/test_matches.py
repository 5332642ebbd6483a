"""The column file of matches: what was written is read, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from data_engine.errors import DamagedInputError
from data_engine.formats.column_rows import frames_in
from data_engine.formats.matches import COLUMNS, pack, unpack


def columns(**changes):
    return {
        "picture": np.array([0, 0, 1], np.int32),
        "label": np.array([1, 0, 1], np.int32),
        "score": np.array([0.9, 0.5, 0.25], np.float32),
        "found": np.array([[1023, 0, 0, 3]] * 3, np.uint16),
        "passed": np.zeros((3, 4), np.uint16),
        "true_picture": np.array([1], np.int32),
        "true_label": np.array([0], np.int32),
        "true_counts": np.array([[True, False, False, True]]),
        **changes,
    }


def test_what_is_written_is_read():
    data = pack("m" * 32, ["a", "b"], ["person", "helmet"], columns())
    read = unpack(data, name="x")
    assert (read.model_id, read.frame_ids, read.class_names) == ("m" * 32, ("a", "b"), ("person", "helmet"))
    for name, column in columns().items():
        np.testing.assert_array_equal(read.columns[name], column)
        assert read.columns[name].dtype == np.dtype(COLUMNS[name][0])
    assert data == pack("m" * 32, ["a", "b"], ["person", "helmet"], columns())


def test_a_purge_sees_whose_pictures_it_is_of(tmp_path):
    file = tmp_path / "x.npz"
    file.write_bytes(pack("m" * 32, ["a", "b"], ["person", "helmet"], columns()))
    assert frames_in(file) == ("a", "b")


@pytest.mark.parametrize(
    "changes",
    [
        {"picture": np.array([0, 0, 2], np.int32)},
        {"label": np.array([-1, 0, 1], np.int32)},
        {"true_label": np.array([2], np.int32)},
        {"score": np.array([0.9, np.nan, 0.2], np.float32)},
        {"score": np.array([0.9], np.float32)},
        {"found": np.zeros((3, 4), np.uint32)},
        {"true_counts": np.zeros(1, np.bool_)},
    ],
)
def test_columns_that_do_not_fit_are_refused(changes):
    with pytest.raises(DamagedInputError):
        unpack(pack("m" * 32, ["a", "b"], ["person", "helmet"], columns(**changes)), name="x")


def test_half_a_file_is_refused():
    data = pack("m" * 32, ["a", "b"], ["person", "helmet"], columns())
    with pytest.raises(DamagedInputError, match="x does not hold matched boxes"):
        unpack(data[: len(data) // 2], name="x")
