"""Caches in which files are damaged, removed or swapped: the scores must come out the same."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from random import Random

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
    """Writes down a file's hash as `evals.content` does once the file has settled."""
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    memo = work / "cache" / "hashes" / name[:2] / f"{name}.json"
    memo.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    memo.write_text(json.dumps({"stamp": stamp, "sha256": digest}))
    return memo


def _the_same(work: Path) -> str:
    for run in ("run", "scored"):
        for name in KEPT:
            before, now = work / "expected" / run / name, work / run / name
            if not now.is_file() or now.read_bytes() != before.read_bytes():
                return f"{run}/{name} is not the same as with a good cache"
    return ""
