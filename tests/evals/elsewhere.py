"""Workers that do not share this process's cache, as those of another machine."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from streamchar_ref.core.executor import InProcess

CACHE = "STREAMCHAR_CACHE"


class Elsewhere(InProcess):
    """Runs in this process, with a cache folder of its own."""

    is_local = False

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.num_tasks = 0

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        here, os.environ[CACHE] = os.environ[CACHE], str(self.cache)
        self.num_tasks += 1
        try:
            return super().submit(work, *arguments)
        finally:
            os.environ[CACHE] = here
