"""SIM-o and UTMOS by path: keys of the published files, input convention, values by hand."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evals.extractors import opinion
from evals.extractors.networks import speaker_wavlm, utmos
from evals.extractors.networks.door import WrongConvention
from evals.extractors.networks.fairseq_names import renamed
from evals.extractors.networks.speaker_wavlm import SpeakerWavLM, embed_sound
from evals.extractors.networks.utmos import Utmos, rate_sound
from evals.extractors.opinion import SpeakerWavLMExtractor, UtmosExtractor, pieces
from evals.metrics.voice_published import SimO, UtmosMetric
from evals.protocols.base import MetricContext
from tests.evals.real_clips import recording

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embedding_groups": 2,
}
SOUND = np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32)
AUTHORS = [0.02528, -0.007657, -0.008874, 0.026072, -0.044666, 0.062895, -0.077374, 0.085521]
"""Every 32nd number of UniSpeech's ECAPA_TDNN_SMALL on its WavLM, both of small size and with the
numbers of `by_formula`, run once in seed-tts-eval's copy."""
WRONG = {
    "int16": (lambda x: (x * 32_768).astype(np.int16), "takes mono float32, not int16"),
    "16-bit floats": (lambda x: x * np.float32(32_768), "are divided by 32768 first"),
    "[0, 1]": (lambda x: (x - x.min()) / np.float32(2), "mapped by 2 x - 1 first"),
    "stereo": (lambda x: np.stack([x, x]), r"of shape \(2, 8000\)"),
    "not finite": (lambda x: np.append(x[1:], np.float32(np.nan)), "in \\[nan, nan\\]"),
}


@pytest.fixture(scope="module")
def rater() -> Utmos:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Utmos(**SMALL).eval()


@pytest.fixture(scope="module")
def speaker() -> SpeakerWavLM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SpeakerWavLM(**SMALL).eval()


