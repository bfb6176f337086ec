"""Which of several faces a recording is about: one choice for all metrics of faces.

Where no two faces are seen together, but for moments, there is nothing to choose. Else tracks are
joined to people, by embedding, and one person is followed: the one of the reference picture;
without a picture the one who speaks, whose mouth opens with the loudness of the sound; or else
the largest. Frames without that person have no face. What the choice rests on, and whether it is
in doubt, goes into the components of every row.

Shape letters: T frames, N embedded faces, D dimensions.
"""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evals.extractors.networks import judge_figures
from evals.metrics.sync_signals import bandpass, loudness_track
from evals.numerics.windows import FPS, fill_short_gaps
from evals.protocols.base import Features, Unscored
from evals.recording.recording import Recording

FOLLOW_CHOICE = ("identity", "identity_world", "audio_envelope")
"""Extractors that are read only where some frame shows two faces, each in its own domain."""
FOLLOW_NEEDS = ("face", *FOLLOW_CHOICE)
"""Extractors whose features say who is followed."""
SAME_PERSON = 0.6
"""Distance below which two faces are of one person, as dlib's authors say. In the drawn world,
where another network embeds, it is that network's threshold on pairs of known people."""
MARGIN_SHARE = 0.15
"""Two people whose distances to the reference differ by less than this share of `SAME_PERSON`
match it equally well."""
MAX_SHARED_FRAMES = 2
"""Two tracks that share more frames are two people."""
LASTING_FRAMES = 10
"""A face beside another that is gone sooner, or within half of a short clip, is a mistake."""
SPEECH_BAND_HZ = (1.0, 6.0)
SPEECH_SHIFTS = (-5, 1)
"""Frames by which a mouth may be behind the loudness that it makes: it is mostly ahead."""
MIN_FRAMES = 25
MIN_MOTION = 0.004
"""Standard deviation of a mouth's opening, at the rates of speech, below which it stands still."""
MOTION_SHARE = 0.25
"""A mouth that moves by less than this share of the liveliest one's motion does not speak."""
LIKELY_DEVIATIONS, SURE_DEVIATIONS = 1.5, 3.0
"""Of chance, by which the correlation of mouth and loudness is above that of the next mouth. The
deviation is one over the square root of the independent values, 10 in a second of this band. On
five real clips, their own sound against that of the others: 0.33 to 0.74 at its own mouth; at
others up to 0.28 over 8 s, and up to 0.77 over the 3 s of a GRID sentence."""
CLEARLY_LARGER = 2.0
FOLLOW_PARAMS: Mapping[str, Any] = {
    "same_person": {"real": SAME_PERSON, "world": "identity_world"},
    "margin_share": MARGIN_SHARE,
    "max_shared_frames": MAX_SHARED_FRAMES,
    "lasting_frames": LASTING_FRAMES,
    "speech": {
        "band_hz": SPEECH_BAND_HZ,
        "shifts": SPEECH_SHIFTS,
        "min_frames": MIN_FRAMES,
        "min_motion": MIN_MOTION,
        "motion_share": MOTION_SHARE,
        "deviations": (LIKELY_DEVIATIONS, SURE_DEVIATIONS),
    },
    "clearly_larger": CLEARLY_LARGER,
}
"""All of the above, as part of a metric's protocol."""


