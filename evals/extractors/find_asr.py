"""Finds the recogniser that a user names; nothing is downloaded."""

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from evals.extractors.identified import named_weights
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import parse_json
from streamchar_ref.weights import WeightsMissing, locate

VARIABLE = "STREAMCHAR_ASR"
"""Environment variable with the path of the weights: worker processes read it, too."""
_MODULES = {
    "faster-whisper": "faster_whisper",
    "transformers": "transformers",
    "openai-whisper": "whisper",
}
_FORMS = (
    "a folder of faster-whisper (model.bin, config.json, tokenizer.json) or of transformers "
    "(config.json of a Whisper, model.safetensors), a file of openai-whisper (.pt), "
    "whisper-base, or faster-whisper:NAME, transformers:OWNER/NAME, openai-whisper:NAME"
)


@dataclass(frozen=True, kw_only=True)
class OwnRecogniser:
    """A recogniser beside the packaged ones.

    Attributes:
        name: In protocols, as ``asr:NAME``.
        package: That runs it, a key of `evals.extractors.OWN_RECOGNISERS`.
        path: Of its weights.
        sha256: Of the weights.
    """

    name: str
    package: str
    path: Path
    sha256: str

    @property
    def extractor(self) -> str:
        """Name of the extractor that runs it."""
        return f"asr_own_{self.package}"


def find_asr(asked: str) -> OwnRecogniser:
    """Finds a recogniser on this machine and makes it the one of this process and its workers.

    Args:
        asked: A folder, a file, or ``PACKAGE:NAME``.

    Returns:
        What runs it, and from where.

    Raises:
        InputError: If it is not on this machine; the message says how to get it.
    """
    package, path = _located(asked)
    if find_spec(_MODULES[package]) is None:
        raise InputError(f"--asr {asked}: needs the package {package}; pip install {package}")
    os.environ[VARIABLE] = str(path)
    digest = named_weights(VARIABLE)["own_weights"]
    return OwnRecogniser(name=_name(asked, path), package=package, path=path, sha256=digest)


def _located(asked: str) -> tuple[str, Path]:
    path = Path(asked).expanduser()
    if path.exists():
        return _package_of(path), path.resolve()
    if asked == "whisper-base":
        try:
            return "faster-whisper", locate("whisper-base")
        except WeightsMissing as error:
            raise InputError(f"--asr {asked}: {error}") from error
    package, _, name = asked.partition(":")
    look = {
        "faster-whisper": _faster_whisper, "transformers": _transformers,
        "openai-whisper": _openai_whisper,
    }  # fmt: skip
    if package not in look or not name:
        raise InputError(f"--asr {asked}: there is no such file or folder; give {_FORMS}")
    return package, look[package](name)


def _package_of(path: Path) -> str:
    """Tells by its files which package reads some weights."""
    if path.is_file() and path.suffix == ".pt":
        return "openai-whisper"
    names = {file.name for file in path.iterdir()} if path.is_dir() else set()
    if names & {"model.bin", "model.bin.part1"}:
        missing = [name for name in ("config.json", "tokenizer.json") if name not in names]
        if missing:  # faster-whisper would download another one
            raise InputError(f"--asr {path}: {' and '.join(missing)} missing beside model.bin")
        return "faster-whisper"
    if "config.json" in names:
        kind = parse_json((path / "config.json").read_bytes()).get("model_type")
        if kind == "whisper" and any(
            name.endswith((".safetensors", "_model.bin")) for name in names
        ):
            return "transformers"
    raise InputError(f"--asr {path}: is no recogniser that is known here; give {_FORMS}")


def _faster_whisper(name: str) -> Path:
    from faster_whisper.utils import available_models, download_model

    if "/" not in name and name not in available_models():
        known = ", ".join(available_models())
        raise InputError(f"--asr faster-whisper:{name}: it has no such model; known: {known}")
    try:
        return Path(download_model(name, local_files_only=True))
    except OSError as error:
        raise InputError(
            f"--asr faster-whisper:{name} is not on this machine, and nothing is downloaded "
            'unasked; get it with: python -c "from faster_whisper.utils import download_model; '
            f"download_model('{name}', '{name.replace('/', '-')}')\" and give that folder"
        ) from error


def _transformers(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        path = Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError) as error:
        raise InputError(
            f"--asr transformers:{name} is not on this machine, and nothing is downloaded unasked; "
            f"get it with: hf download {name} --local-dir {name.rpartition('/')[2]} and give that "
            "folder"
        ) from error
    if _package_of(path) != "transformers":
        raise InputError(f"--asr transformers:{name}: {path} holds no Whisper of transformers")
    return path


def _openai_whisper(name: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    path = cache / "whisper" / f"{name}.pt"
    if not path.is_file():
        raise InputError(
            f"--asr openai-whisper:{name} is not on this machine ({path}), and nothing is "
            f'downloaded unasked; get it with: python -c "import whisper; '
            f"whisper.load_model('{name}')\""
        )
    return path


def _name(asked: str, path: Path) -> str:
    named = path.stem if path.suffix == ".pt" else path.name
    text = named if Path(asked).expanduser().exists() else asked.replace(":", "-")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-") or "own"
