"""What parts of a block can do to it."""

import os
import sys
import time


def add(a: int, b: int) -> dict[str, int]:
    return {"sum": a + b}


def fail() -> None:
    sys.stdout.write("on the way\n")
    raise ValueError("no such luck\nand more")


def die() -> None:
    os._exit(7)


def hang(limit_s: float) -> None:
    time.sleep(60 + limit_s)


def answer_a_function() -> object:
    return add
