"""Parts of the report page that are made from scores: gaps, failures, samples, pairs, protocols."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evals.scoring.compare import Comparison, families_in_words
from evals.scoring.results import SET_ID, ScoreRow
from reports.axes import in_order, label_of, scale_of, unit_of
from reports.html import Html, el, join
from reports.html_table import anchor, scroll
from reports.numbers import NOT_APPLICABLE, rounded
from reports.one_hash import main_hashes
from reports.pairs import compared_label, difference_text, in_print_order, p_text, pair_counts

MAX_SAMPLES = 200
MAX_NAMED = 6
_WORDS = {
    "generation_failure": "generation failed",
    "evaluator_failure": "evaluation failed",
    "unavailable": "unavailable",
    "not_applicable": "not applicable",
}


def unavailable(rows: Sequence[ScoreRow]) -> Html | None:
    """Lists metrics that no recording here can have, and why or how to get them."""
    by_metric: dict[tuple[str, str], list[ScoreRow]] = defaultdict(list)
    for row in rows:
        by_metric[row.metric, row.protocol].append(row)
    groups: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for metric, own in by_metric.items():
        reasons = [row.reason for row in own if row.status == "unavailable"]
        if {row.status for row in own} <= {"unavailable", "not_applicable"}:
            reasons.append(Counter(row.reason for row in own).most_common(1)[0][0])
        for reason in reasons:
            groups[reason].add(metric)
    if not groups:
        return None
    body = [
        el(
            "tr",
            el(
                "td",
                ", ".join(label_of(m) for m in in_order(name for name, _ in metrics)),
                class_="wrap",
            ),
            el(
                "td",
                ", ".join(sorted(protocol for _, protocol in metrics)),
                class_="left wrap mono",
            ),
            el("td", reason, class_="left wrap"),
        )
        for reason, metrics in sorted(groups.items())
    ]
    return join(
        el(
            "p",
            "These metrics were asked for, but no recording here can have them, or something "
            "they need is not on the machine that scored. Nothing stands in for them. ",
            el("code", "streamchar doctor"),
            " says what is missing and how to get it; then score the run again: what is there "
            "already is not recomputed.",
        ),
        scroll(_table(("metric", "protocol", "why, and how to get it"), body)),
    )


def failures(rows: Sequence[ScoreRow]) -> Html:
    """Groups failed rows by system, kind and reason."""
    groups: dict[tuple[str, str, str], list[ScoreRow]] = defaultdict(list)
    for row in rows:
        if row.status in {"generation_failure", "evaluator_failure"}:
            groups[row.system, _WORDS[row.status], row.reason].append(row)
    if not groups:
        return el("p", "Nothing failed.")
    body = [
        el(
            "tr",
            el("td", system),
            el("td", el("span", kind, class_="badge failed"), class_="left"),
            el("td", _named(sorted({row.sample_id for row in group})), class_="left wrap"),
            el("td", _named(in_order(row.metric for row in group)), class_="left wrap"),
            el("td", reason, class_="left wrap"),
        )
        for (system, kind, reason), group in sorted(groups.items())
    ]
    return scroll(_table(("system", "what", "samples", "metrics", "reason"), body))


def samples(rows: Sequence[ScoreRow]) -> Html:
    """Shows each sample's values; what has none says why under the pointer.

    Values of different protocol hashes have columns of their own.
    """
    shown = [row for row in rows if row.sample_id != SET_ID]
    main = main_hashes(shown)
    measurable = {
        (row.metric, _named_hash(row, main)) for row in shown if row.status != "unavailable"
    }
    columns = [
        (metric, protocol)
        for metric in in_order(metric for metric, _ in measurable)
        for protocol in sorted(p for m, p in measurable if m == metric)
    ]
    table: dict[tuple[str, str, str, int], dict[tuple[str, str], ScoreRow]] = defaultdict(dict)
    for row in shown:
        place = (row.suite, row.sample_id, row.system, row.seed)
        table[place][row.metric, _named_hash(row, main)] = row
    body = [
        _sample_row(*place, cells, columns) for place, cells in sorted(table.items())[:MAX_SAMPLES]
    ]
    heads = [_column_name(*column, columns) for column in columns]
    rest = len(table) - len(body)
    return join(
        scroll(_table(("sample", "system", "unscored", *heads), body)),
        el("p", f"{rest} more samples are in scores.jsonl.", class_="note") if rest > 0 else None,
    )


def pairs(comparisons: Sequence[Comparison]) -> Html | None:
    """Lists paired differences, decided ones first."""
    if not comparisons:
        return None
    heads = ("metric", "system", "against", "difference", "95 % interval", "p (Holm)", "pairs")
    return join(
        el(
            "p",
            "Differences on the samples that both systems have, drawn together by identity. "
            "Interval: paired bootstrap-t. p: sign-flip test, adjusted by Holm over all lines "
            f"here{families_in_words(comparisons)}; "
            "with few samples it cannot be small. Inconclusive: no difference is shown, "
            "which is not to say that there is none. Between bars: of absolute values, where zero "
            "is best.",
        ),
        scroll(_table((*heads, "verdict"), [_pair_row(c) for c in in_print_order(comparisons)])),
    )


def glossary(rows: Iterable[ScoreRow], protocols: Mapping[str, Any]) -> Html:
    """Lists each protocol with its hash; its parameters unfold."""
    used = sorted({(row.metric, row.protocol, row.protocol_hash) for row in rows})
    places = {metric: place for place, metric in enumerate(in_order(metric for metric, *_ in used))}
    entries = [
        el(
            "details",
            el(
                "summary",
                f"{label_of(metric)} ",
                el("span", f"{protocol} #{protocol_hash}", class_="mono"),
                _definition(protocols.get(protocol_hash)),
            ),
            _parameters(protocols.get(protocol_hash)),
            class_="protocol",
            id=anchor(protocol, protocol_hash),
        )
        for metric, protocol, protocol_hash in sorted(used, key=lambda use: (places[use[0]], use))
    ]
    return join(*entries)


def as_json(value: Any) -> str:
    """Returns JSON for reading."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def _definition(parameters: Any) -> Html | None:
    """The sentence that some metrics keep among their parameters."""
    own = parameters.get("params", {}) if isinstance(parameters, Mapping) else {}
    text = own.get("definition", "") if isinstance(own, Mapping) else ""
    return el("span", f" {text}", class_="note") if isinstance(text, str) and text else None


