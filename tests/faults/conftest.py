"""The process that makes inputs, started once a file: its imports take longer than most inputs."""

from collections.abc import Iterator

import pytest

from tests.faults.runner import Worker


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    started = Worker(tmp_path_factory.mktemp("faults") / "worker")
    yield started
    started.close()
