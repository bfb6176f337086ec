"""Provenance of results: versions, revision and machine, but no timestamps."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from streamchar_ref.core.device import describe_gpu

PACKAGES = (
    "streamchar", "torch", "numpy", "scipy", "av", "soxr", "jiwer", "rapidfuzz", "faster-whisper",
    "ctranslate2", "moonshine-voice", "hama", "onnxruntime", "ai-edge-litert", "dlib-bin",
    "opencv-python-headless",
)  # fmt: skip


def provenance() -> dict[str, Any]:
    """Returns package versions, git revision and device as JSON values."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    networks = {"networks_on": gpu} if (gpu := describe_gpu()) else {}
    return {"versions": versions, "git": git_revision(), "device": device(), **networks}


def git_revision() -> str:
    """Returns the commit, with ``+changes`` for a dirty working tree; empty outside git."""
    folder = Path(__file__).resolve().parent
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "-uno"])
    try:
        revision, changes = (
            subprocess.run(c, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
            for c in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return revision + ("+changes" if changes else "")


def device() -> str:
    """Describes processor, number of cores and operating system."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"
