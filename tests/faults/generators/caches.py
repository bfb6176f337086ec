"""Caches in which files are damaged, removed or swapped: the scores must come out the same."""

import hashlib
import os
import shutil
from pathlib import Path
from random import Random

import pytest

from streamchar_ref.core.cache import remember
from streamchar_ref.core.files import sha256_of
from tests.faults.generators import mangle
from tests.faults.trial import Trial

METRICS = ("rtf", "exposure_drift", "colour_drift", "phoneme_error_rate")
KEPT = ("scores.jsonl", "windows.csv", "summary.json")


def cache(rng: Random, work: Path) -> Trial:
    """One to three files of the cache are not what was written; then all is scored again."""
    shutil.copytree(work / "run", work / "expected" / "run")
    shutil.copytree(work / "scored", work / "expected" / "scored")
    notes = []
    if rng.random() < 0.2:
        notes.append(mangle.mangle(rng, _memo(work, work / "good.mp4")))
    for _ in range(rng.choice((1, 1, 2, 3))):
        files = sorted(
            path for path in (work / "cache").rglob("*") if path.is_file() and not path.is_symlink()
        )
        chosen = rng.choice(files)
        twins = [path for path in files if path.suffix == chosen.suffix and path != chosen]
        if rng.random() < 0.2 and twins:
            other = rng.choice(twins)
            chosen.write_bytes(other.read_bytes())
            notes.append(f"{chosen.name}: what is in {other.name}")
        else:
            notes.append(mangle.mangle(rng, chosen))
    if rng.random() < 0.1:
        folders = sorted(path for path in (work / "cache").rglob("*") if path.is_dir())
        notes.append(mangle.replace_folder(rng, rng.choice(folders)))
    again = ("--metrics", "rtf,exposure_drift", "--jobs", "1")
    return Trial(
        note="; ".join(notes),
        commands=(
            ("score", "run", *again, "--native"),
            ("score", "--manifest", "videos.jsonl", "--out", "scored", *again),
        ),
        samples=("a",),
        metrics=("rtf", "exposure_drift"),
        scores="scored/scores.jsonl",
        must_score=True,
        well=("a",),
        check=_the_same,
    )


def _memo(work: Path, path: Path) -> Path:
    """Writes down the hash of a file as the cache does once the file has settled."""
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    name = f"hashes/{key[:2]}/{key}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMCHAR_CACHE", str(work / "cache"))
        remember(name, {"stamp": stamp, "sha256": sha256_of(path)})
    return work / "cache" / f"{name}.json"


def _the_same(work: Path) -> str:
    for run in ("run", "scored"):
        for name in KEPT:
            before, now = work / "expected" / run / name, work / run / name
            if not now.is_file() or now.read_bytes() != before.read_bytes():
                return f"{run}/{name} is not the same as with a good cache"
    return ""