def _parameters(parameters: Any) -> Html:
    if parameters is None:
        return el("p", "Its parameters are not in run.json.", class_="note")
    return el("pre", as_json(parameters))


def _table(heads: Sequence[str], body: Sequence[Html]) -> Html:
    left = {"system", "against", "what", "samples", "metrics", "reason", "protocol", "verdict"}
    cells = [
        el("th", head, class_="left" if head in left or head.startswith(("what", "why")) else None)
        for head in heads
    ]
    return el("table", el("thead", el("tr", *cells)), el("tbody", *body))


def _named(names: Sequence[str]) -> str:
    """Names a few, counts the rest."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _column_name(metric: str, protocol: str, columns: Sequence[tuple[str, str]]) -> str:
    unit = unit_of(metric, "1")
    name = f"{label_of(metric)} {unit}".strip()
    is_shared = sum(other == metric for other, _ in columns) > 1
    return f"{name} ({protocol})" if is_shared else name


def _named_hash(row: ScoreRow, main: Mapping[str, str]) -> str:
    """The protocol, with the hash where its values have several."""
    if row.protocol not in main:
        return row.protocol
    digest = main[row.protocol] if row.value is None else row.protocol_hash
    return f"{row.protocol} #{digest}"


def _sample_row(
    suite: str,
    sample_id: str,
    system: str,
    seed: int,
    cells: Mapping[tuple[str, str], ScoreRow],
    columns: Sequence[tuple[str, str]],
) -> Html:
    failed = sum("failure" in row.status for row in cells.values())
    missing = sum(row.status == "unavailable" for row in cells.values())
    unscored = [
        el("span", f"{failed} failed", class_="badge failed") if failed else None,
        el("span", f"{missing} n/s", class_="badge missing") if missing else None,
    ]
    return el(
        "tr",
        el("td", sample_id, el("span", f" {suite}, seed {seed}", class_="unit")),
        el("td", system, class_="left"),
        el("td", *unscored),
        *(_sample_cell(cells.get(column)) for column in columns),
    )


def _sample_cell(row: ScoreRow | None) -> Html:
    if row is None:
        return el("td", el("span", "n/s", class_="na", title="never scored"))
    if row.value is not None:
        return el("td", rounded(row.value * scale_of(row.metric)))
    text = {"not_applicable": NOT_APPLICABLE, "unavailable": "n/s"}.get(row.status, "failed")
    kind = "badge failed" if text == "failed" else "na"
    return el("td", el("span", text, class_=kind, title=f"{_WORDS[row.status]}: {row.reason}"))


def _pair_row(one: Comparison) -> Html:
    kind = {"better": "good", "worse": "failed"}.get(one.verdict, "missing")
    unit = unit_of(one.metric, one.unit)
    delta, interval = difference_text(one)
    return el(
        "tr",
        el(
            "td",
            compared_label(one) + one.mark,
            el("span", f" {unit}", class_="unit"),
            el("br"),
            el("span", one.protocol, class_="mono"),
        ),
        el("td", one.system, class_="left"),
        el("td", one.against, class_="left"),
        el("td", delta),
        el("td", interval),
        el("td", p_text(one.p_holm)),
        el("td", pair_counts(one)),
        el("td", el("span", one.verdict, class_=f"badge {kind}", title=one.reason), class_="left"),
    )
