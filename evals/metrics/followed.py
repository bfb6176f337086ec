"""Which of several faces a recording is about: one choice for all metrics of faces.

Where no frame shows two faces there is nothing to choose. Else tracks are joined to people, by
embedding, and one person is followed: the one of the reference picture; without a picture the one
who speaks, whose mouth opens with the loudness of the sound; or else the largest. Frames without
that person have no face. What the choice rests on, and whether it is in doubt, goes into the
components of every row.

Shape letters: T frames, N embedded faces, D dimensions.
"""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evals.judges import judge_figures
from evals.metrics.base import Features, NotMeasured
from evals.metrics.sync_signals import bandpass, loudness_track
from evals.metrics.windows import fill_short_gaps
from evals.recording import Recording

FOLLOW_NEEDS = ("face", "identity", "identity_world", "audio_envelope")
"""Extractors whose features say who is followed."""
SAME_PERSON = 0.6
"""Distance below which two faces are of one person, as dlib's authors say. In the drawn world,
where another network embeds, it is that network's threshold on pairs of known people."""
MARGIN_SHARE = 0.15
"""Two people whose distances to the reference differ by less than this share of `SAME_PERSON`
match it equally well."""
MAX_SHARED_FRAMES = 2
"""Two tracks that share more frames are two people."""
SPEECH_BAND_HZ = (1.0, 6.0)
MAX_SPEECH_SHIFT = 8
MIN_FRAMES = 25
MIN_MOTION = 0.004
MIN_SPEECH_CORRELATION = 0.2
SPEECH_MARGIN = 0.1
"""A face speaks if mouth and loudness correlate by so much at a shift of up to 320 ms, and by so
much more than those of the next."""
CLEARLY_LARGER = 2.0
FOLLOW_PARAMS: Mapping[str, Any] = {
    "same_person": {"real": SAME_PERSON, "world": "identity_world"},
    "margin_share": MARGIN_SHARE,
    "max_shared_frames": MAX_SHARED_FRAMES,
    "speech": {
        "band_hz": SPEECH_BAND_HZ,
        "max_shift": MAX_SPEECH_SHIFT,
        "min_frames": MIN_FRAMES,
        "min_motion": MIN_MOTION,
        "min_correlation": MIN_SPEECH_CORRELATION,
        "margin": SPEECH_MARGIN,
    },
    "clearly_larger": CLEARLY_LARGER,
}
"""All of the above, as part of a metric's protocol."""


