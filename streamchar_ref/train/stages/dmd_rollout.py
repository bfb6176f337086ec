"""Stage II of distillation: distribution matching on the student's own rollouts."""

from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.parallel import DistContext
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.causal import without_cache
from streamchar_ref.streaming.rollout import chunk_context, chunk_noise
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.distill.dmd import ChunkTask, DmdStage
from streamchar_ref.train.distill.stream_pool import StreamPool
from streamchar_ref.train.stages.distillation import distill_data, show_student
from streamchar_ref.train.stages.dmd_chunk import dmd_groups, dmd_spec
from streamchar_ref.train.stages.spec import StageSpec, budgets


class DmdRolloutStage(DmdStage):
    """Distribution matching where the past of a chunk is the student's own.

    In each step every stream of a pool goes on by a chunk; the newest chunk carries gradient in
    its exit step, its past none.

    Args:
        teacher: See `DmdStage`.
        config: See `DmdStage`.
        pool: The streams.
        **more: See `DmdStage`.

    Source:
        Streams that persist between updates: Yang et al., LongLive, arXiv:2509.22622.
    """

    name = "dmd_rollout"

    def __init__(
        self, teacher: StreamChar, config: DistillConfig, *, pool: StreamPool, **more: Any
    ) -> None:
        super().__init__(teacher, config, **more)
        self.pool = pool

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of student or fake score, and how long the rollouts are."""
        loss, parts = super().forward(draw)
        past = self.pool.get_buffer("num_chunks").float()
        return loss, parts | {"past_chunks": past.mean(), "past_chunks_max": past.max()}

    def chunk_task(self, draw: Draw) -> ChunkTask:
        """Returns the next chunk of every stream, by the functions that streams use.

        A student that keeps keys and values computes them anew here, from the latents that the
        kept ones are of: so the loss reaches what encodes the past, as it does in a student that
        keeps none, and no key is of the weights of an earlier update.

        Args:
            draw: Of the update; its batch is the number of streams.

        Returns:
            The chunks.

        Raises:
            InputError: If the batch is not the number of streams.
        """
        if draw.batch != self.config.num_streams:
            raise InputError(
                f"{self.name} rolls out {self.config.num_streams} streams: give --batch "
                f"{self.config.num_streams}, or --set distill.num_streams={draw.batch}"
            )
        model = self.student_model
        self.pool.advance(model, draw.step)
        rollouts = self.pool.rollouts()
        noise = rollouts.state.noise.open()
        inputs, context = chunk_context(
            model, rollouts.state, rollouts.text, self.pool.options, noise
        )
        return ChunkTask(
            inputs=inputs,
            context=without_cache(context),
            noise=partial(chunk_noise, model, noise),
        )


def _make(config: DistillConfig, model: StreamChar, data: TrainingData) -> Stage:
    windows, regression = distill_data(config, model, data)
    seed = data.seed * 1_009 + DistContext.of_this_process().rank
    return DmdRolloutStage(
        model,
        config,
        pool=StreamPool(model, windows.store, config, seed=seed),
        regression=regression,
        show=partial(show_student, model, data),
    )


def spec(config: DistillConfig) -> StageSpec:
    """Returns the stage under these settings; its batch is the number of streams."""
    of_presets = budgets(
        OptimConfig(groups=dmd_groups(config), log_every=10, save_every_s=60),
        micro_minutes=15,
        base_minutes=4,
        base_batch=0,
    )
    own = {
        name: replace(each, optim=replace(each.optim, batch=config.num_streams))
        for name, each in of_presets.items()
    }
    return dmd_spec(DmdRolloutStage.name, partial(_make, config), config, own)
