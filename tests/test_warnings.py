"""A warning in our modules fails a test; what libraries deprecate is reported and never fatal."""

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest

LIBRARY = """
import warnings
def renamed():
    warnings.warn("`old` is deprecated. Use `new` instead.", FutureWarning, stacklevel=2)
"""


def attributed(module: str, category: type[Warning], text: str) -> list[str]:
    """Issues a warning that points into ``module``, under the filters of the test run."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.warn_explicit(text, category, "file.py", 1, module=module, registry={})
    return [str(warning.message) for warning in seen]


@pytest.mark.parametrize(
    "module", ["streamchar_ref.sampling.flow", "evals", "tests.evals.toys", "reports.x"]
)
@pytest.mark.parametrize("category", [UserWarning, RuntimeWarning, ResourceWarning])
def test_a_warning_in_our_modules_is_an_error(module: str, category: type[Warning]) -> None:
    with pytest.raises(category):
        attributed(module, category, "invalid value")


def test_arithmetic_that_numpy_warns_of_is_an_error() -> None:
    with pytest.raises(RuntimeWarning):
        np.zeros(1) / np.zeros(1)


@pytest.mark.parametrize("category", [FutureWarning, DeprecationWarning, PendingDeprecationWarning])
@pytest.mark.parametrize("module", ["evals.features.extraction", "transformers.models"])
def test_a_deprecation_is_reported(module: str, category: type[Warning]) -> None:
    assert attributed(module, category, "`old` is deprecated") == ["`old` is deprecated"]


def test_deprecations_that_torch_calls_user_warnings_are_reported() -> None:
    text = "torch.meshgrid: in a future release, it will be required to pass indexing"
    assert attributed("evals.features.extraction", UserWarning, text) == [text]


def test_a_warning_of_another_package_is_reported() -> None:
    assert attributed("evals_of_somebody_else", UserWarning, "careful") == ["careful"]


def test_a_library_that_points_at_our_call_is_reported() -> None:
    library: dict[str, object] = {"__name__": "library"}
    exec(LIBRARY, library)
    with warnings.catch_warnings(record=True) as seen:
        library["renamed"]()  # type: ignore[operator]
    assert [Path(warning.filename).name for warning in seen] == ["test_warnings.py"]


VERB = """
import logging, sys, warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace

def complain():
    warnings.warn("`old` is deprecated", FutureWarning)
    logging.getLogger("a.library").warning("careful")
    from transformers.utils import logging as theirs
    theirs.get_logger("transformers.models.x").warning("`old` is deprecated")
    logging.getLogger("a.library").error("an error is shown")

def verb(**kwargs):
    complain()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(warnings.warn, "in a worker", FutureWarning).result()

if __name__ == "__main__":
    from streamchar_ref import cli
    cli.entry_points = lambda group: [SimpleNamespace(name="complain", load=lambda: verb)]
    sys.argv = ["streamchar", "complain"]
    cli.main()
"""


def test_users_read_no_warnings_of_libraries(tmp_path: Path) -> None:
    (tmp_path / "verb.py").write_text(textwrap.dedent(VERB))
    command = [sys.executable, str(tmp_path / "verb.py")]
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "an error is shown\n"
    environment["PYTHONWARNINGS"] = "default"
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "`old` is deprecated" in done.stderr
    assert "in a worker" in done.stderr