@dataclass(frozen=True, kw_only=True)
class Followed:
    """The person that a recording is scored on.

    Attributes:
        tracks: Of the extractor ``face``; ``None`` where no frame shows two faces.
        by: ``only face``, ``reference``, ``speech`` or ``size``.
        num_people: In the recording for a second or longer.
        doubt: Why it may be the wrong one; empty if nothing speaks for another.
    """

    tracks: tuple[int, ...] | None = None
    by: str = "only face"
    num_people: int = 1
    doubt: str = ""

    @property
    def components(self) -> dict[str, Any]:
        """What a row says of the choice; nothing where there was none."""
        if self.tracks is None:
            return {}
        return {"followed_by": self.by, "num_people": self.num_people, "doubt": self.doubt}

    def view(self, features: Features, *names: str) -> Features:
        """Returns the features of this person alone.

        Args:
            features: Of one recording.
            names: Extractors with an array ``track``, whose rows are narrowed.

        Returns:
            The features; ``face`` and the named ones without other people.

        Raises:
            NotMeasured: If a named extractor has no features.
        """
        if self.tracks is None:
            return features
        own: dict[str, Mapping[str, np.ndarray]] = {"face": self._face(features["face"])}
        own |= {name: self._rows(features[name]) for name in names}
        return ChainMap(own, features)  # type: ignore[arg-type]

    def has(self, tracks: np.ndarray) -> np.ndarray:
        """Says which tracks show this person."""
        return np.ones(len(tracks), bool) if self.tracks is None else np.isin(tracks, self.tracks)

    def _rows(self, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        own = self.has(found["track"])
        return {name: v if name == "sampled" else v[own] for name, v in found.items()}

    def _face(self, face: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Rows of frames with this person's face in the place of the main one."""
        own = self.has(face["all_track"])
        frames = face["all_frame"][own]
        view = {"num_faces": face["num_faces"], "has_mesh": np.zeros(len(face["has_mesh"]), bool)}
        view["has_mesh"][frames] = True
        for name in face:
            measure = name.removeprefix("all_")
            if name == measure or measure not in face:
                continue
            view[measure] = np.full(face[measure].shape, np.nan, np.float32)
            view[measure][frames] = face[name][own]
        view["score"] = np.nan_to_num(view["score"])
        return view


@dataclass(kw_only=True, eq=False)
class _Person:
    """Tracks that are thought to show one person.

    Attributes:
        tracks: Their numbers.
        frames: In which they are seen.
        embeddings: [N, D].
        size: Area times frames, in pixels.
        aperture: Of the mouth in all frames [T], NaN where the person is not seen.
    """

    tracks: list[int]
    frames: np.ndarray
    embeddings: np.ndarray
    size: float
    aperture: np.ndarray = field(repr=False)


def follow(recording: Recording, features: Features) -> Followed:
    """Chooses the person that a recording is scored on.

    Args:
        recording: Says whether there is a reference picture, and the domain.
        features: ``face`` and, where some frame shows two faces, all of `FOLLOW_NEEDS` and the
            embedding of the reference picture.

    Returns:
        The person.

    Raises:
        NotMeasured: If there is a choice and nothing to tell people by, e.g. for lack of weights.
    """
    face = features["face"]
    if not len(face.get("all_track", ())):
        return Followed()
    extractor, same_person = _network(recording.domain)
    people = _people(face, features[extractor], same_person)
    if recording.reference_path is None:
        return _by_voice_or_size(people, _heard(features))
    anchor = features[f"reference_{extractor}"]["embedding"].astype(float)
    if not len(anchor):
        chosen = _by_voice_or_size(people, _heard(features))
        return replace(chosen, doubt="no usable face in the reference picture")
    return _by_reference(people, anchor[0], same_person, _heard(features))


def _network(domain: str) -> tuple[str, float]:
    if domain != "world":
        return "identity", SAME_PERSON
    figures = judge_figures("identity_world")
    return "identity_world", float(figures["threshold"]) if figures else SAME_PERSON


def _heard(features: Features) -> Mapping[str, np.ndarray] | None:
    """Returns the loudness of the sound; nothing if there is none to be heard."""
    try:
        return features["audio_envelope"]
    except NotMeasured as why:
        if why.status not in {"not_applicable", "generation_failure"}:
            raise
        return None


def _people(
    face: Mapping[str, np.ndarray], embedded: Mapping[str, np.ndarray], same_person: float
) -> list[_Person]:
    """Joins tracks to people: the nearest embeddings first, never two faces of one frame."""
    people = [_person(face, embedded, int(number)) for number in np.unique(face["all_track"])]
    known = [n for n, person in enumerate(people) if len(person.embeddings)]
    means = {n: people[n].embeddings.mean(axis=0) for n in known}
    pairs = sorted(
        (float(np.linalg.norm(means[a] - means[b])), a, b) for a in known for b in known if a < b
    )
    for distance, a, b in pairs:
        one, other = people[a], people[b]
        shared = len(np.intersect1d(one.frames, other.frames))
        if distance >= same_person or one is other or shared > MAX_SHARED_FRAMES:
            continue
        joined = _joined(one, other)
        people = [joined if person in (one, other) else person for person in people]
    unique = {id(person): person for person in people}
    return sorted(unique.values(), key=lambda person: -person.size)


def _person(
    face: Mapping[str, np.ndarray], embedded: Mapping[str, np.ndarray], number: int
) -> _Person:
    rows = face["all_track"] == number
    frames, box = face["all_frame"][rows], face["all_box"][rows]
    aperture = np.full(len(face["has_mesh"]), np.nan)
    aperture[frames] = face["all_lip_aperture"][rows]
    return _Person(
        tracks=[number],
        frames=frames,
        embeddings=embedded["embedding"][embedded["track"] == number].astype(float),
        size=float(np.prod(box[:, 2:] - box[:, :2], axis=1).sum()),
        aperture=aperture,
    )


def _joined(one: _Person, other: _Person) -> _Person:
    return _Person(
        tracks=one.tracks + other.tracks,
        frames=np.union1d(one.frames, other.frames),
        embeddings=np.concatenate([one.embeddings, other.embeddings]),
        size=one.size + other.size,
        aperture=np.where(np.isfinite(one.aperture), one.aperture, other.aperture),
    )


def _by_reference(
    people: Sequence[_Person],
    anchor: np.ndarray,
    same_person: float,
    heard: Mapping[str, np.ndarray] | None,
) -> Followed:
    known = [person for person in people if len(person.embeddings)]
    if not known:
        chosen = _by_voice_or_size(people, heard)
        return replace(
            chosen, doubt="no face is large enough to compare with the reference picture"
        )
    gaps = [float(np.linalg.norm(p.embeddings - anchor, axis=1).mean()) for p in known]
    nearest = min(gaps)
    close = [n for n, gap in enumerate(gaps) if gap - nearest < MARGIN_SHARE * same_person]
    chosen = known[gaps.index(nearest)]
    doubt = ""
    if len(close) > 1:
        among = ", ".join(f"{gaps[n]:.2f}" for n in close)
        doubt = f"{len(close)} faces match the reference picture equally well ({among})"
        speaking = _by_voice_or_size([known[n] for n in close], heard)
        chosen = next(p for p in known if tuple(sorted(p.tracks)) == speaking.tracks)
    elif nearest > same_person:
        doubt = f"no face matches the reference picture (nearest: {nearest:.2f})"
    return _followed(chosen, "reference", people, doubt)


def _by_voice_or_size(
    people: Sequence[_Person], heard: Mapping[str, np.ndarray] | None
) -> Followed:
    scores = [_speech_correlation(person.aperture, heard) for person in people]
    order = np.argsort([-score for score in scores], kind="stable")
    if len(people) == 1:
        return _followed(people[0], "size", people, "")
    best, second = scores[order[0]], scores[order[1]]
    if best >= MIN_SPEECH_CORRELATION and best - max(second, 0.0) >= SPEECH_MARGIN:
        return _followed(people[int(order[0])], "speech", people, "")
    sizes = [person.size for person in people]  # the largest first
    is_clear = sizes[0] >= CLEARLY_LARGER * sizes[1]
    doubt = "" if is_clear else "several faces, and neither reference picture nor sound tells whose"
    return _followed(people[0], "size", people, doubt)


def _speech_correlation(aperture: np.ndarray, heard: Mapping[str, np.ndarray] | None) -> float:
    """Returns how well a mouth opens with the loudness at the best shift; 0 if it is still."""
    if heard is None or np.isfinite(aperture).sum() < MIN_FRAMES:
        return 0.0
    if float(np.nanstd(aperture)) < MIN_MOTION:
        return 0.0
    filled, known = fill_short_gaps(aperture, max_gap=5)
    loudness, is_speech = loudness_track(heard, num_frames=len(filled), lead_s=0.0)
    mouth, sound = bandpass(filled, SPEECH_BAND_HZ), bandpass(loudness, SPEECH_BAND_HZ)
    shifts = range(-MAX_SPEECH_SHIFT, MAX_SPEECH_SHIFT + 1)
    return max(_correlation(mouth, sound, known, is_speech, shift) for shift in shifts)


def _correlation(
    mouth: np.ndarray, sound: np.ndarray, known: np.ndarray, is_speech: np.ndarray, shift: int
) -> float:
    """Compares the mouth with the sound ``shift`` frames before, where both are known."""
    num = len(mouth) - abs(shift)
    here, there = slice(max(0, shift), None), slice(max(0, -shift), None)
    used = known[here][:num] & is_speech[there][:num]
    one, other = mouth[here][:num][used], sound[there][:num][used]
    if used.sum() < MIN_FRAMES or not (one.std() > 0 and other.std() > 0):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _followed(person: _Person, by: str, people: Sequence[_Person], doubt: str) -> Followed:
    lasting = sum(len(person.frames) >= MIN_FRAMES for person in people)
    tracks = tuple(sorted(person.tracks))
    return Followed(tracks=tracks, by=by, num_people=max(1, lasting), doubt=doubt)