def fairseq_names(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The state dict as the published file has it: rules of the renaming, backwards."""
    rules = (
        ("masked_spec_embed", "mask_emb"),
        ("feature_projection.layer_norm.", "layer_norm."),
        ("feature_projection.projection.", "post_extract_proj."),
        ("encoder.pos_conv_embed.conv.parametrizations.weight.original0",
         "encoder.pos_conv.0.weight_g"),
        ("encoder.pos_conv_embed.conv.parametrizations.weight.original1",
         "encoder.pos_conv.0.weight_v"),
        ("encoder.pos_conv_embed.conv.bias", "encoder.pos_conv.0.bias"),
        (".attention.rel_attn_embed.", ".self_attn.relative_attention_bias."),
        (".attention.gru_rel_pos_linear.", ".self_attn.grep_linear."),
        (".attention.gru_rel_pos_const", ".self_attn.grep_a"),
        (".attention.", ".self_attn."),
        (".feed_forward.intermediate_dense.", ".fc1."),
        (".feed_forward.output_dense.", ".fc2."),
    )  # fmt: skip
    found = {}
    for name, tensor in state.items():
        for ours, theirs in rules:
            name = name.replace(ours, theirs)
        name = re.sub(r"(layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm.", name)
        name = re.sub(r"(conv_layers\.\d+)\.conv\.", r"\1.0.", name)
        norm = ".2." if "feature_extract." not in prefix else ".2.1."
        name = re.sub(r"(conv_layers\.\d+)\.self_attn_layer_norm\.", rf"\1{norm}", name)
        found[prefix + name] = tensor
    return found


def test_names_of_fairseq_are_those_of_the_published_files() -> None:
    assert renamed("encoder.layers.3.self_attn.grep_a") == (
        "encoder.layers.3.attention.gru_rel_pos_const"
    )
    assert renamed("feature_extractor.conv_layers.0.2.1.bias") == (
        "feature_extractor.conv_layers.0.layer_norm.bias"
    )
    assert renamed("feature_extractor.conv_layers.6.0.weight") == (
        "feature_extractor.conv_layers.6.conv.weight"
    )
    assert renamed("layer_norm.weight") == "feature_projection.layer_norm.weight"
    assert renamed("encoder.layer_norm.weight") == "encoder.layer_norm.weight"
    assert renamed("encoder.layers.11.final_layer_norm.bias") == (
        "encoder.layers.11.final_layer_norm.bias"
    )


def test_a_file_of_utmos_loads_by_key(rater: Utmos) -> None:
    encoder = fairseq_names(dict(rater.wav2vec2.state_dict()), "wav2vec2.")
    assert "wav2vec2.feature_extractor.conv_layers.0.2.weight" in encoder
    assert "wav2vec2.encoder.layers.1.self_attn_layer_norm.bias" in encoder
    rest = {k: v for k, v in rater.state_dict().items() if not k.startswith("wav2vec2.")}
    assert {"domain_emb", "judge_emb", "blstm.weight_ih_l0_reverse", "projection.2.bias"} <= set(
        rest
    )
    other = Utmos(**SMALL).eval()
    utmos.put_state(other, encoder | rest)
    assert rate_sound(other, SOUND, 16_000) == rate_sound(rater, SOUND, 16_000)
    with pytest.raises(RuntimeError, match="Missing key"):
        utmos.put_state(other, rest)


def test_a_file_of_wavlm_loads_by_key_without_what_was_for_training(
    speaker: SpeakerWavLM,
) -> None:
    encoder = fairseq_names(dict(speaker.encoder.state_dict()), "feature_extract.model.")
    assert "feature_extract.model.feature_extractor.conv_layers.6.2.1.weight" in encoder
    assert "feature_extract.model.encoder.layers.0.self_attn.relative_attention_bias.weight" in (
        encoder
    )
    rest = {k: v for k, v in speaker.state_dict().items() if not k.startswith("encoder.")}
    assert {
        "feature_weight", "layer2.Conv1dReluBn1.conv.weight", "layer4.SE_Connect.linear2.bias",
        "layer3.Res2Conv1dReluBn.convs.6.weight", "pooling.linear2.weight", "bn.running_var",
    } <= set(rest)  # fmt: skip
    more = {"feature_extract.model.final_proj.weight": torch.zeros(1), "loss_calculator.w": SOUND}
    other = SpeakerWavLM(**SMALL).eval()
    speaker_wavlm.put_state(other, encoder | rest | more)
    np.testing.assert_array_equal(
        embed_sound(other, SOUND, 16_000), embed_sound(speaker, SOUND, 16_000)
    )


def by_formula(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Numbers that depend on the name and size of a tensor alone."""
    made = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            made[name] = tensor
            continue
        places = torch.arange(tensor.numel(), dtype=torch.float64)
        values = torch.sin(places * 1.7 + len(name)) / 2
        if name.endswith("running_var"):
            values = values.abs() + 0.5
        elif tensor.ndim > 1:
            values = values * 2 / tensor[0].numel() ** 0.5
        made[name] = values.reshape(tensor.shape).float()
    return made


def test_a_small_network_embeds_as_the_authors_code_does() -> None:
    network = SpeakerWavLM(**SMALL).eval()
    encoder = fairseq_names(dict(network.encoder.state_dict()), "feature_extract.model.")
    rest = {k: v for k, v in network.state_dict().items() if not k.startswith("encoder.")}
    speaker_wavlm.put_state(network, by_formula(encoder | rest))
    at = np.arange(8_000)
    sound = (0.3 * np.sin(at * 0.05) + 0.2 * np.sin(at * at * 1e-5)).astype(np.float32)
    found = embed_sound(network, sound, 16_000)
    np.testing.assert_allclose(found[::32], AUTHORS, atol=2e-6)


def test_the_published_sizes_are_those_of_the_large_and_the_base_encoder() -> None:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        large, base = SpeakerWavLM(), Utmos()
    assert sum(p.numel() for p in large.encoder.parameters()) == 315_453_120
    assert large.feature_weight.shape == (25,)
    assert large.linear.weight.shape == (256, 3072)
    assert sum(p.numel() for p in base.wav2vec2.parameters()) == 94_371_712
    assert base.blstm.weight_ih_l0.shape == (2048, 768 + 256)


@pytest.mark.parametrize("kind", WRONG)
def test_sound_of_another_convention_is_an_error_and_no_number(
    kind: str, rater: Utmos, speaker: SpeakerWavLM
) -> None:
    change, message = WRONG[kind]
    for ask, name in ((lambda x: rate_sound(rater, x, 16_000), "UTMOS"),
                      (lambda x: embed_sound(speaker, x, 16_000), "WavLM")):  # fmt: skip
        with pytest.raises(WrongConvention, match=f"{name} takes.*{message}|{message}"):
            ask(change(SOUND))


def test_sound_at_another_rate_is_an_error_and_no_number(
    rater: Utmos, speaker: SpeakerWavLM
) -> None:
    with pytest.raises(WrongConvention, match="UTMOS takes sound at 16000 Hz, not 24000"):
        rate_sound(rater, SOUND, 24_000)
    with pytest.raises(WrongConvention, match="WavLM takes sound at 16000 Hz, not 48000"):
        embed_sound(speaker, SOUND, 48_000)


def test_wavlm_standardises_its_sound_and_utmos_does_not(
    rater: Utmos, speaker: SpeakerWavLM
) -> None:
    loud = embed_sound(speaker, SOUND, 16_000)
    assert np.linalg.norm(loud) == pytest.approx(1, abs=1e-6)
    assert embed_sound(speaker, SOUND / 4, 16_000) @ loud == pytest.approx(1, abs=1e-3)
    given: list[torch.Tensor] = []
    hooks = [
        network.register_forward_pre_hook(lambda module, args: given.append(args[0]))
        for network in (rater.wav2vec2, speaker.encoder)
    ]
    rate_sound(rater, SOUND, 16_000)
    embed_sound(speaker, SOUND, 16_000)
    for hook in hooks:
        hook.remove()
    np.testing.assert_array_equal(given[0][0].numpy(), SOUND)
    assert float(given[1].mean()) == pytest.approx(0, abs=1e-6)
    assert float(given[1].std()) == pytest.approx(1, abs=1e-3)


def test_all_layers_of_wavlm_count_the_last_one_after_its_norm(speaker: SpeakerWavLM) -> None:
    seen: list[torch.Tensor] = []
    hook = speaker.encoder.encoder.layer_norm.register_forward_hook(
        lambda module, args, made: seen.append(made)
    )
    with torch.no_grad():
        before = speaker.feature_weight.clone()
        speaker.feature_weight[:] = torch.tensor([-1e4, -1e4, 0.0])  # the last one alone
        inner: list[torch.Tensor] = []
        peek = speaker.instance_norm.register_forward_pre_hook(
            lambda module, args: inner.append(args[0])
        )
        embed_sound(speaker, SOUND, 16_000)
        speaker.feature_weight[:] = before
    hook.remove()
    peek.remove()
    np.testing.assert_allclose(inner[0].numpy(), seen[0].transpose(1, 2).numpy() + 1e-6, atol=1e-6)


def test_long_sound_is_read_in_equal_pieces() -> None:
    assert pieces(30 * 16_000, 30.0) == [(0, 480_000)]
    assert pieces(40 * 16_000, 30.0) == [(0, 320_000), (320_000, 640_000)]
    assert pieces(399, 30.0) == []


def test_extractors_read_the_named_files(
    rater: Utmos, speaker: SpeakerWavLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []
    monkeypatch.setattr(opinion, "own_weights", lambda name: named.append(name) or Path(name))
    monkeypatch.setattr(opinion, "load_utmos", lambda path: rater)
    monkeypatch.setattr(opinion, "load_speaker_wavlm", lambda path: speaker)
    found = UtmosExtractor(longest_s=0.3).extract(SOUND)
    assert found["end_s"].tolist() == [0.25, 0.5]
    assert found["rating"][0] == rate_sound(rater, SOUND[:4_000], 16_000)
    heard = SpeakerWavLMExtractor().extract(SOUND)
    assert heard["embedding"].shape == (1, 256)
    assert SpeakerWavLMExtractor().extract(SOUND[:0])["embedding"].shape == (0, 256)
    assert named == ["utmos", "wavlm-sv", "wavlm-sv"]


def test_pieces_are_averaged_by_their_length() -> None:
    times = {"start_s": np.array([0.0, 30.0]), "end_s": np.array([30.0, 40.0])}
    rating = {"utmos": {"rating": np.array([4.0, 2.0]), **times}}
    score = UtmosMetric().score(recording(), rating, MetricContext())
    assert (score.value, len(score.windows)) == (3.5, 2)
    axes = np.eye(2, dtype=np.float32)
    voices = {
        "wavlm_sv": {"embedding": axes, **times},
        "wavlm_sv_reference": {"embedding": axes[::-1], **times},
    }
    found = SimO().score(recording(), voices, MetricContext())
    assert (found.value, found.components["reference_s"]) == (0.25, 30.0)
    none = {"embedding": axes[:0], "start_s": np.zeros(0), "end_s": np.zeros(0)}
    short = SimO().score(recording(), voices | {"wavlm_sv_reference": none}, MetricContext())
    assert "voice_reference_path: too short" in short.reason
