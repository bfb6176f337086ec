import re

import torch

from streamchar_ref.networks.prompt import BUCKETS, PromptConfig, PromptEncoder, hashed_words
from streamchar_ref.world.character import draw_character
from streamchar_ref.world.voices import VOICES, prompt_of
from tests.streamchar_ref.tiny import awake

TEXTS = ("a man with a beard", "an old woman in a red hat who smiles", "")


def encoder() -> PromptEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = PromptConfig(width=32, num_layers=1, num_heads=2, feed_forward=64, num_tokens=4)
        return awake(PromptEncoder(config)).eval()


def test_words_are_numbers_that_are_the_same_everywhere() -> None:
    assert hashed_words(["A, a!", "123456789"]).tolist() == [[1, 1001, 1001], [1, 430, 0]]
    assert int(hashed_words(TEXTS).max()) < BUCKETS


def test_no_two_words_of_captions_and_voices_share_a_number() -> None:
    texts = [prompt_of(draw_character(seed).caption, "") for seed in range(1000)]
    texts += [prompt_of("", voice) for voice in VOICES]
    words = sorted({word for text in texts for word in re.findall("[a-z]+", text.lower())})
    assert len(words) == 133
    assert len(set(hashed_words([" ".join(words)])[0].tolist())) == 1 + len(words)


@torch.no_grad()
def test_a_prompt_does_not_depend_on_those_beside_it() -> None:
    model = encoder()
    together = model(TEXTS)
    assert together.shape == (3, 4, 32)
    for text, expected in zip(TEXTS, together, strict=True):
        torch.testing.assert_close(model([text])[0], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_vectors_have_deviation_1_and_tell_prompts_apart() -> None:
    found = encoder()(TEXTS)
    torch.testing.assert_close(found.square().mean(dim=-1), torch.ones(3, 4), atol=1e-3, rtol=0)
    assert float(torch.pdist(found.flatten(1)).min()) > 1e-2


@torch.no_grad()
def test_a_fresh_encoder_tells_a_words_place() -> None:
    texts = ("a red jumper under a green scarf", "a green jumper under a red scarf")
    first, second = encoder()(texts)
    assert float((first - second).abs().mean()) > 1e-2
