"""Every metric and extractor keeps its contract."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from evals.extractors import EXTRACTORS
from evals.features.missing import Missing
from evals.features.store import REFERENCE_EXTRACTORS
from evals.features.view import FeatureView
from evals.metrics import EVERY_METRIC, INFOS, METRICS
from evals.protocols.base import Metric, MetricContext, protocol_hash
from evals.protocols.info import Direction
from evals.protocols.set_metric import SetMetric
from evals.recording.recording import Recording
from evals.scoring.choice import choose_metrics, take_shard
from streamchar_ref.core.errors import InputError
from streamchar_ref.weights import registry

VIRTUAL = {"reference_identity", "reference_identity_world"}


@pytest.mark.parametrize("metric", EVERY_METRIC, ids=lambda m: m.protocol)
def test_every_metric_says_what_it_is(metric: Metric | SetMetric) -> None:
    assert metric.name == metric.name.lower()
    assert metric.unit
    assert metric.higher_is_better in {True, False, None}
    assert metric.domain in {"any", "real", "world"}
    name, _, version = metric.protocol.partition("@")
    assert name.startswith(f"{metric.name}/")
    assert version.isdigit()
    assert len(protocol_hash(metric.params)) == 12
    assert set(metric.needs) <= set(EXTRACTORS) | VIRTUAL


ZERO_IS_BEST = {
    "mesh_offset_ms", "av_offset_frames", "av_offset_world", "exposure_drift", "sharpness_drift",
    "mesh_drift_ms_per_min", "sync_drift_ms_per_min", "sync_drift_world_ms_per_min",
}  # fmt: skip


def test_signed_offsets_and_changes_are_best_at_zero() -> None:
    assert {name for name, info in INFOS.items() if info.zero_is_best} == ZERO_IS_BEST
    assert {n for n, info in INFOS.items() if info.direction is Direction.NONE} == {
        "dynamic_degree", "motion_diversity", "motion_diversity_ratio", "voice_diversity",
        "voice_diversity_ratio",
    }  # fmt: skip
    assert all(info.higher_is_better is None for info in INFOS.values() if info.zero_is_best)
    assert Direction.ZERO.cost(-207.0) > Direction.ZERO.cost(-10.0)


def test_what_a_metric_can_be_has_bounds() -> None:
    assert all(info.bounds[0] < info.bounds[1] for info in INFOS.values())
    assert {INFOS[name].bounds[0] for name in ("wer", "rtf", "id_distance", "fvd")} == {0.0}


def test_no_two_metrics_share_a_protocol_id() -> None:
    ids = [metric.protocol for metric in EVERY_METRIC]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.protocol)
def test_missing_features_become_the_reason_of_the_row(metric: Metric) -> None:
    if not metric.needs:
        pytest.skip("reads the arrival trace only")
    missing = Missing(reason="no face in any frame", status="not_applicable")
    view = FeatureView(dict.fromkeys(metric.needs, missing))
    subject = Recording(
        sample_id="a", system="s", suite="u", transcript="two words", video_path=Path("none")
    )
    two = {"a": np.zeros(128), "b": np.ones(128)}
    context = MetricContext(references=dict.fromkeys(REFERENCE_EXTRACTORS, two))
    found = metric.score(subject, view, context)
    assert np.isnan(found.value)
    assert found.reason
    assert found.weight == 0


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_protocol_is_json_and_names_known_weights(name: str) -> None:
    spec = EXTRACTORS[name]
    assert json.loads(json.dumps(spec.protocol())) == spec.protocol()
    assert set(spec.weights) <= set(registry())
    assert set(spec.after) <= set(EXTRACTORS)


def test_metrics_are_chosen_by_name_and_protocol() -> None:
    chosen, sets = choose_metrics(["rtf", "first_chunk_s"], "default")
    assert [m.name for m in chosen] == ["rtf", "first_chunk_s"]
    assert sets == []
    named = choose_metrics(["per_world", "rtf"], "default")[0]
    assert {metric.name for metric in named} == {"per_world", "rtf"}  # by name, though no default
    assert "per_world" not in {metric.name for metric in choose_metrics([], "default")[0]}
    assert len(choose_metrics([], "all")[0]) == len(METRICS)
    with pytest.raises(InputError, match="did you mean 'rtf'"):
        choose_metrics(["rtff"], "default")
    for name in ("wer/whisper-base@2", "wer/whisper-base"):
        with pytest.raises(
            InputError, match="is a protocol, not a metric: ask for the metric 'wer'"
        ):
            choose_metrics([name], "default")
    with pytest.raises(InputError, match="unknown protocol"):
        choose_metrics([], "wer/nonesuch@9")


def test_a_protocol_of_another_metric_is_refused() -> None:
    with pytest.raises(InputError, match="none of wer has the protocol 'cer/whisper-base@2'"):
        choose_metrics(["wer"], "cer/whisper-base@2")


def test_shards_are_disjoint_and_whole() -> None:
    items = list(range(11))
    parts = [take_shard(items, f"{i}/3") for i in (1, 2, 3)]
    assert sorted(chain.from_iterable(parts)) == items
    for wrong in ("0/3", "4/3", "x", "1/0", "1"):
        with pytest.raises(InputError, match="--shard"):
            take_shard(items, wrong)
