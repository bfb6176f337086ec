"""The lock holds what pyproject.toml asks for, each file with its hash and none with an address."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^(\S+)==(\S+)(.*(?:\n +--hash.*)*)", LOCK, re.M)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PYPROJECT["tool"]["uv"]["pip"]["extra"]
ASKED = [
    *PYPROJECT["build-system"]["requires"],
    *PYPROJECT["project"]["dependencies"],
    *(line for extra in EXTRAS for line in PYPROJECT["project"]["optional-dependencies"][extra]),
]


@pytest.mark.parametrize("asked", sorted(set(ASKED)))
def test_the_lock_holds_what_is_asked_for(asked: str) -> None:
    requirement = Requirement(asked)
    version = {name: version for name, version, _ in ENTRIES}[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), f"{asked}, locked is {version}: make lock"


def test_every_file_has_a_hash_and_no_address() -> None:
    assert len(ENTRIES) > 100
    for name, _, rest in ENTRIES:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", rest), name
    assert "://" not in LOCK
    assert "index-url" not in LOCK


def test_nothing_for_nvidia_is_locked() -> None:
    names = {name for name, _, _ in ENTRIES}
    assert not [name for name in names if re.match(r"nvidia|cuda|triton", name)]


def test_the_cpu_build_of_torch_is_of_the_locked_version() -> None:
    version = {name: version for name, version, _ in ENTRIES}["torch"]
    assert f"\ntorch=={version}+cpu --hash" in (ROOT / "torch-cpu.lock").read_text()


def test_the_environment_installs_the_extras_that_are_locked() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"EXTRAS := {' '.join(EXTRAS)}\n" in makefile
    assert f"'.[{','.join(EXTRAS)}]'" in makefile
