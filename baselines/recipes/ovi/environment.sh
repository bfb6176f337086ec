#!/bin/sh
# Environment of Ovi in the folder $1 (untested here). Weights: see recipe.json.
set -eu
git clone https://github.com/character-ai/Ovi "$1"
cd "$1"
git checkout 5b69b25a4b3115216e9ea53a37a04410be6ad39a
python3.10 -m venv .venv
. .venv/bin/activate
pip install torch==2.6.0 torchvision torchaudio
pip install -r requirements.txt
pip install flash_attn --no-build-isolation
