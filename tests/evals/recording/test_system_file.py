"""Systems from a Python file: found, imported with their neighbours, refused in one line."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from evals.commands.check import app as check_app
from evals.commands.record import app as record_app
from evals.recording.make_system import make_system
from evals.recording.run_folder import recordings_of
from evals.suites import load_suite
from reports.commands.run import app as run_app
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.decode import frames

SYSTEM = """
import numpy as np

{imports}
from streamchar_ref.media import AVChunk


class Mine:
    name = {name!r}
    fps = 25
    sample_rate = 16_000

    def __init__(self, level: int = LEVEL, **others):
        self.level = level

    def stream(self, prompt, *, seed):
        for index in range(2):
            picture = np.full((5, 32, 32, 3), self.level, np.uint8)
            yield AVChunk(index=index, frames=picture, samples=np.zeros(3200, np.float32))
"""


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("evals.recording.system_file._FOLDERS", [])
    yield
    for name in set(sys.modules) - known:
        if name.startswith("system_") or name in {"helper", "pack"}:
            del sys.modules[name]


def system_file(
    folder: Path, *, imports: str = "from helper import LEVEL", level: int = 7, name: str = "mine"
) -> str:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "helper.py").write_text(f"LEVEL = {level}\n")
    (folder / "my_system.py").write_text(SYSTEM.format(imports=imports, name=name))
    return f"{folder / 'my_system.py'}:Mine"


def said(result: Result) -> str:
    return result.stderr + result.stdout


@pytest.mark.parametrize("imports", ["from helper import LEVEL", "from .helper import LEVEL"])
def test_check_and_record_take_a_class_of_a_file(tmp_path: Path, imports: str) -> None:
    name = system_file(tmp_path / "own", imports=imports)
    checked = CliRunner().invoke(check_app, [name])
    assert (checked.exit_code, checked.stdout) == (0, f"{name} keeps the contract\n")
    run = tmp_path / "run"
    arguments = [name, "--suite", "smoke", "--limit", "1", "--out", str(run), "--set", "level=9"]
    recorded = CliRunner().invoke(record_app, arguments)
    assert recorded.exit_code == 0, said(recorded)
    (found,) = recordings_of(run)
    assert (found.system, found.sample_id) == ("mine", load_suite("smoke")[0].prompt_id)
    assert set(np.unique(next(frames(found.video_path)))) == {9}


def test_a_file_of_a_package_imports_from_its_package(tmp_path: Path) -> None:
    name = system_file(tmp_path / "pack", imports="from ..pack.helper import LEVEL", level=3)
    (tmp_path / "pack" / "__init__.py").touch()
    with pytest.raises(InputError, match="beyond top-level package"):
        make_system(name, {})
    name = system_file(tmp_path / "pack", imports="from pack.helper import LEVEL", level=3)
    assert make_system(name, {}).level == 3


def test_two_files_each_have_their_own_neighbours(tmp_path: Path) -> None:
    names = [system_file(tmp_path / f"folder{level}", level=level) for level in (1, 2)]
    assert [make_system(name, {}).level for name in names] == [1, 2]


def test_settings_reach_a_class_that_takes_any(tmp_path: Path) -> None:
    assert make_system(system_file(tmp_path), {"anything": 1, "level": 4}).level == 4


WRONG = {
    "no such file": ("none.py:Mine", "", ("there is no such file", "path/to/file.py:Class")),
    "no class": ("my_system.py:Other", "LEVEL = 1", ("has no class 'Other'; it has: Mine",)),
    "class not said": ("my_system.py", "LEVEL = 1", ("say which class", "my_system.py:Mine")),
    "syntax error": ("my_system.py:Mine", "LEVEL = = 1", ("my_system.py, line 4: invalid syntax",)),
    "import error": (
        "my_system.py:Mine", "import nonesuch_module",
        ("my_system.py, line 4: ModuleNotFoundError", "nonesuch_module"),
    ),
    "error when imported": (
        "my_system.py:Mine", "LEVEL = 1 / 0", ("line 4: ZeroDivisionError: division by zero",)
    ),
    "exit when imported": ("my_system.py:Mine", "raise SystemExit(3)", ("line 4: SystemExit: 3",)),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize("verb", ["check", "record", "run"])
def test_what_is_wrong_with_the_file_is_one_line(tmp_path: Path, fault: str, verb: str) -> None:
    name, imports, parts = WRONG[fault]
    system_file(tmp_path, imports=imports)
    name, out = str(tmp_path / name), str(tmp_path / "run")
    app, arguments = {
        "check": (check_app, [name]),
        "record": (record_app, [name, "--suite", "smoke", "--out", out]),
        "run": (run_app, ["smoke", "--systems", name, "--out", out]),
    }[verb]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    (line,) = said(result).strip().splitlines()
    assert line.startswith("error: ")
    assert all(part in line for part in parts), line
    assert not Path(out).exists()


def test_a_class_that_cannot_be_made_says_why_and_where(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("class Bad:\n    def __init__(self):\n        raise OSError('no model here')\n")
    with pytest.raises(InputError, match=r"OSError: no model here \(.*bad\.py, line 3\)"):
        make_system(f"{path}:Bad", {})


def test_run_refuses_two_systems_of_one_name(tmp_path: Path) -> None:
    names = [system_file(tmp_path / folder) for folder in "ab"]
    result = CliRunner().invoke(
        run_app, ["smoke", "--systems", ",".join(names), "--out", str(tmp_path / "run")]
    )
    assert result.exit_code == 2
    assert "two of --systems are called 'mine'" in said(result)
    assert not (tmp_path / "run").exists()
