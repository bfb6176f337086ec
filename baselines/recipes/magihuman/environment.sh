#!/bin/sh
# Environment of daVinci-MagiHuman in the folder $1 (untested here). Weights: see recipe.json.
set -eu
git clone https://github.com/GAIR-NLP/daVinci-MagiHuman "$1"
cd "$1"
git checkout 209209b7086eba2020c5439265221495a8357322
python3.12 -m venv .venv
. .venv/bin/activate
pip install torch==2.10.0 torchvision==0.25.0 torchaudio==2.10.0
echo "by hand: FlashAttention 3 and MagiCompiler as in the README"
pip install -r requirements.txt
pip install --no-deps -r requirements-nodeps.txt
