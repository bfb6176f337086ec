#!/bin/sh
# Environment of SoulX-FlashTalk in the folder $1 (untested here). Weights: see recipe.json.
set -eu
git clone https://github.com/Soul-AILab/SoulX-FlashTalk "$1"
cd "$1"
git checkout 688982effe0e77eb21796e3e6848b3792b391c3e
python3.10 -m venv .venv
. .venv/bin/activate
pip install torch==2.7.1 torchvision==0.22.1 --index-url https://download.pytorch.org/whl/cu128
pip install -r requirements.txt
pip install ninja
pip install flash_attn==2.8.0.post2 --no-build-isolation
