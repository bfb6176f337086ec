"""`streamchar explain`: what a number is, as a paragraph, and how to make it again."""

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands.explain import app, explained
from evals.commands.ls import app as ls_app
from evals.extractors.find_asr import OwnRecogniser
from evals.metrics import EVERY_METRIC
from evals.metrics.own_recogniser import own_metrics
from evals.protocols.base import protocol_hash
from evals.scoring.explain_run import explain_number
from evals.scoring.score import Options, params_of
from evals.scoring.settings import differences
from reports.load import load_runs
from streamchar_ref.core.errors import InputError
from streamchar_ref.weights import registry
from tests.evals.protocols.runs import settings_of, write_scored

WER = "wer/whisper-base@2"


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_protocol_can_be_explained_with_its_hash_and_command() -> None:
    for metric in EVERY_METRIC:
        (told,) = explained(metric.protocol)
        assert told.protocol_hash == protocol_hash(settings_of(metric.protocol))
        assert f"--metrics {metric.name} --protocol {metric.protocol} " in told.command
        assert told.recipe
        assert told.definition


def test_a_protocol_is_told_with_recipe_weights_and_citations() -> None:
    text = said("wer/whisper-base")
    assert "Word error rate was measured with Whisper base (faster-whisper" in text
    sha256 = registry()["whisper-base"].files[0].sha256
    assert f"model.bin.part1 sha256 {sha256}" in text
    assert f"#{protocol_hash(settings_of(WER))}" in text
    assert said(WER, "--bibtex").startswith("@inproceedings{radford2023robust,")


def test_a_metric_is_told_by_its_default_protocol_and_names_the_others() -> None:
    text = said("Sync-C")
    assert text.startswith("sync_c/mesh-crop@1")
    assert "sync_c/wav2lip-no-crop@1" in text
    told = json.loads(said("fvd", "--json"))
    assert {one["protocol"] for one in told} >= {"fvd/stylegan-v@1", "fvd/common-metrics@1"}


def test_native_has_a_hash_and_a_command_of_its_own() -> None:
    (told,) = explained(f"{WER}+native")
    assert told.protocol_hash != explained(WER)[0].protocol_hash
    assert "--native" in told.command
    (played,) = explained(f"{WER}+as-played")
    assert played.protocol_hash not in {told.protocol_hash, explained(WER)[0].protocol_hash}
    assert played.command.split(" --out")[0].endswith(f"--protocol {WER} --as-played")


@pytest.mark.parametrize(
    ("subject", "near"),
    [("werr", "'wer'"), ("wer/whisper-bass@2", f"'{WER}'"), ("mesh_snc", "mesh")],
)
def test_unknown_names_are_told_the_nearest(subject: str, near: str) -> None:
    with pytest.raises(InputError, match=f"did you mean .*{near}"):
        explained(subject)


def test_a_number_of_a_run_is_told_with_values_counts_and_provenance(tmp_path: Path) -> None:
    write_scored(tmp_path, WER, [0.1, 0.2, 0.3, None])
    text = said(f"{tmp_path}:word-error-rate")
    assert "mine on toys (real): 0.2, n = 3, coverage 75%" in text
    assert "1 x no words" in text
    assert "commit abc123; a machine" in text
    assert "fewer than 5 values of mine" in text
    assert f"streamchar score {tmp_path} --metrics wer --protocol {WER}" in text.replace("\n ", "")
    assert json.loads(said(f"{tmp_path}:wer", "--json"))[0]["summaries"][0]["n"] == 3
    with pytest.raises(InputError, match="no scores of 'cer'"):
        explain_number(tmp_path, "cer")


def test_settings_that_differ_from_the_installed_ones_are_named(tmp_path: Path) -> None:
    stored = json.loads(json.dumps(settings_of(WER)))
    stored["params"]["window_s"] = 30.0
    write_scored(tmp_path, WER, [0.1], stored)
    (number,) = explain_number(tmp_path, WER)
    assert number.notes[0].endswith("params.window_s: 30.0, here 15.0")
    assert number.explanation is not None
    assert number.explanation.settings["window_s"] == 30.0


def test_a_number_as_played_or_of_one_language_has_no_other_settings(tmp_path: Path) -> None:
    (metric,) = (metric for metric in EVERY_METRIC if metric.protocol == WER)
    stored = json.loads(json.dumps(params_of(metric, Options(as_played=True))))
    write_scored(tmp_path, f"{WER}+as-played", [0.1], stored | {"language": "de"})
    (number,) = explain_number(tmp_path, "wer")
    assert not any("other settings" in note or "not installed" in note for note in number.notes)
    assert load_runs(tmp_path).under({WER}).rows[0].protocol == f"{WER}+as-played"


def test_a_protocol_that_is_installed_no_more_is_told_without_a_card(tmp_path: Path) -> None:
    stored = json.loads(json.dumps(settings_of(WER))) | {"protocol": "wer/whisper-base@1"}
    write_scored(tmp_path, "wer/whisper-base@1", [0.1], stored)
    text = said(f"{tmp_path}:wer")
    assert "wer/whisper-base@1 is not installed here" in text
    assert "no card" in text


def test_a_number_by_a_recogniser_of_ones_own_is_told_with_its_weights(tmp_path: Path) -> None:
    named = OwnRecogniser(name="large", package="transformers", path=Path("x"), sha256="0")
    metric = next(one for one in own_metrics(named) if one.name == "wer")
    stored = json.loads(json.dumps(params_of(metric, Options())))
    stored["extractors"][0]["own_weights"] = "ab" * 32
    write_scored(tmp_path, metric.protocol, [0.1], stored | {"language": "pt"})
    text = said(f"{tmp_path}:wer")
    assert "Error rates (wer) were measured with a recogniser of our own choice" in text
    assert "ab" * 32 in text
    assert "not installed" not in text
    assert "no card" not in text
    command = f"--metrics wer --protocol {metric.protocol} --asr WEIGHTS"
    assert command in text.replace("\n ", "")


def test_differences_are_named_by_their_place() -> None:
    assert differences({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}) == ["a.b[1]: 2, here 3"]
    assert differences({"a": 1}, {"a": 1}) == []


def test_metrics_and_protocols_are_listed_with_axis_domain_and_definition() -> None:
    for kind in ("metrics", "protocols"):
        rows = json.loads(CliRunner().invoke(ls_app, [kind, "--json"]).stdout)
        assert all(row["axis"] and row["domain"] and row["definition"] for row in rows)
    metrics = json.loads(CliRunner().invoke(ls_app, ["metrics", "--json"]).stdout)
    definitions = Counter(row["definition"] for row in metrics)
    assert max(definitions.values()) == 1, definitions.most_common(3)
    profiles = json.loads(CliRunner().invoke(ls_app, ["profiles", "--json"]).stdout)
    assert {row["name"] for row in profiles} >= {"default", "published", "seed-tts", "wav2lip"}
