#!/bin/sh
# Environment of LiveAvatar in the folder $1 (untested here). Weights: see recipe.json.
set -eu
git clone https://github.com/Alibaba-Quark/LiveAvatar "$1"
cd "$1"
git checkout 9c2c38de1715e553127b42c82cb959f756b02595
python3.10 -m venv .venv
. .venv/bin/activate
pip install torch==2.8.0 torchvision==0.23.0 --index-url https://download.pytorch.org/whl/cu128
pip install flash-attn==2.8.3 --no-build-isolation
pip install -r requirements.txt
