"""Manifest lines: what is wrong is said with file, line and the nearest field."""

import json
from pathlib import Path

import numpy as np
import pytest

from evals.features.extraction import reference_features
from evals.features.missing import Missing
from evals.metrics.speed import SPEED_METRICS
from evals.protocols.base import MetricContext
from evals.recording.manifest import load_manifest, read_arrivals
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.encode import write_mp4

GOOD = {"sample_id": "a", "system": "mine", "video_path": "a.mp4", "transcript": "hello"}


def manifest(folder: Path, *lines: object) -> Path:
    (folder / "a.mp4").touch()
    path = folder / "m.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def test_a_line_becomes_a_recording(tmp_path: Path) -> None:
    (tmp_path / "r.png").touch()
    extra = {"seed": 3, "groups": {"suite": "s", "identity": "anna"}, "reference_path": "r.png"}
    (found,) = load_manifest(manifest(tmp_path, GOOD | extra))
    assert found.recording_id == "mine/s/a/3"
    assert (found.identity, found.domain, found.error) == ("anna", "real", "")
    assert found.reference_path == tmp_path / "r.png"


def test_a_transcript_may_be_missing_or_null(tmp_path: Path) -> None:
    without = {key: value for key, value in GOOD.items() if key != "transcript"}
    lines = [without, GOOD | {"sample_id": "b", "transcript": None}]
    assert [r.transcript for r in load_manifest(manifest(tmp_path, *lines))] == ["", ""]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD | {"transcrpt": "x"}, "m.jsonl:1: unknown field 'transcrpt'; did you mean 'transcri"),
        (GOOD | {"transcript": ["hello"]}, "transcript is text, not ['hello']; leave it out"),
        (GOOD | {"transcript": 7}, "transcript is text, not 7; leave it out"),
        ({k: v for k, v in GOOD.items() if k != "system"}, "field 'system' is missing"),
        (GOOD | {"seed": "x"}, "field 'seed' cannot be 'x'"),
        (GOOD | {"seed": True}, "field 'seed' cannot be True"),
        (GOOD | {"video_path": "../a.mp4"}, "without '..'"),
        (GOOD | {"video_path": "/a.mp4"}, "relative to the file"),
        (GOOD | {"audio_path": "x/../../y"}, "audio_path"),
        (GOOD | {"sample_id": "a/b"}, "cannot name a folder"),
        (GOOD | {"sample_id": 7}, "field 'sample_id' cannot be 7; it is text: \"7\""),
        (GOOD | {"sample_id": "*"}, "cannot name a folder"),
        (GOOD | {"groups": {"identity": 3}}, "is 3, not text"),
        (GOOD | {"groups": {"domain": "cartoon"}}, "groups.domain is one of real, world"),
        ("{not json", "not JSON"),
        ('{"sample_id": NaN}', "not JSON (NaN is no number)"),
        (GOOD | {"transcript": "half \ud800"}, "not UTF-8 text"),
        (GOOD | {"system": ""}, "cannot name a folder"),
        ("[1]", "a JSON object is wanted"),
    ],
)
def test_a_wrong_line_says_where_and_what(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_manifest(manifest(tmp_path, line))
    assert message in str(error.value)
    assert "m.jsonl:1" in str(error.value)


def test_a_sample_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"m\.jsonl:2: .* is there twice"):
        load_manifest(manifest(tmp_path, GOOD, GOOD))
    assert len(load_manifest(manifest(tmp_path, GOOD, GOOD | {"seed": 1}))) == 2


def test_an_empty_or_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no samples"):
        load_manifest(manifest(tmp_path, ""))
    with pytest.raises(InputError, match="no such file"):
        load_manifest(tmp_path / "none.jsonl")


