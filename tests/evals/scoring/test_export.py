"""Scores for a model card, a leaderboard and a tracker."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from evals.scoring.evaluate import Results
from evals.scoring.export import leaderboard, model_card, track_summary
from evals.scoring.summary import SummaryRow
from streamchar_ref.core.errors import InputError
from tests.evals.scoring.test_results import row
from tests.streamchar_ref.loop.test_trackers import Fake


def results() -> Results:
    rows = [row(sample_id=name, value=value) for name, value in (("a", 0.25), ("b", 0.75))]
    unscored = row(
        metric="fvd", protocol="fvd/i3d@1", status="unavailable", reason="no weights",
        value=None, weight=0.0,
    )  # fmt: skip
    return Results(rows=[*rows, unscored], windows=[], identities={})


def measured() -> SummaryRow:
    return next(one for one in results().summary if one.value is not None)


def test_the_hub_reads_the_evaluation_block() -> None:
    card = ModelCard(results().to_model_card(measured().system, model='mine: "1"') + "# Mine\n")
    (found,) = card.data.eval_results
    assert card.data.model_name == 'mine: "1"'
    assert (found.metric_type, found.metric_value) == (measured().metric, 0.5)
    assert found.dataset_type == measured().suite
    assert found.metric_name == measured().protocol
    assert found.metric_args["protocol_hash"] == measured().protocol_hash
    assert found.metric_args["n"] == 2
    assert "fvd" not in str(card.data)


def test_a_card_of_a_system_without_scores_is_refused() -> None:
    with pytest.raises(InputError, match="no scores of system 'nobody'"):
        model_card(results().summary, "nobody")


def test_a_leaderboard_holds_unscored_rows_with_null() -> None:
    content = json.loads(leaderboard(results().summary))
    by_metric = {line["metric"]: line for line in content["rows"]}
    assert by_metric["fvd"]["value"] is None
    assert by_metric["fvd"]["counts"]["unavailable"] == 1
    assert by_metric[measured().metric]["value"] == 0.5
    assert yaml.safe_load(leaderboard(results().summary)) == content


def test_results_are_tracked_by_system_suite_and_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake()
    monkeypatch.setitem(sys.modules, "trackio", fake)
    results().track("trackio", tmp_path, run_name="night", step=7)
    name = f"{measured().system}/{measured().suite}/{measured().protocol}"
    assert fake.calls[0][1]["name"] == "night"
    assert fake.calls[1] == ("log", 7, {name: 0.5})


def test_values_of_several_hashes_and_domains_are_tracked_apart() -> None:
    one = measured()
    other = replace(one, protocol_hash="f" * 12, value=0.75)
    world = replace(one, domain="world", value=0.25)
    cer = replace(one, protocol="cer/x@1", value=0.125)
    logged: dict[str, float] = {}

    def log(values: Mapping[str, float], step: int) -> None:
        logged.update(values)

    name = f"{one.system}/{one.suite}"
    track_summary([one, other, cer], log)
    assert logged == {
        f"{name}/{one.protocol}#{one.protocol_hash}": 0.5,
        f"{name}/{one.protocol}#{'f' * 12}": 0.75,
        f"{name}/cer/x@1": 0.125,
    }
    logged.clear()
    track_summary([one, world], log)
    assert logged == {f"{name}/{one.protocol}#real": 0.5, f"{name}/{one.protocol}#world": 0.25}
