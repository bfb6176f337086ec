"""Networks of TensorFlow Lite, loaded without its notes on the screen."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from ai_edge_litert.interpreter import Interpreter

_NOTES = re.compile(rb"^INFO: .*\n?", re.MULTILINE)


def load_network(path: Path) -> Interpreter:
    """Loads a network that runs on one thread.

    Args:
        path: A ``.tflite`` file.

    Returns:
        The interpreter, its tensors allocated.
    """
    with notes_held_back():
        network = Interpreter(model_path=str(path), num_threads=1)
        network.allocate_tensors()
    return network


@contextmanager
def notes_held_back() -> Iterator[None]:
    """Drops the lines ``INFO: ...`` that C++ code writes to stderr; all others are passed on.

    The library has no option for it. File descriptor 2 is the process's: keep the block short.
    """
    sys.stderr.flush()
    screen = os.dup(2)
    try:
        with TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(screen, 2)
                held.seek(0)
                os.write(2, _NOTES.sub(b"", held.read()))
    finally:
        os.close(screen)
