import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two contended threads stall 10-100x

import jaxtyping
import pytest
from jaxtyping import install_import_hook

from tests import check_all

# Before any import of ours: shapes and dtypes in annotations are checked on every call.
jaxtyping.jaxtyped = check_all
install_import_hook(["streamchar_ref", "evals", "baselines", "reports"], "tests.check_types")


@pytest.fixture(autouse=True, scope="session")
def _quick_disk() -> Iterator[None]:
    """A sync waits for nothing: no test turns the power off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with slow tests first, so that none is begun when the others are nearly done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
