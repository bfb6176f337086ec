"""Tracks the faces of a video from frame to frame.

The mesh of one frame gives the region to search in the next. The detector runs at fixed intervals
and whenever a face is lost: on the whole picture for large faces, and on a few squares of it at a
time for small ones. A detection counts as a face if the mesh fits it. Results depend only on the
frames, not on their batches.

A track is one face without interruption. It ends when the face is lost for a second, when its
appearance changes abruptly as in a cut, and when two faces meet, since position alone cannot tell
them apart afterwards. Embeddings re-identify persons across tracks, see `evals.metrics.followed`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from evals.extractors.face_detector import FaceDetector, Faces, overlap
from evals.extractors.face_mesh import FaceMesher, Mesh, region_of_detection

Square = tuple[float, float, float]
"""Left, top and side in pixels."""
MAX_LOST_FRAMES = 25
"""A face that reappears at its place within this time resumes its track."""
RESUME_IOU = 0.3
CONFIRM_IOU = 0.2
"""Minimum overlap of a detection with the mesh that it confirms."""
SAME_FACE_SHARE = 0.5
"""Boxes that share this part of the smaller one are the same face."""
MIN_SCORE_BESIDE = 0.9
"""Mesh score required of further faces: maps or curtains can reach 0.5, faces 0.99."""
MEETING_SHARE = 0.7
"""Shared area from which on two meshes lie on one face."""
PATCH_POINTS = 12
CUT_DIFFERENCE = 25.0
"""Mean change in grey levels of a face (12 x 12 points) between two frames that ends a track.

