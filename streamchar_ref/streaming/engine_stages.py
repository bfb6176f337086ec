"""The two stages of an engine: one batch that is denoised, and chunks that wait to be decoded."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

import torch

from streamchar_ref.streaming.engine_config import EngineChunk
from streamchar_ref.streaming.engine_streams import DenoisedBatch


class Stages:
    """Runs each stage in a thread of its own, or both where they are called.

    Args:
        overlap: Whether they have threads; each computes with one.
        batch: Streams that are denoised together.
    """

    def __init__(self, *, overlap: bool, batch: int) -> None:
        self._denoiser, self._decoder = (_thread() if overlap else _Here() for _ in range(2))
        self._most_waiting = 2 * batch if overlap else 0
        self._denoising: Future[DenoisedBatch] | None = None
        self._decoding: deque[Future[EngineChunk | None]] = deque()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being made, and nothing waits to be taken."""
        return self._denoising is None and not self._decoding

    @property
    def takes_more(self) -> bool:
        """Whether a batch may be denoised: none is, and decoding is not far behind."""
        return self._denoising is None and len(self._decoding) <= self._most_waiting

    def denoise(self, work: Callable[[], DenoisedBatch]) -> None:
        """Begins a batch; only where `takes_more`."""
        self._denoising = self._denoiser.submit(work)

    def decode(self, work: Callable[[], EngineChunk | None]) -> None:
        """Begins what is decoded next."""
        self._decoding.append(self._decoder.submit(work))

    def denoised(self) -> DenoisedBatch | None:
        """Takes the batch if it is done; raises what denoising it has raised."""
        if self._denoising is None or not self._denoising.done():
            return None
        done, self._denoising = self._denoising, None
        return done.result()

    def decoded(self) -> Iterator[EngineChunk]:
        """Takes what is done, in its order; raises what decoding it has raised."""
        while self._decoding and self._decoding[0].done():
            made = self._decoding.popleft().result()
            if made is not None:
                yield made

    def wait(self) -> None:
        """Waits until there is something to take."""
        wait([*self._pending(), *islice(self._decoding, 1)], return_when=FIRST_COMPLETED)

    def drain(self) -> None:
        """Waits until nothing runs, and drops what has come of it."""
        wait([*self._pending(), *self._decoding])
        self._denoising = None
        self._decoding.clear()

    def _pending(self) -> list[Future[Any]]:
        return [] if self._denoising is None else [self._denoising]


def _thread() -> Executor:
    return ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,))


class _Here(Executor):
    """Does everything at once, in the thread that asks for it."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except BaseException as error:  # raised where the result is taken
            done.set_exception(error)
        return done
