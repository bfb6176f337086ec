"""Values that programs trip over."""

from random import Random
from typing import Any

TEXTS = (
    "", " ", ".", "..", "/", "*", "-", "--", "\x00", "\n", "a\nb", "\r", "\t", "\x1b[31mred\x1b[0m",
    "\x9b31m", "\ufffe", "\ufeff", "\u202eabc", "\U0001f4a5", "é", "e\u0301", "ß", "İ", "ﬁ", "漢字",
    "a" * 256, "b" * 300, "é" * 130, "../up", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b",
    "C:\\x", "con", "nul.txt", "~", "~root", "$HOME", "$x^2$", "_a_b", "\\alpha", "%s", "%n", "{}",
    "{0}", "{a.b}", "<script>alert(1)</script>", "<b>", "&amp;", "![x](http://x/y.png)", "[a](b)",
    "|", "a|b", "`id`", "$(id)", ";", "'", '"', "=1+1", "+1", "@x", "-x", "nan", "NaN", "null",
    "None", "true", "1", "0", "-1", "1e309", "inf", "0x10", "1_000", "٣", "1/0", "file:good.mp4",
    "http://127.0.0.1:9/x.mp4", "concat:good.mp4|good.mp4", "data:,x", "pipe:0", ".hidden", "x.",
    "x ", " x", "meta.json", "scores.jsonl", "recordings", "computed",
)  # fmt: skip
NUMBERS = (
    0, -0.0, 1, -1, 2, 0.5, 1e-320, 1e308, -1e308, 1e16, 2**31, 2**32, 2**63, -(2**63), 2**64,
    2**1000, 3.0000001, 1e-9,
)  # fmt: skip
CONSTANTS = (float("nan"), float("inf"), float("-inf"))
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"": ""}, {"a": None})


def text(rng: Random) -> str:
    """Returns a text that is hard on somebody."""
    if rng.random() < 0.1:
        return "".join(
            chr(rng.choice((rng.randrange(32, 127), rng.randrange(1, 0x3000))))
            for _ in range(rng.randrange(1, 40))
        )
    return rng.choice(TEXTS)


def number(rng: Random) -> Any:
    """Returns a number at some limit."""
    return rng.choice(CONSTANTS) if rng.random() < 0.15 else rng.choice(NUMBERS)


def value(rng: Random) -> Any:
    """Returns a JSON value, NaN and infinity among them."""
    draw = rng.random()
    if draw < 0.35:
        return text(rng)
    if draw < 0.65:
        return number(rng)
    if draw < 0.9:
        return rng.choice(OTHERS)
    return {text(rng): value(rng)} if draw < 0.95 else [value(rng), value(rng)]
