#!/bin/sh
# Environment of LTX-2 in the folder $1 (untested here). Weights: see recipe.json.
set -eu
git clone https://github.com/Lightricks/LTX-2 "$1"
cd "$1"
git checkout 400fd31054597515f47125691032c04b1c3ee24e
python3.12 -m venv .venv
. .venv/bin/activate
pip install uv
uv sync --extra natten
