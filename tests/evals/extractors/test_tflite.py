"""What the library tells programmers stays off the screen; what went wrong does not."""

import os
import subprocess
import sys

import pytest

from evals.extractors.tflite import notes_held_back


def test_notes_are_dropped_and_other_lines_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with notes_held_back():
        os.write(2, b"INFO: Created a delegate.\nERROR: no memory\nINFO: done")
    assert capfd.readouterr().err == "ERROR: no memory\n"
    os.write(2, b"INFO: afterwards\n")
    assert capfd.readouterr().err == "INFO: afterwards\n"


def fail() -> None:
    with notes_held_back():
        os.write(2, b"ERROR: bad model\n")
        raise RuntimeError("bad model")


def test_lines_before_an_exception_are_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="bad model"):
        fail()
    assert capfd.readouterr().err == "ERROR: bad model\n"


def test_loading_the_face_detector_prints_nothing() -> None:
    code = "from evals.extractors.face_detector import FaceDetector; FaceDetector()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
