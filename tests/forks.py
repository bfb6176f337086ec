"""Copies of the test process."""

import gc
import os


def fork() -> int:
    """Forks as `os.fork` does; the child leaves what it has inherited alone.

    Objects of FFmpeg's end threads when they are collected, and a child has no such threads.
    """
    pid = os.fork()
    if not pid:
        gc.freeze()
    return pid