@dataclass(frozen=True, kw_only=True)
class Followed:
    """The person that a recording is scored on.

    Attributes:
        tracks: Of the extractor ``face``; ``None`` for all, where no frame shows two faces.
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
        if self.by == "only face":
            return {}
        return {"followed_by": self.by, "num_people": self.num_people, "doubt": self.doubt}

    def view(self, features: Features, *names: str) -> Features:
        """Returns the features of this person alone.

        Args:
            features: Of one recording.
            *names: Extractors with an array ``track``, whose rows are narrowed.

        Returns:
            The features; ``face`` and the named ones without other people.

        Raises:
            Unscored: If a named extractor has no features.
        """
        if self.tracks is None:
            return features
        own: dict[str, Mapping[str, np.ndarray]] = {"face": self._face(features["face"])}
        own |= {name: self._rows(features[name]) for name in names}
        return ChainMap(own, features)  # type: ignore[arg-type]

    def has(self, tracks: np.ndarray) -> np.ndarray:
        """Says which tracks show this person."""
        return np.ones(len(tracks), bool) if self.tracks is None else np.isin(tracks, self.tracks)

    def _rows(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        own = self.has(arrays["track"])
        return {name: v if name == "sampled" else v[own] for name, v in arrays.items()}

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


def doubt_in_words(components: Mapping[str, Any]) -> str:
    """Says for a reader of the scores what is in doubt, from the components of a row."""
    doubt = str(components["doubt"])
    if "followed_by" not in components:
        return doubt
    num, by = components["num_people"], components["followed_by"]
    return f"{num} people, one is measured (chosen by {by}): {doubt}"


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
        Unscored: If there is a choice and nothing to tell people by, e.g. for lack of weights.
    """
    face = features["face"]
    if not len(face.get("all_track", ())):
        return Followed()
    alone = _without_company(face)
    if alone is not None:
        return Followed(tracks=alone)
    extractor, same_person = _network(recording.domain)
    people = _people(face, features[extractor], same_person)
    if recording.reference_path is None:
        return _by_voice_or_size(people, _loudness(features))
    anchor = features[f"reference_{extractor}"]["embedding"].astype(float)
    if not len(anchor):
        chosen = _by_voice_or_size(people, _loudness(features))
        return replace(chosen, doubt="no usable face in the reference picture")
    return _by_reference(people, anchor[0], same_person, _loudness(features))