Five real clips of one person: at most 19; across two of these persons: at least 27.
"""


@dataclass(frozen=True, kw_only=True)
class TrackerParams:
    """Settings of the tracker.

    Attributes:
        detect_every: Interval of detections in frames while faces are tracked.
        search_every: Interval of full searches (all squares) in frames while there is no face.
        sweep_every: Frames in which all squares are searched once, a few at a time, while there
            are faces.
        min_mesh_score: Score below which a face is lost; MediaPipe's default.
        max_faces: Maximum number of faces tracked at a time.
        switch_ratio: Another face becomes the main one if its area is larger by this factor.
    """

    detect_every: int = 5
    search_every: int = 5
    sweep_every: int = 25
    min_mesh_score: float = 0.5
    max_faces: int = 8
    switch_ratio: float = 1.5


@dataclass(kw_only=True)
class _FaceTrack:
    number: int
    mesh: Mesh
    patch: np.ndarray
    last_frame: int

    @property
    def area(self) -> float:
        return _area(self.mesh.box)


class FaceTracker:
    """Tracks the faces of one video; the main face is the largest.

    Args:
        params: Settings.
    """

    def __init__(self, params: TrackerParams) -> None:
        self._params = params
        self._detector = FaceDetector()
        self._mesher = FaceMesher()
        self._num_frames = 0
        self._num_tracks = 0
        self._next_square = 0
        self._live: list[_FaceTrack] = []
        self._lost: list[_FaceTrack] = []
        self._main: _FaceTrack | None = None
        self._num_detected = 0

    @property
    def num_faces(self) -> int:
        """Number of faces in the last frame; without meshes, the number of detections."""
        return len(self._live) or self._num_detected

    def follow(self, frame: np.ndarray) -> list[tuple[int, Mesh]]:
        """Processes the next frame.

        Args:
            frame: RGB, uint8 [H, W, 3].

        Returns:
            Track number and mesh of each face, the main face first.
        """
        index, self._num_frames = self._num_frames, self._num_frames + 1
        num_before = len(self._live)
        is_cut = self._refit(frame, index)
        is_new = is_cut or index == 0 or (num_before > 0 and not self._live)
        is_due = index % self._params.detect_every == 0
        if is_new or is_due or not self._live or len(self._live) < num_before:
            self._detect(frame, self._squares(frame, index, is_new=is_new, is_due=is_due), index)
        rest = [track for track in self._live if track is not self._main]
        main = [] if self._main is None else [self._main]
        return [(track.number, track.mesh) for track in main + rest]

    def _refit(self, frame: np.ndarray, index: int) -> bool:
        """Updates each track to the new frame; returns whether there was a cut."""
        is_cut = False
        before, self._live = self._live, []
        for track in before:
            mesh = self._accept(self._mesher.fit(frame, track.mesh.region))
            if mesh is None:
                self._lost.append(track)
                continue
            patch = _patch(frame, mesh.box)
            has_changed = float(np.abs(patch - track.patch).mean()) > CUT_DIFFERENCE
            is_cut |= has_changed
            moved = self._track(mesh, patch, index, number=None if has_changed else track.number)
            self._live.append(moved)
            if self._main is track:
                self._main = moved
        self._merge_coinciding_tracks(before)
        self._lost = [
            track
            for track in self._lost
            if index - track.last_frame <= MAX_LOST_FRAMES and not is_cut
        ]
        return is_cut

    def _merge_coinciding_tracks(self, before: list[_FaceTrack]) -> None:
        """Keeps one track, with a new number, where two meshes lie on one face."""
        boxes = {track.number: track.mesh.box for track in before}
        kept: list[_FaceTrack] = []
        for track in sorted(self._live, key=lambda t: -_overlap_with_previous(t, boxes)):
            other = next(
                (o for o in kept if _share(o.mesh.box, track.mesh.box) > MEETING_SHARE), None
            )
            if other is None:
                kept.append(track)
                continue
            other.number = self._new_number()
            if self._main is track:
                self._main = other
        self._live = [track for track in self._live if any(track is other for other in kept)]

    def _detect(self, frame: np.ndarray, squares: list[Square], index: int) -> None:
        """Detects faces in the whole picture and in squares of it, and starts new tracks."""
        detections = [self._detector.detect(frame)]
        if squares:
            detections.append(self._detector.detect_in(frame, squares))
        for faces in detections:
            for face in np.argsort(-_areas(faces.boxes), kind="stable"):
                self._start_track(frame, faces, int(face), index)
        self._num_detected = max(map(len, detections))
        self._drop_false_tracks(frame, detections)
        self._main = self._choose_main()

    def _squares(
        self, frame: np.ndarray, index: int, *, is_new: bool, is_due: bool
    ) -> list[Square]:
        """Returns the squares to search: all in a new scene, else a few."""
        squares = search_squares(frame.shape[0], frame.shape[1])
        if is_new or (not self._live and index % self._params.search_every == 0):
            return squares
        recent = index - (1 if self._live else MAX_LOST_FRAMES)
        near = [
            _square_around(track.mesh.box, 2.0)
            for track in self._lost
            if track.last_frame >= recent
        ]
        if not (is_due and self._live):
            return near
        rounds = max(1, self._params.sweep_every // self._params.detect_every)
        num = int(np.ceil(len(squares) / rounds))
        swept = [squares[(self._next_square + step) % len(squares)] for step in range(num)]
        self._next_square = (self._next_square + num) % len(squares)
        return near + swept

    def _start_track(self, frame: np.ndarray, faces: Faces, face: int, index: int) -> None:
        """Starts or resumes a track on a detected face, unless it is tracked already."""
        if self._is_tracked(faces.boxes[face]) or len(self._live) >= self._params.max_faces:
            return
        mesh = self._fit(frame, faces, face)
        if mesh is None or self._is_tracked(mesh.box):
            return
        if self._live and not (
            mesh.score >= MIN_SCORE_BESIDE and self._is_confirmed(frame, mesh.box)
        ):
            return
        resumed = [t for t in self._lost if overlap(mesh.box, t.mesh.box[None])[0] > RESUME_IOU]
        number = resumed[-1].number if resumed else None
        self._lost = [track for track in self._lost if track.number != number]
        self._live.append(self._track(mesh, _patch(frame, mesh.box), index, number=number))

    def _drop_false_tracks(self, frame: np.ndarray, detections: list[Faces]) -> None:
        """Among several tracks, drops those that the detector does not confirm in a close-up."""
        if len(self._live) < 2:
            return
        boxes = np.concatenate([faces.boxes for faces in detections])
        for track in list(self._live):
            if (overlap(track.mesh.box, boxes) > CONFIRM_IOU).any():
                continue
            if not self._is_confirmed(frame, track.mesh.box):
                self._live = [other for other in self._live if other is not track]
                self._lost.append(track)

    def _is_confirmed(self, frame: np.ndarray, box: np.ndarray) -> bool:
        """Whether the detector finds a face in close-ups of a box."""
        squares = [_square_around(box, scale) for scale in (1.5, 2.5)]
        faces = self._detector.detect_in(frame, squares)
        return bool((overlap(box, faces.boxes) > CONFIRM_IOU).any())

    def _choose_main(self) -> _FaceTrack | None:
        """Returns the largest face, or the current main one unless another is far larger."""
        if not self._live:
            return None
        largest = max(self._live, key=lambda track: track.area)
        current = next((track for track in self._live if track is self._main), None)
        if current is not None and largest.area < self._params.switch_ratio * current.area:
            return current
        return largest

    def _is_tracked(self, box: Float32[np.ndarray, " 4"]) -> bool:
        return any(_share(track.mesh.box, box) > SAME_FACE_SHARE for track in self._live)

    def _fit(self, frame: np.ndarray, faces: Faces, face: int) -> Mesh | None:
        """Fits twice, so that the first frame of a track is treated like the later ones."""
        region = region_of_detection(faces.boxes[face], faces.points[face])
        rough = self._mesher.fit(frame, region)
        return self._accept(self._mesher.fit(frame, rough.region))

    def _accept(self, mesh: Mesh) -> Mesh | None:
        return mesh if mesh.score >= self._params.min_mesh_score else None

    def _track(
        self, mesh: Mesh, patch: np.ndarray, index: int, *, number: int | None
    ) -> _FaceTrack:
        number = self._new_number() if number is None else number
        return _FaceTrack(number=number, mesh=mesh, patch=patch, last_frame=index)

    def _new_number(self) -> int:
        self._num_tracks += 1
        return self._num_tracks - 1


def search_squares(height: int, width: int) -> list[Square]:
    """Returns overlapping squares that cover a frame, as left, top and side.

    Their sides are the frame's short side and half of it; neighbours overlap by half, so a face
    of up to a quarter of the short side lies completely in one of them.
    """
    squares = []
    short = min(height, width)
    for side in (short, short / 2):
        for top in _starts(height, side):
            squares += [(left, top, float(side)) for left in _starts(width, side)]
    return squares


def _starts(length: float, side: float) -> list[float]:
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]


def _square_around(box: np.ndarray, scale: float) -> Square:
    """Returns the square around a box, larger than its longer side, in whole pixels."""
    side = max(2.0, float(np.ceil(scale * (box[2:] - box[:2]).max())))
    left, top = np.floor((box[:2] + box[2:]) / 2 - side / 2)
    return float(left), float(top), side


def _patch(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Samples the face on a coarse grid, to detect changes of appearance."""
    height, width = frame.shape[:2]
    rows = np.clip(np.linspace(box[1], box[3], PATCH_POINTS), 0, height - 1).astype(int)
    columns = np.clip(np.linspace(box[0], box[2], PATCH_POINTS), 0, width - 1).astype(int)
    return frame[np.ix_(rows, columns)].astype(np.float32)


def _area(box: np.ndarray) -> float:
    return float(np.prod(box[2:] - box[:2]))


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


def _share(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the shared area as a share of the smaller box."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    return shared / max(min(_area(one), _area(other)), 1e-9)


def _overlap_with_previous(track: _FaceTrack, boxes: dict[int, np.ndarray]) -> float:
    """Returns the overlap of a track's box with that of the previous frame."""
    before = boxes.get(track.number)
    return 0.0 if before is None else float(overlap(track.mesh.box, before[None])[0])
