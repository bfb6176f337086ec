"""The reader of cached arrays against numpy's own."""

from io import BytesIO

import numpy as np
import pytest

from evals.features.npz import read_arrays

ARRAYS = {
    "numbers": np.arange(12, dtype=np.float32).reshape(3, 4),
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "words": np.array(["one", "zwei", "三"]),
    "nothing": np.zeros((0, 128), np.float32),
    "scalar": np.array(2.5),
    "flags": np.array([True, False]),
    "PK\x03\x04": np.frombuffer(b"PK\x03\x04" * 9, np.uint8),
}


def saved(**options: bool) -> bytes:
    buffer = BytesIO()
    (np.savez_compressed if options else np.savez)(buffer, allow_pickle=False, **ARRAYS)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_arrays_are_those_that_numpy_reads() -> None:
    content = saved()
    theirs = np.load(BytesIO(content))
    ours = read_arrays(content)
    assert list(ours) == theirs.files
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype
        assert array.flags.f_contiguous == theirs[name].flags.f_contiguous
        np.testing.assert_array_equal(array, theirs[name])
    ours["numbers"][0] = 1  # has memory of its own, as numpy's


def test_another_archive_is_refused() -> None:
    with pytest.raises(ValueError, match=r"numpy\.savez"):
        read_arrays(saved(compressed=True))
