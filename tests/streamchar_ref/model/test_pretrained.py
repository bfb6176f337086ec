from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Model,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from streamchar_ref.model.pretrained import use_pretrained
from streamchar_ref.networks.reader import as_orchestrator
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import Transcript
from tests.streamchar_ref.streaming.test_stream import PICTURE
from tests.streamchar_ref.tiny import tiny_model


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("t5")
    shape = {"d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "vocab_size": 5}
    T5EncoderModel(T5Config(d_model=32, **shape)).save_pretrained(folder)
    return with_tokenizer(folder)


def with_tokenizer(folder: Path) -> Path:
    words = models.WordLevel(
        {"<pad>": 0, "<unk>": 1, "a": 2, "red": 3, "hat": 4}, unk_token="<unk>"
    )
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def qwen(folder: Path, *, width: int, dtype: torch.dtype = torch.float32) -> Path:
    shape = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}
    Qwen2Model(Qwen2Config(hidden_size=width, num_hidden_layers=2, vocab_size=7, **shape)).to(
        dtype
    ).save_pretrained(folder)
    return folder


def test_a_model_streams_with_pretrained_parts(t5: Path, tmp_path: Path) -> None:
    model = use_pretrained(
        tiny_model(), prompt=t5, language_model=qwen(tmp_path / "qwen", width=48)
    ).eval()
    vectors = model.prompt(["a red hat", "a hat"])
    assert vectors.shape == (2, 4, 32)
    assert not torch.equal(vectors[0], vectors[1])
    assert not vectors[1, 2:].any()  # padding
    assert isinstance(model.orchestrator.backbone, Qwen2Model)
    chunk = next(stream(model, Transcript("Hello."), prompt="a red hat", reference=PICTURE))
    assert chunk.frames.shape == (16, 32, 32, 3)


def test_umt5_keeps_the_biases_of_all_its_layers(tmp_path: Path) -> None:
    shape = {"d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2, "vocab_size": 5}
    true = UMT5EncoderModel(UMT5Config(d_model=32, **shape)).eval()
    with torch.no_grad():
        for name, weight in true.named_parameters():
            if "relative_attention_bias" in name:
                weight.normal_()
    true.save_pretrained(tmp_path)
    model = use_pretrained(tiny_model(), prompt=with_tokenizer(tmp_path)).eval()
    states = true(input_ids=torch.tensor([[2, 3, 4]])).last_hidden_state
    assert torch.allclose(model.prompt(["a red hat"])[:, :3], states, atol=1e-5)


def test_half_precision_folders_take_the_precision_of_the_model(tmp_path: Path) -> None:
    folder = qwen(tmp_path, width=48, dtype=torch.bfloat16)
    model = use_pretrained(tiny_model(), language_model=folder).eval()
    backbone = as_orchestrator(model.orchestrator).backbone
    assert next(backbone.parameters()).dtype == torch.float32
    chunk = next(stream(model, Transcript("Hello."), prompt="", reference=PICTURE))
    assert np.isfinite(chunk.samples).all()


def test_weights_of_another_width_and_missing_folders_are_refused(t5: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no config\.json"):
        use_pretrained(tiny_model(), prompt=tmp_path / "nothing")
    with pytest.raises(ValueError, match="is 32 wide, the config says 48"):
        use_pretrained(tiny_model(), language_model=qwen(tmp_path / "qwen", width=32))
    with pytest.raises(ValueError, match="is 32 wide, the config says 64"):
        use_pretrained(
            tiny_model("prompt.width=64", "orchestrator.prompt_width=64", "dit.prompt_width=64"),
            prompt=t5,
        )
