"""Reference phonemes of transcripts, kept on disk: a new word costs tens of milliseconds."""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from evals.content import write_atomically
from streamchar_ref.weights import cache_folder


def cached_phonemes(transcript: str) -> Sequence[str]:
    """Finds the phonemes that an English transcript should sound as.

    Args:
        transcript: As it was to be spoken.

    Returns:
        Phonemes of hama's set, in spoken order.

    Raises:
        ImportError: If the package ``hama``, whose pronouncing model it is, is not installed.
    """
    try:
        model = version("hama")
    except PackageNotFoundError as error:
        raise ImportError("hama is not installed", name="hama") from error
    key = hashlib.sha256(f"hama {model}\n{transcript}".encode()).hexdigest()[:24]
    path = cache_folder() / "phonemes" / f"{key}.json"
    if path.is_file():
        return tuple(json.loads(path.read_text(encoding="utf-8")))
    from evals.extractors.phonemes import reference_phonemes

    found = reference_phonemes(transcript)
    write_atomically(path, json.dumps(found).encode())
    return found
