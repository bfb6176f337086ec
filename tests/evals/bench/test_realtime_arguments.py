"""Systems, settings and lengths of `bench realtime` as they are typed."""

import math

import numpy as np
import pytest

from evals.bench.realtime.arguments import long_enough, parse_streams, parse_systems
from evals.recording.system import Prompt, TextPiece
from streamchar_ref.core.errors import InputError


def test_systems_and_settings_are_told_apart() -> None:
    specs = parse_systems(
        "plain=ref,fast=ref,path/to/a.py:Own",
        ["device=cuda", "fast:engine=true", "path/to/a.py:Own:size=3"],
    )
    assert [(one.label, one.name) for one in specs] == [
        ("plain", "ref"),
        ("fast", "ref"),
        ("", "path/to/a.py:Own"),
    ]
    assert [one.settings for one in specs] == [
        {"device": "cuda"},
        {"device": "cuda", "engine": True},
        {"device": "cuda", "size": 3},
    ]
    with pytest.raises(InputError, match="for 'fsat', which is none of: plain, fast"):
        parse_systems("plain=ref,fast=ref", ["fsat:engine=true"])
    with pytest.raises(InputError, match="names none"):
        parse_systems(",", [])


def test_numbers_of_streams_are_whole_and_rising() -> None:
    assert parse_streams("4,1,2,2") == [1, 2, 4]
    for text in ("", "0", "1.5", "a", "9999999", "-1"):
        with pytest.raises(InputError, match="--streams is"):
            parse_streams(text)


def test_text_is_repeated_until_a_stream_of_it_lasts() -> None:
    piece = TextPiece(t_s=1.0, text="one two three")
    prompt = Prompt(
        prompt_id="p",
        transcript=piece.text,
        reference=np.zeros((8, 8, 3), np.uint8),
        pieces=(piece,),
    )
    long = long_enough(prompt, 10.0)
    assert len(long.transcript.split()) == 42  # four words a second, whole texts
    assert " ".join(each.text for each in long.pieces) == long.transcript
    assert {each.t_s for each in long.pieces} == {1.0}
    assert long_enough(prompt, 0.0) == prompt
    with pytest.raises(InputError, match="--seconds is not a number"):
        long_enough(prompt, math.nan)
