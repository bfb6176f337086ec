"""Remakes the picture of the page in the README, of a server that runs.

python -m tests.streamchar_ref.serve.screenshot URL streamchar_ref/serve/screenshot.png
"""

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.streamchar_ref.serve.browser import chromium, find_chromium

MIDDLE = "trace.points.length >= 3 && document.querySelectorAll('#captions .said').length >= 7"
FIGURES = "[...document.querySelectorAll('.figures p')].map((each) => each.innerText).join(', ')"
SIZE = (1280, 800)


def main(url: str, out: Path) -> str:
    """Lets the page speak, and takes its picture in the middle of the sentence.

    Args:
        url: Of the page, with its token.
        out: PNG to write.

    Returns:
        The figures that the page shows.
    """
    program = find_chromium()
    if program is None:
        sys.exit("no Chromium on PATH: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, chromium(program, Path(folder)) as page:
        page.open(url)
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=SIZE[0],
            height=SIZE[1],
            deviceScaleFactor=1,
            mobile=False,
        )
        page.wait_for("hello !== null && [...document.images].every((each) => each.complete)")
        page.evaluate("document.getElementById('speak').click()")
        page.wait_for(MIDDLE)
        shot = page.call("Page.captureScreenshot", format="png")["data"]
        figures = str(page.evaluate(FIGURES))
    picture = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB")
    picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(out, optimize=True)
    return figures


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1], Path(sys.argv[2])) + "\n")