def test_byte_order_marks_crlf_and_line_separators_are_read(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    lines = [GOOD | {"transcript": "one\u2028two"}, GOOD | {"sample_id": "b"}]
    text = "\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
    assert [r.transcript for r in load_manifest(path)] == ["one\u2028two", "hello"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_named_with_its_line(tmp_path: Path, encoding: str) -> None:
    path = manifest(tmp_path)
    line = json.dumps(GOOD | {"transcript": "caf\u00e9"}, ensure_ascii=False)
    path.write_bytes(line.encode(encoding))
    with pytest.raises(InputError, match=r"m\.jsonl:1: not UTF-8"):
        load_manifest(path)


def test_a_missing_reference_picture_costs_only_what_needs_it(tmp_path: Path) -> None:
    (found,) = load_manifest(manifest(tmp_path, GOOD | {"reference_path": "none.png"}))
    assert found.error == ""
    missing = reference_features(found.reference_path or tmp_path, ["identity"])["identity"]
    assert isinstance(missing, Missing)
    assert missing.reason == "reference_path: there is no file none.png"


def test_a_missing_video_is_kept_as_a_failed_sample(tmp_path: Path) -> None:
    found = load_manifest(
        manifest(tmp_path, GOOD, GOOD | {"sample_id": "b", "video_path": "b.mp4"})
    )
    assert [r.error for r in found] == ["", "video_path: there is no file b.mp4"]


def test_links_are_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "real.mp4").touch()
    home = tmp_path / "home"
    home.mkdir()
    (home / "link.mp4").symlink_to(elsewhere / "real.mp4")
    (found,) = load_manifest(manifest(home, GOOD | {"video_path": "link.mp4"}))
    assert found.error == ""


def test_arrivals_must_run_forward(tmp_path: Path) -> None:
    path = tmp_path / "chunks.jsonl"
    line = {"index": 0, "num_frames": 8, "num_samples": 10, "t_arrival_s": 1.0}
    path.write_text(json.dumps(line) + "\n" + json.dumps(line | {"index": 1, "t_arrival_s": 0.5}))
    with pytest.raises(InputError, match="runs backwards"):
        read_arrivals(path)
    path.write_text(json.dumps(line | {"index": 1}))
    with pytest.raises(InputError, match="should be 0"):
        read_arrivals(path)
    for wrong in ({"t_arrival_s": -1.0}, {"t_arrival_s": 1e999}, {"num_frames": -8}):
        path.write_text(json.dumps(line | wrong).replace("Infinity", "1e999"))
        with pytest.raises(InputError, match=r"chunks\.jsonl:1: .*(at least 0|too large)"):
            read_arrivals(path)


def test_a_bad_trace_costs_the_speed_rows_only(tmp_path: Path) -> None:
    write_mp4(
        tmp_path / "a.mp4", [np.zeros((25, 64, 64, 3), np.uint8)], None, fps=25, sample_rate=16_000
    )
    (tmp_path / "t.jsonl").write_text('{"index": 0}')
    path = tmp_path / "m.jsonl"
    lines = [GOOD | {"sample_id": n, "trace_path": f"{n}.jsonl"} for n in ("t", "none")]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    malformed, missing = load_manifest(path)
    assert (malformed.error, missing.error) == ("", "")
    assert "t.jsonl:1: field 'num_frames' is missing" in malformed.trace_error
    assert "no such file" in missing.trace_error
    (rtf,) = (metric for metric in SPEED_METRICS if metric.name == "rtf")
    assert "num_frames" in rtf.score(malformed, {}, MetricContext()).reason


def test_usual_names_of_a_language_are_understood_and_others_refused(tmp_path: Path) -> None:
    line = {"sample_id": "a", "system": "s", "video_path": "a.mp4", "transcript": "b"}
    path = tmp_path / "m.jsonl"
    for tag, code in (("en_GB", "en"), ("English", "en"), ("zh-CN", "zh"), ("por", "pt")):
        path.write_text(json.dumps(line | {"language": tag}))
        assert load_manifest(path)[0].language == code
    path.write_text(json.dumps(line))
    assert load_manifest(path)[0].language == ""
    path.write_text(json.dumps(line | {"language": "engl"}))
    with pytest.raises(InputError, match=r"m\.jsonl:1: .*'engl'; did you mean 'en'"):
        load_manifest(path)
