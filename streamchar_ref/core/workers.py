"""Processes that work for this one, and end with it."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process

from streamchar_ref.core.errors import InputError


@contextmanager
def worker_pool(
    jobs: int, *, prepare: Callable[[], None] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """Starts processes that work; what has not begun when the block fails is not begun.

    Args:
        jobs: How many.
        prepare: Called in each of them first.

    Yields:
        The pool.

    Raises:
        InputError: If the system has ended one of them.
    """
    begin = partial(_begin, prepare)
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=begin) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise InputError(
                f"one of {jobs} processes was ended by the system, as it does when memory is "
                "short; try fewer --jobs"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin(prepare: Callable[[], None] | None) -> None:
    end_with_parent()
    if prepare is not None:
        prepare()


def end_with_parent() -> None:
    """Ends this process when the one that started it ends: a killed one cannot say goodbye."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
