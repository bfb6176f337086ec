"""VBench's and VBench-2.0's ``NAME_eval_results.json``.

The file maps a dimension to its total and a list with a ``video_path`` and ``video_results`` for
each video. Per-video results are in the total's scale but for ``imaging_quality``, of 0 to 100, and
are averaged over videos; some dimensions average over frames, which ``frame_count`` tells.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.imports.values import (
    ImportedFile,
    ImportedValue,
    check_sample_id,
    check_unique,
    judged,
    loaded,
    number,
    text_of,
)
from evals.protocols.tool import Tool, ToolMetric, load_tools
from evals.scoring.results import SET_ID
from streamchar_ref.core.errors import InputError

WHAT = "a file of VBench: *_eval_results.json, {dimension: [total, [{video_path, video_results}]]}"
PERCENT = "imaging_quality"
_TAKE = re.compile(r"(.+)-(0|[1-9][0-9]{0,8})")


def read_vbench(path: Path, *, takes: bool = False) -> ImportedFile:
    """Reads a file of results.

    Args:
        path: ``NAME_eval_results.json`` of VBench, VBench-I2V, VBench-Long or VBench-2.0.
        takes: Whether names end in the number of the take, as ``PROMPT-0.mp4``: takes of a prompt
            are then one sample with several seeds.

    Returns:
        A value for each dimension and video, or for all videos together where the file has no more;
        the file's own totals; dimensions that are not known here.

    Raises:
        InputError: If it is no such file; the message names dimension and entry.
    """
    try:
        content = loaded(text_of(path))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); wanted is {WHAT}") from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: wanted is {WHAT}")
    known = {
        key: (tool, metric)
        for tool in load_tools().values()
        if tool.name == "vbench"
        for key, metric in tool.metrics.items()
    }
    unknown = {key: "not a dimension that is known here" for key in content if key not in known}
    if len(unknown) == len(content):
        raise InputError(f"{path}: {next(iter(content))!r:.60} is no dimension; wanted is {WHAT}")
    values: list[ImportedValue] = []
    totals: dict[str, float] = {}
    for key in (key for key in content if key in known):
        tool, metric = known[key]
        total, videos = _entry(path, key, content[key])
        if total is not None and math.isfinite(total):
            totals[metric.name] = total
        values += _of_dimension(path, tool, metric, total, videos, takes)
    if not values:
        raise InputError(f"{path}: holds no number")
    check_unique(path, values)
    return ImportedFile(values=values, totals=totals, left_out=unknown)


def ends_in_takes(values: Sequence[ImportedValue]) -> bool:
    """Whether all names end as those of takes do, so that ``--takes`` may be meant."""
    names = {value.sample_id for value in values} - {SET_ID}
    bases = [found[1] for found in map(_TAKE.fullmatch, names) if found]
    return len(bases) == len(names) > len(set(bases)) > 1


def _entry(path: Path, key: str, entry: Any) -> tuple[float | None, list[Any]]:
    """Total and videos of a dimension."""
    is_pair = isinstance(entry, list) and 1 <= len(entry) <= 3
    if not is_pair or (number(entry[0]) is None and entry[0] is not None):
        raise InputError(f"{path}: {key} is {entry!r:.60}, not [total, [videos]]; wanted is {WHAT}")
    videos = entry[1] if len(entry) > 1 else []
    if not isinstance(videos, list):
        raise InputError(f"{path}: {key}: {videos!r:.60} is no list of videos; wanted is {WHAT}")
    return number(entry[0]), videos


def _of_dimension(
    path: Path, tool: Tool, metric: ToolMetric, total: float | None, videos: list[Any], takes: bool
) -> list[ImportedValue]:
    found = []
    for place, video in enumerate(videos):
        where = f"{path}: {metric.key}, video {place}"
        if not isinstance(video, dict) or not isinstance(video.get("video_path"), str):
            raise InputError(f"{where}: {video!r:.60} has no video_path; wanted is {WHAT}")
        value = number(video.get("video_results"))
        if value is None:
            raise InputError(f"{where}: video_results is {video.get('video_results')!r:.60}")
        found.append((video, value))
    if not found:
        if total is None:
            return []
        return [ImportedValue(tool=tool, metric=metric, sample_id=SET_ID, **judged(total))]
    scale = _scale(metric, [value for _, value in found], total)
    return [
        _of_video(f"{path}: {metric.key}", tool, metric, video, value, scale, takes)
        for video, value in found
    ]


def _of_video(
    where: str,
    tool: Tool,
    metric: ToolMetric,
    video: Mapping[str, Any],
    value: float,
    scale: float,
    takes: bool,
) -> ImportedValue:
    # A path of another machine, which may have been Windows.
    stem = re.sub(r"\.[A-Za-z0-9]{2,4}$", "", re.split(r"[/\\]", video["video_path"])[-1])
    take = _TAKE.fullmatch(stem) if takes else None
    if takes and take is None:
        raise InputError(f"{where}: {stem!r} does not end in the number of a take: without --takes")
    fields = judged(value * scale)
    if value == tool.excluded:
        reason = f"{tool.title} left it out ({value:g})"
        fields = {"value": None, "weight": 0.0, "status": "not_applicable", "reason": reason}
    frames = number(video.get("frame_count"))
    if frames is not None and fields["value"] is not None:
        fields["weight"] = max(frames, 0.0)
    return ImportedValue(
        tool=tool,
        metric=metric,
        sample_id=check_sample_id(where, take[1] if take else stem),
        seed=int(take[2]) if take else 0,
        **fields,
    )


def _scale(metric: ToolMetric, values: Sequence[float], total: float | None) -> float:
    """0.01 where results of videos are in per cent and the total is a share."""
    if metric.key != PERCENT:
        return 1.0
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 1.0
    mean = sum(finite) / len(finite)
    if total is None or not math.isfinite(total) or not math.isfinite(mean):
        return 0.01 if max(finite) > 1 else 1.0
    return 0.01 if abs(mean / 100 - total) < abs(mean - total) else 1.0
