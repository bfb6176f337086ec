#!/bin/sh
# Environment of SadTalker in the folder $1 (untested here). Weights: see recipe.json.
set -eu
git clone https://github.com/OpenTalker/SadTalker "$1"
cd "$1"
git checkout cd4c0465ae0b54a6f85af57f5c65fec9fe23e7f8
python3.8 -m venv .venv
. .venv/bin/activate
pip install torch==1.12.1+cu113 torchvision==0.13.1+cu113 torchaudio==0.12.1 --extra-index-url https://download.pytorch.org/whl/cu113
pip install -r requirements.txt
