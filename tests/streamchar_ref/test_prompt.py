import torch

from streamchar_ref.prompt import BUCKETS, PromptConfig, PromptEncoder, hashed_words
from tests.streamchar_ref.tiny import awake

TEXTS = ("a man with a beard", "an old woman in a red hat who smiles", "")


def encoder() -> PromptEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = PromptConfig(width=32, num_layers=1, num_heads=2, feed_forward=64, num_tokens=4)
        return awake(PromptEncoder(config)).eval()


def test_words_are_numbers_that_are_the_same_everywhere() -> None:
    a, number = 2 + 0xE8B7BE43 % 2046, 2 + 0xCBF43926 % 2046  # CRC-32 of "a" and "123456789"
    assert hashed_words(["A, a!", "123456789"]).tolist() == [[1, a, a], [1, number, 0]]
    assert int(hashed_words(TEXTS).max()) < BUCKETS


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