def _without_company(face: Mapping[str, np.ndarray]) -> tuple[int, ...] | None:
    """Returns the tracks of a clip in which two faces were seen, but never for long."""
    numbers, counts = np.unique(face["all_track"], return_counts=True)
    frames = {n: face["all_frame"][face["all_track"] == n] for n in numbers.tolist()}
    needed = min(LASTING_FRAMES, len(face["has_mesh"]) // 2)
    lasting = numbers[counts >= needed].tolist()
    shown, times = np.unique(
        np.concatenate([np.zeros(0, int), *(frames[n] for n in lasting)]), return_counts=True
    )
    if (times > 1).sum() > MAX_SHARED_FRAMES * max(1, len(lasting) - 1):
        return None
    return tuple(n for n in frames if n in lasting or not np.isin(frames[n], shown).any())


def _network(domain: str) -> tuple[str, float]:
    if domain != "world":
        return "identity", SAME_PERSON
    figures = judge_figures("identity_world")
    return "identity_world", float(figures["threshold"]) if figures else SAME_PERSON


def _loudness(features: Features) -> Mapping[str, np.ndarray] | None:
    """Returns the loudness of the sound; nothing if there is none to be heard."""
    try:
        return features["audio_envelope"]
    except Unscored as why:
        if why.status not in {"not_applicable", "generation_failure"}:
            raise
        return None


def _people(
    face: Mapping[str, np.ndarray], embedded: Mapping[str, np.ndarray], same_person: float
) -> list[_Person]:
    """Joins tracks to people: the nearest embeddings first, never two faces of one frame."""
    people = [_person(face, embedded, int(number)) for number in np.unique(face["all_track"])]
    with_face = [n for n, person in enumerate(people) if len(person.embeddings)]
    means = {n: people[n].embeddings.mean(axis=0) for n in with_face}
    pairs = sorted(
        (float(np.linalg.norm(means[a] - means[b])), a, b)
        for a in with_face
        for b in with_face
        if a < b
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
    speech: Mapping[str, np.ndarray] | None,
) -> Followed:
    embedded = [person for person in people if len(person.embeddings)]
    if not embedded:
        guess = _by_voice_or_size(people, speech)
        return replace(guess, doubt="no face is large enough to compare with the reference picture")
    gaps = [float(np.linalg.norm(p.embeddings - anchor, axis=1).mean()) for p in embedded]
    nearest = min(gaps)
    close = [n for n, gap in enumerate(gaps) if gap - nearest < MARGIN_SHARE * same_person]
    if len(close) > 1:
        guess = _by_voice_or_size([embedded[n] for n in close], speech)
        among = ", ".join(f"{gaps[n]:.2f}" for n in close)
        doubt = f"{len(close)} faces match the reference picture equally well ({among})"
        return replace(_followed(embedded[0], "reference", people, doubt), tracks=guess.tracks)
    is_other = nearest > same_person
    doubt = f"no face matches the reference picture (nearest: {nearest:.2f})" if is_other else ""
    return _followed(embedded[close[0]], "reference", people, doubt)


def _by_voice_or_size(
    people: Sequence[_Person], speech: Mapping[str, np.ndarray] | None
) -> Followed:
    """Chooses who speaks; where that cannot be told, the largest."""
    speaker = None if speech is None else _speaker(people, speech)
    if speaker is not None:
        chosen, doubt = speaker
        return _followed(chosen, "speech", people, doubt)
    sizes = [person.size for person in people]  # the largest first
    is_clear = len(sizes) == 1 or sizes[0] >= CLEARLY_LARGER * sizes[1]
    doubt = "" if is_clear else "neither a reference picture nor the sound tells whose face counts"
    return _followed(people[0], "size", people, doubt)


def _speaker(
    people: Sequence[_Person], speech: Mapping[str, np.ndarray]
) -> tuple[_Person, str] | None:
    """Returns who moves the lips with the sound, and the doubt; nothing if that is open."""
    num_frames = len(people[0].aperture)
    loudness, is_speech = loudness_track(speech, num_frames=num_frames, lead_s=0.0)
    motions = [_motion(person) for person in people]
    needed = max(MIN_MOTION, MOTION_SHARE * max(motions))
    moving = [person for person, motion in zip(people, motions, strict=True) if motion >= needed]
    if not moving or is_speech.sum() < MIN_FRAMES:
        return None
    if len(moving) == 1:
        return moving[0], ""
    sound = bandpass(loudness, SPEECH_BAND_HZ)
    fits = np.array([_fit(person, sound, is_speech) for person in moving])
    best, second = np.argsort(-fits[:, 0], kind="stable")[:2]
    chance = 1 / np.sqrt(10 * min(fits[best, 1], fits[second, 1]) / FPS)
    lead = float(fits[best, 0] - max(fits[second, 0], 0.0)) / chance
    if lead < LIKELY_DEVIATIONS:
        return None
    doubt = (
        "" if lead >= SURE_DEVIATIONS else "the lips of another face fit the sound nearly as well"
    )
    return moving[best], doubt


def _motion(person: _Person) -> float:
    """Returns how much a mouth opens and closes at the rates of speech."""
    if len(person.frames) < MIN_FRAMES:
        return 0.0
    filled, is_measured = fill_short_gaps(person.aperture, max_gap=5)
    return float(bandpass(filled, SPEECH_BAND_HZ)[is_measured].std())


def _fit(person: _Person, sound: np.ndarray, is_speech: np.ndarray) -> tuple[float, int]:
    """Returns the correlation of mouth and loudness at the best shift, and over how many frames."""
    filled, is_measured = fill_short_gaps(person.aperture, max_gap=5)
    mouth = bandpass(filled, SPEECH_BAND_HZ)
    low, high = SPEECH_SHIFTS
    correlations = (
        _correlation(mouth, sound, is_measured, is_speech, shift) for shift in range(low, high + 1)
    )
    return max(correlations), max(1, int((is_measured & is_speech).sum()))


def _correlation(
    mouth: np.ndarray, sound: np.ndarray, is_measured: np.ndarray, is_speech: np.ndarray, shift: int
) -> float:
    """Compares the mouth with the sound ``shift`` frames earlier, where both are known."""
    num = len(mouth) - abs(shift)
    here, there = slice(max(0, shift), None), slice(max(0, -shift), None)
    used = is_measured[here][:num] & is_speech[there][:num]
    one, other = mouth[here][:num][used], sound[there][:num][used]
    if used.sum() < MIN_FRAMES or not (one.std() > 0 and other.std() > 0):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _followed(person: _Person, by: str, people: Sequence[_Person], doubt: str) -> Followed:
    lasting = sum(len(person.frames) >= MIN_FRAMES for person in people)
    tracks = tuple(sorted(person.tracks))
    return Followed(tracks=tracks, by=by, num_people=max(1, lasting), doubt=doubt)
