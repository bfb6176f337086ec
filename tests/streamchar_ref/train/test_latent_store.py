"""Windows gathered together are those that are cut out one by one, and those of a stream."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from streamchar_ref.model.config import Config
from streamchar_ref.networks.text import PhonemeText
from streamchar_ref.streaming.context import dit_context, orchestrator_inputs
from streamchar_ref.streaming.state import initial_state
from streamchar_ref.train.augmentation import AugmentationDraws, ContextAugmentation
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.latent_store import WindowChoice
from streamchar_ref.train.windows import TrainingWindow, WindowPool
from tests.streamchar_ref.tiny import tiny_config, tiny_model
from tests.streamchar_ref.train.latent_clips import SILENCE, clip, store_of


def clips_of(config: Config) -> list[LatentClip]:
    return [clip(config, seed=number, num_latents=12 + number) for number in range(3)]


def choice_of(
    clip: list[int], start: list[int], sink: list[int], reference: list[int]
) -> WindowChoice:
    arrays = (np.array(numbers) for numbers in (clip, start, sink, reference))
    return WindowChoice(**dict(zip(("clip", "start", "sink", "reference"), arrays, strict=True)))


CHOICE = choice_of([2, 0, 1, 1, 0], [0, 8, 3, 9, 5], [0, 4, 0, 2, 1], [1, 1, 0, 1, 1])
OFFSET, AHEAD = [0, 3, -3, 1, -20], [0, 2, 5, 0, 1]
CUT = [False, True, True, False, True]
DRAWS = AugmentationDraws(
    has_prompt=torch.tensor([True, False, True, True, True]),
    has_reference=torch.tensor([False, True, True, True, True]),
    has_sink=torch.tensor([True, True, False, True, True]),
    has_motion=torch.tensor([True, True, True, True, False]),
    has_history=torch.tensor([True, True, False, True, True]),
    pointer_offset=torch.tensor(OFFSET),
    is_cut=torch.tensor(CUT),
    text_ahead=torch.tensor(AHEAD),
    motion_sigma=torch.tensor([0.0, 0.25, 0.0, 0.5, 0.0]),
    history_sigma=torch.zeros(5),
)


def half(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


@pytest.fixture(scope="module")
def gathered() -> TrainingWindow:
    config = tiny_config()
    pool = WindowPool(store_of(config, clips_of(config)), config, ContextAugmentation())
    return pool.assemble(CHOICE, DRAWS, normal=lambda shape: torch.ones(shape))


@pytest.mark.parametrize("row", range(5))
def test_a_chunk_and_its_labels_are_those_of_its_clip(gathered: TrainingWindow, row: int) -> None:
    start, known = int(CHOICE.start[row]), clips_of(tiny_config())[int(CHOICE.clip[row])]
    video, audio = slice(start, start + 4), slice(4 * start, 4 * start + 16)
    assert torch.equal(gathered.video[row], half(known.video[video]))
    assert torch.equal(gathered.mouth[row], half(known.mouth[video]))
    assert torch.equal(gathered.audio[row], half(known.audio[audio]))
    assert torch.equal(gathered.gap[row], torch.from_numpy(known.gap[audio]))
    assert gathered.phones[row].tolist() == known.phone[audio].tolist()
    is_over = known.position[audio] >= len(known.tokens)
    assert gathered.is_over[row].bool().tolist() == is_over.tolist()
    assert int(gathered.identity[row]) == known.identity


@pytest.mark.parametrize("row", range(5))
def test_the_transcript_window_is_cut_as_for_a_stream(gathered: TrainingWindow, row: int) -> None:
    sizes, begin = tiny_config().orchestrator, 4 * int(CHOICE.start[row])
    known = clips_of(tiny_config())[int(CHOICE.clip[row])]
    said = float(known.position[begin - 1]) if begin else 0.0
    place = min(max(int(said) + OFFSET[row], 0), len(known.tokens))
    needed = int(np.ceil(known.position[begin + 15]))
    arrived = min(len(known.tokens), needed + AHEAD[row]) if CUT[row] else len(known.tokens)
    text = PhonemeText(
        tokens=known.tokens[:arrived].astype(np.int64), words=(), word_starts=np.zeros(0, np.int64)
    )
    window = text.window(
        place,
        behind=sizes.text_behind,
        ahead=sizes.text_ahead,
        is_final=arrived == len(known.tokens),
    )
    assert gathered.inputs.window[row].tolist() == window.tolist()
    assert float(gathered.inputs.fraction[row]) == said - int(said)
    from_pointer = known.position[begin : begin + 16] - (place + said - int(said))
    assert gathered.position[row].tolist() == from_pointer.clip(min=0).tolist()
    for number, index in enumerate(range(place - sizes.text_behind, place + sizes.text_ahead)):
        is_known = 0 <= index < arrived
        start = known.start[index] - begin if is_known else np.inf
        assert float(gathered.times.start[row, number]) == start


@pytest.mark.parametrize("row", range(1, 5))
def test_the_past_is_that_of_the_clip(gathered: TrainingWindow, row: int) -> None:
    start, begin = int(CHOICE.start[row]), 4 * int(CHOICE.start[row])
    sink, known = int(CHOICE.sink[row]), clips_of(tiny_config())[int(CHOICE.clip[row])]
    sigma = float(DRAWS.motion_sigma[row])
    context, inputs = gathered.context, gathered.inputs
    assert torch.equal(context.reference[row, 0], half(known.reference[CHOICE.reference[row]]))
    assert torch.equal(context.sink[row], half(known.video[sink : sink + 1]))
    motion = half(known.video[start - 1 : start]) * (1 - sigma) + sigma
    assert torch.equal(context.motion_video[row], motion)
    sound = half(known.audio[begin - 4 : begin]) * (1 - sigma) + sigma
    assert torch.equal(context.motion_audio[row], sound)
    heard = min(begin, 16) if DRAWS.has_history[row] else 0
    assert int(inputs.num_history[row]) == heard
    past = half(known.audio[begin - heard : begin])
    assert torch.equal(inputs.history[row, 16 - heard :], past)
    assert torch.equal(context.motion_sigma[row], torch.tensor(sigma))


def test_a_window_is_the_state_of_a_stream_whose_chunks_are_the_clip() -> None:
    model = tiny_model("orchestrator.history_latents=40")
    config, known = model.config, clip(model.config, num_latents=12)
    store = store_of(config, [known])
    opening = store.states(config, store.locate(config, choice_of([0], [0], [0], [0])))
    state = initial_state(model, opening.conditioning, [0])
    state.history.fill_(SILENCE)
    for before, start in pairwise((0, 4, 8)):
        video, audio = slice(before, start), slice(4 * before, 4 * start)
        said = float(known.position[4 * start - 1] - state.position)
        state = state.append(
            half(known.video[video])[None], half(known.audio[audio])[None], torch.tensor([said])
        )
        places = store.locate(config, choice_of([0], [start], [0], [0]))
        window, text = store.states(config, places), store.transcripts(places)
        for name in ("num_chunks", "sink", "motion_video", "history", "num_history", "position"):
            assert torch.equal(getattr(window, name), getattr(state, name)), name
        assert torch.equal(
            orchestrator_inputs(config, window, text).window,
            orchestrator_inputs(config, state, text).window,
        )
        assert torch.equal(
            dit_context(config, window).motion_audio, dit_context(config, state).motion_audio
        )


def test_only_the_opening_has_no_chunk_before_it() -> None:
    config = tiny_config()
    store = store_of(config, clips_of(config))
    state = store.states(config, store.locate(config, CHOICE))
    assert not state.has_ended.any()
    assert state.num_chunks.tolist() == [0, 2, 1, 3, 2]


def test_a_clip_whose_sound_ends_before_its_picture_is_refused() -> None:
    config = tiny_config()
    longer, shorter = clip(config, num_latents=12), clip(config, num_latents=11)
    store = store_of(config, [clip(config, num_latents=12), _with_sound_of(longer, shorter)])
    with pytest.raises(ValueError, match="sound of a clip ends"):
        WindowPool(store, config, ContextAugmentation())


def _with_sound_of(pictures: LatentClip, sound: LatentClip) -> LatentClip:
    names = ("video", "mouth", "reference")
    return LatentClip(**vars(sound) | {name: getattr(pictures, name) for name in names})
