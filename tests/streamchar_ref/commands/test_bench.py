import json

import pytest
from typer.testing import CliRunner, Result

from streamchar_ref.blocks import scale as bench_scale
from streamchar_ref.commands.bench import app


def scale(*options: str) -> Result:
    return CliRunner().invoke(app, ["scale", *options])


def test_scale_prints_measured_times_beside_the_floor() -> None:
    options = ("--preset", "tiny", "--device", "cpu", "--chunks", "1", "--steps", "1")
    printed = json.loads(scale(*options, "--json").stdout)
    assert 0 < printed["floor_ms"] < printed["chunk_ms"]
    assert sum(part["ms"] for part in printed["parts"]) > printed["floor_ms"]
    assert printed["rates"]["flop_per_s"] > 0


def test_scale_counts_without_a_device_and_says_what_it_did_not_measure() -> None:
    printed = scale(
        "--preset", "tiny", "--device", "meta", "--steps", "1", "--tflops", "100", "--tbps", "1"
    )
    assert "rates: 100 TFLOP/s, 1 TB/s" in printed.stdout
    assert "times: not measured on meta" in printed.stdout


def test_a_model_that_does_not_fit_is_refused_before_it_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench_scale, "memory_bytes", lambda device: 1_000_000)
    refused = scale(
        "--preset", "tiny", "--steps", "1", "--device", "cpu", "--tflops", "1", "--tbps", "1"
    )
    assert refused.exit_code == 2
    assert "--device meta" in refused.output


def test_preset_and_scale_exclude_each_other() -> None:
    assert scale("--preset", "tiny", "--scale", "0.5").exit_code == 2
