#!/bin/sh
# Environment of LatentSync in the folder $1 (untested here). Weights: see recipe.json.
set -eu
git clone https://github.com/bytedance/LatentSync "$1"
cd "$1"
git checkout a229c3948406bc2cf6eaf4873e662e70c6a04746
python3.10 -m venv .venv
. .venv/bin/activate
pip install -r requirements.txt
