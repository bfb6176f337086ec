import json
import time
from dataclasses import asdict
from pathlib import Path

from streamchar_ref.blocks.blocks import BLOCKS, table
from streamchar_ref.blocks.runner import LOG, RESULTS, Part, Record, run_parts

HERE = "tests.streamchar_ref.blocks.parts"


def part(name: str, limit_s: float = 30.0, **arguments: int) -> Part:
    return Part(name=name, call=f"{HERE}:{name}", arguments=arguments, limit_s=limit_s)


def test_a_part_that_fails_hangs_or_dies_does_not_keep_the_next_from_running(
    tmp_path: Path,
) -> None:
    hanging = Part(name="hang", call=f"{HERE}:hang", limit_s=0.2, takes_limit="limit_s")
    parts = [part("fail"), part("die"), hanging, part("answer_a_function"), part("add", a=2, b=3)]
    told: list[str] = []
    records = run_parts(parts, tmp_path, limit_s=120, imported=(), tell=told.append)
    assert [record.status for record in records] == [
        "failed", "died", "over time", "failed", "done",
    ]  # fmt: skip
    assert records[0].error == "ValueError: no such luck"
    assert "exit code 7" in records[1].error
    assert records[4].result == {"sum": 5}
    assert 'raise ValueError("no such luck' in told[0]
    written = [json.loads(line) for line in (tmp_path / RESULTS).read_text().splitlines()]
    assert written == [asdict(record) for record in records]
    log = (tmp_path / LOG).read_text()
    assert "== fail\non the way\nTraceback" in log


def test_what_does_not_fit_into_the_time_is_named_and_not_run(tmp_path: Path) -> None:
    began = time.monotonic()
    records = run_parts([part("add", a=1, b=1)] * 2, tmp_path, limit_s=1, imported=())
    assert [record.status for record in records] == ["no time left"] * 2
    assert time.monotonic() - began < 20
    assert table(records) == ["NOT MEASURED add: no time left"] * 2


def test_the_parts_of_every_block_fit_into_its_time() -> None:
    for name, parts in BLOCKS.items():
        made = parts([], Path("out"), "cuda", 360.0)
        shares = [each.limit_s for each in made]
        assert len({each.name for each in made}) == len(made), name
        assert max(shares) <= 360
    probe = BLOCKS["g0"]([], Path("out"), "cuda", 360.0)
    assert len(probe) == 1 + 3 + 20 + 1
    assert sum(each.limit_s for each in probe[4:]) < 0.75 * 360


def test_the_table_has_a_line_for_each_result_and_says_what_is_missing() -> None:
    rates = {"device": "x", "torch": "2", "flop_per_s": 2e12, "bytes_per_s": 1e12}
    cost = {
        "batch": 4, "steps": 3, "samples_per_s": 10.0, "step_ms": 400.0, "data_share": 0.25,
        "flop_per_s": 1e12, "peak_bytes": None, "first_s": 1.0, "loss": 0.5,
    }  # fmt: skip
    lines = table(
        [
            Record(part="rates", status="done", wall_s=1, result=rates),
            Record(part="teacher micro", status="done", wall_s=1, result=cost),
            Record(part="speech micro", status="died", wall_s=1, error="exit code -11"),
        ]
    )
    assert lines[0] == "x, torch 2: 2 TFLOP/s, 1 TB/s"
    assert lines[2].split() == [
        "teacher", "micro", "4", "3", "10.0", "400.0", "25.0", "1", "50.0", "-", "1.0", "0.500",
    ]  # fmt: skip
    assert lines[3] == "NOT MEASURED speech micro: died exit code -11"
