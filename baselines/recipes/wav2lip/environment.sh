#!/bin/sh
# Environment of Wav2Lip in the folder $1 (untested here). Weights: see recipe.json.
set -eu
git clone https://github.com/Rudrabha/Wav2Lip "$1"
cd "$1"
git checkout 5c90fa9b4a2c2a37d0b4ebf7633ac41534eb9941
python3.6 -m venv .venv
. .venv/bin/activate
pip install -r requirements.txt
