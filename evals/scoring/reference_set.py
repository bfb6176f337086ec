"""The reference set of Frechet and kernel distances: recordings of the run, or saved features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.features.canonical import recording_hash
from evals.features.missing import Missing
from evals.features.saved import SavedFeatures, load_features, own_protocol
from evals.features.view import FeatureView
from evals.protocols.base import protocol_hash
from evals.protocols.set_metric import SetMetric
from evals.recording.recording import Recording
from evals.scoring.settings import differences
from streamchar_ref.core.errors import InputError

MOST_DIFFERENCES = 3


@dataclass(frozen=True, kw_only=True)
class ReferenceSet:
    """What a set is compared with.

    Attributes:
        features: Of its clips.
        name: System and content, part of the protocol hash; ``None`` without a reference.
        fault: Why it is not known any more; empty if it is.
    """

    features: Sequence[FeatureView]
    name: dict[str, Any] | None
    fault: str = ""


def recorded_reference(
    recordings: Sequence[Recording],
    features: Sequence[FeatureView],
    members: Sequence[int],
    *,
    native: bool,
) -> ReferenceSet:
    """Takes the reference set from recordings.

    Args:
        recordings: Of the run.
        features: Of each.
        members: Places of the reference's.
        native: Whether files are taken as they are.

    Returns:
        The set without recordings of which the system failed.
    """
    usable = [at for at in members if not recordings[at].system_failed]
    name, fault = named_reference(recordings, usable, native=native, is_ordered=True)
    return ReferenceSet(features=[features[at] for at in usable], name=name, fault=fault)


def named_reference(
    recordings: Sequence[Recording],
    reference: Sequence[int],
    *,
    native: bool,
    is_ordered: bool = False,
) -> tuple[dict[str, Any] | None, str]:
    """Names the reference, so that values relative to another one have another protocol hash.

    Args:
        recordings: Of the run.
        reference: Places of the reference's.
        native: Whether files are taken as they are.
        is_ordered: Whether values hang on the order of the clips too, as those of drawn features.

    Returns:
        The name, ``None`` without a reference; and a fault: the reference is not known any more,
        so neither is the protocol.
    """
    if not reference:
        return None, ""
    try:
        digests = [recording_hash(recordings[i], native=native) for i in reference]
    except OSError as error:
        return None, f"the reference set: {error}"
    of = digests if is_ordered else sorted(digests)
    return _named(recordings[reference[0]].system, of), ""


def saved_reference(
    saved: SavedFeatures, metric: SetMetric, recordings: Sequence[Recording]
) -> ReferenceSet:
    """Takes the reference set from a file.

    Args:
        saved: What the file holds.
        metric: Whose features are wanted.
        recordings: Of the set that is compared with it, all of one domain.

    Returns:
        The set, of the same name as if its videos were scored under the same samples' names;
        without a name for a set that has clips of it: those are at no distance from themselves.
    """
    name, domain = name_of_saved(saved), recordings[0].domain
    if saved.domain != domain:
        reason = f"{saved.path.name} is of domain {saved.domain!r}, this is {domain!r}"
        return ReferenceSet(features=_none(metric, reason), name=name)
    try:
        own = {recording_hash(one, native=False) for one in recordings if not one.error}
    except OSError as error:
        return ReferenceSet(features=[], name=name, fault=f"the set that is compared: {error}")
    if shared := sum(clip.content in own for clip in saved.clips):
        reason = f"{shared} of the {len(saved.clips)} clips of {saved.path.name} are in this set"
        return ReferenceSet(features=_none(metric, reason), name=None)
    return ReferenceSet(features=saved.views(metric.needs), name=name)


def several_domains(recordings: Sequence[Recording]) -> str:
    """Says why clips have no distance together; empty if they are of one domain."""
    domains = sorted({recording.domain for recording in recordings})
    together = f"clips of domains {' and '.join(domains)} have no distance together"
    return together if len(domains) > 1 else ""


def _none(metric: SetMetric, reason: str) -> list[FeatureView]:
    """A clip that says why there is nothing to compare with."""
    missing = Missing(reason=reason, status="not_applicable")
    return [FeatureView(dict.fromkeys(metric.needs, missing))]


def name_of_saved(saved: SavedFeatures) -> dict[str, Any]:
    """Names a saved set as the same videos in the same order would be named."""
    return _named(saved.system, [clip.content for clip in saved.clips])


def check_saved(saved: SavedFeatures, metrics: Sequence[SetMetric], *, native: bool) -> None:
    """Refuses saved features of another protocol than is measured now.

    Args:
        saved: What the file holds.
        metrics: That will read it.
        native: Whether files are taken as they are.

    Raises:
        InputError: If the settings of an extractor, its weights, or the input differ; the message
            says in what. Also if it holds features of none of the metrics.
    """
    if native:
        raise InputError(f"{saved.path} holds features of the canonical encode: without --native")
    needed = dict.fromkeys(name for metric in metrics for name in metric.needs)
    if metrics and not any(name in saved.protocols for name in needed):
        raise InputError(
            f"{saved.path} holds features of {', '.join(saved.protocols)}, and none of "
            f"{', '.join(needed)}, which {', '.join(m.protocol for m in metrics)} need"
        )
    for name in needed:
        told, ours = saved.protocols.get(name), own_protocol(name)
        if told is None or told == ours:
            continue
        found = differences(told, ours)
        shown = "; ".join(found[:MOST_DIFFERENCES])
        more = len(found) - MOST_DIFFERENCES
        raise InputError(
            f"{saved.path}: its features of {name} are of another protocol "
            f"(#{protocol_hash(told)}, here #{protocol_hash(ours)}): {shown}"
            f"{f'; {more} more' if more > 0 else ''}; save them anew with: streamchar data features"
        )


def _named(system: str, digests: Sequence[str]) -> dict[str, Any]:
    return {"system": system, "content": protocol_hash({"of": list(digests)})}


def references_entry(
    saved: SavedFeatures | None, earlier: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Entry of ``run.json`` that says which file a reference set is from; none without one."""
    known = dict(earlier.get("saved_references", {}))
    if saved is not None:
        known[name_of_saved(saved)["content"]] = saved.path.name
    return {"saved_references": known} if known else {}


def chosen_reference(named: str, systems: Sequence[str], *, option: str) -> dict[str, Any]:
    """Finds what a user named as the reference.

    Args:
        named: A system, or a file of saved features; may be empty.
        systems: That are scored.
        option: How it was asked for, for the message.

    Returns:
        The arguments ``reference_system`` and ``saved`` of `evals.scoring.score.Options`.

    Raises:
        InputError: If it is neither, or a file that cannot be used.
    """
    if not named or named in systems:
        return {"reference_system": named}
    if Path(named).is_file():
        return {"saved": load_features(Path(named))}
    raise InputError(
        f"{option} {named!r} is none of: {', '.join(systems)}; nor is it a file of saved features"
    )
