"""The faces of a video, each followed from frame to frame.

The mesh of a frame says where to look for the same face in the next. The detector runs at fixed
frames and whenever a face is lost: over the picture as a whole, which shows it the large faces,
and over parts of it, a few at a time, which show it the small ones. What the detector proposes
counts as a face once the mesh fits it. Results depend on the frames alone and not on how they
are batched.

A track is one face without a break. It ends where the face is lost for a second, where what it
shows changes from one frame to the next as in a cut, and where two faces meet, since nobody can
say by place alone which is which when they part. Who is the same person again is for embeddings
to say, see `evals.metrics.followed`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from evals.extractors.face_detector import FaceDetector, Faces, overlap
from evals.extractors.face_mesh import FaceMesher, Mesh, region_of_detection

Square = tuple[float, float, float]
"""Left, top and side in pixels."""
MAX_LOST_FRAMES = 25
"""A face that comes back to its place within this time is the same track."""
RESUME_IOU = 0.3
CONFIRM_IOU = 0.2
"""So much a detected face overlaps the mesh that it confirms."""
SAME_FACE_SHARE = 0.5
"""Two boxes of which one holds this share of the other show one face."""
MIN_SCORE_BESIDE = 0.9
"""Of the mesh, for a face beside others: a map or a curtain now and then has 0.5, faces 0.99."""
MEETING_SHARE = 0.7
"""So much shared area says that two meshes have come to lie on one face."""
PATCH_POINTS = 12
CUT_DIFFERENCE = 25.0
"""Mean change in grey levels of a face on a grid of 12 x 12 points, from one frame to the next,
that ends a track. Five real clips of one person: at most 19; two of these persons: at least 27."""


@dataclass(frozen=True, kw_only=True)
class TrackerParams:
    """What decides which faces are followed.

    Attributes:
        detect_every: Frames from one detection to the next while meshes hold.
        search_every: Frames from one search of all parts of the picture to the next while no
            face is found in the picture as a whole.
        sweep_every: Frames in which all parts of the picture are searched once, a few at a time,
            while there are faces.
        min_mesh_score: Below it a face is lost; MediaPipe's default.
        max_faces: No more are followed at a time.
        switch_ratio: Another face becomes the main one once its area is larger by this factor.
    """

    detect_every: int = 5
    search_every: int = 5
    sweep_every: int = 25
    min_mesh_score: float = 0.5
    max_faces: int = 8
    switch_ratio: float = 1.5


@dataclass(kw_only=True)
class _Track:
    number: int
    mesh: Mesh
    patch: np.ndarray
    last_seen: int

    @property
    def area(self) -> float:
        return _area(self.mesh.box)


class FaceTracker:
    """Follows the faces of one video; the main one is the largest.

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
        self._live: list[_Track] = []
        self._lost: list[_Track] = []
        self._main: _Track | None = None
        self._num_detected = 0

    @property
    def num_faces(self) -> int:
        """Faces of the last frame; where no mesh fits, those that the detector saw."""
        return len(self._live) or self._num_detected

    def follow(self, frame: np.ndarray) -> list[tuple[int, Mesh]]:
        """Finds the faces of the next frame.

        Args:
            frame: RGB, uint8 [H, W, 3].

        Returns:
            Number of the track and mesh of each face, the main face first.
        """
        index, self._num_frames = self._num_frames, self._num_frames + 1
        had = len(self._live)
        is_cut = self._refit(frame, index)
        is_new = is_cut or index == 0 or (had > 0 and not self._live)
        is_due = index % self._params.detect_every == 0
        if is_new or is_due or not self._live or len(self._live) < had:
            self._look(frame, self._squares(frame, index, is_new=is_new, is_due=is_due), index)
        rest = [track for track in self._live if track is not self._main]
        main = [] if self._main is None else [self._main]
        return [(track.number, track.mesh) for track in main + rest]

    def _refit(self, frame: np.ndarray, index: int) -> bool:
        """Moves each track to where its face is now; says whether one shows another face."""
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
        self._part_where_faces_meet(before)
        self._lost = [
            track
            for track in self._lost
            if index - track.last_seen <= MAX_LOST_FRAMES and not is_cut
        ]
        return is_cut

    def _part_where_faces_meet(self, before: list[_Track]) -> None:
        """Keeps one track where two meshes have come to lie on one face, under a new number."""
        places = {track.number: track.mesh.box for track in before}
        kept: list[_Track] = []
        for track in sorted(self._live, key=lambda one: -_stayed(one, places)):
            other = next(
                (o for o in kept if _share(o.mesh.box, track.mesh.box) > MEETING_SHARE), None
            )
            if other is None:
                kept.append(track)
                continue
            other.number = self._new_number()
            if self._main is track:
                self._main = other
        self._live = [track for track in self._live if any(track is one for one in kept)]

    def _look(self, frame: np.ndarray, squares: list[Square], index: int) -> None:
        """Detects faces in the whole picture and in squares of it, and takes up new ones."""
        faces = [self._detector.detect(frame)]
        if squares:
            faces.append(self._detector.detect_in(frame, squares))
        for found in faces:
            for face in np.argsort(-_areas(found.boxes), kind="stable"):
                self._take_up(frame, found, int(face), index)
        self._num_detected = max(map(len, faces))
        self._drop_what_is_no_face(frame, faces)
        self._main = self._choose_main()

    def _squares(
        self, frame: np.ndarray, index: int, *, is_new: bool, is_due: bool
    ) -> list[Square]:
        """Returns which parts of the picture to search now: all of a new scene, else a few."""
        every = search_squares(frame.shape[0], frame.shape[1])
        if is_new or (not self._live and index % self._params.search_every == 0):
            return every
        recent = index - (1 if self._live else MAX_LOST_FRAMES)
        near = [_around(track.mesh.box, 2.0) for track in self._lost if track.last_seen >= recent]
        if not (is_due and self._live):
            return near
        rounds = max(1, self._params.sweep_every // self._params.detect_every)
        num = int(np.ceil(len(every) / rounds))
        picked = [every[(self._next_square + step) % len(every)] for step in range(num)]
        self._next_square = (self._next_square + num) % len(every)
        return near + picked

    def _take_up(self, frame: np.ndarray, faces: Faces, face: int, index: int) -> None:
        """Starts or resumes a track on a detected face, unless one is there already."""
        if self._is_known(faces.boxes[face]) or len(self._live) >= self._params.max_faces:
            return
        mesh = self._fit(frame, faces, face)
        if mesh is None or self._is_known(mesh.box):
            return
        if self._live and not (mesh.score >= MIN_SCORE_BESIDE and self._is_seen(frame, mesh.box)):
            return
        back = [t for t in self._lost if overlap(mesh.box, t.mesh.box[None])[0] > RESUME_IOU]
        number = back[-1].number if back else None
        self._lost = [track for track in self._lost if track.number != number]
        self._live.append(self._track(mesh, _patch(frame, mesh.box), index, number=number))

    def _drop_what_is_no_face(self, frame: np.ndarray, seen: list[Faces]) -> None:
        """Of several tracks, drops those where the detector sees no face even from near by."""
        if len(self._live) < 2:
            return
        boxes = np.concatenate([faces.boxes for faces in seen])
        for track in list(self._live):
            if (overlap(track.mesh.box, boxes) > CONFIRM_IOU).any():
                continue
            if not self._is_seen(frame, track.mesh.box):
                self._live = [one for one in self._live if one is not track]
                self._lost.append(track)

    def _is_seen(self, frame: np.ndarray, box: np.ndarray) -> bool:
        """Says whether the detector sees a face in a box when it looks from near by."""
        found = self._detector.detect_in(frame, [_around(box, scale) for scale in (1.5, 2.5)])
        return bool((overlap(box, found.boxes) > CONFIRM_IOU).any())

    def _choose_main(self) -> _Track | None:
        """Returns the largest face; the present one unless another is far larger."""
        if not self._live:
            return None
        largest = max(self._live, key=lambda track: track.area)
        present = next((track for track in self._live if track is self._main), None)
        if present is not None and largest.area < self._params.switch_ratio * present.area:
            return present
        return largest

    def _is_known(self, box: Float32[np.ndarray, " 4"]) -> bool:
        return any(_share(track.mesh.box, box) > SAME_FACE_SHARE for track in self._live)

    def _fit(self, frame: np.ndarray, faces: Faces, face: int) -> Mesh | None:
        """Fits twice, so that the first frame of a face is seen like the later ones."""
        region = region_of_detection(faces.boxes[face], faces.points[face])
        rough = self._mesher.fit(frame, region)
        return self._accept(self._mesher.fit(frame, rough.region))

    def _accept(self, mesh: Mesh) -> Mesh | None:
        return mesh if mesh.score >= self._params.min_mesh_score else None

    def _track(self, mesh: Mesh, patch: np.ndarray, index: int, *, number: int | None) -> _Track:
        number = self._new_number() if number is None else number
        return _Track(number=number, mesh=mesh, patch=patch, last_seen=index)

    def _new_number(self) -> int:
        self._num_tracks += 1
        return self._num_tracks - 1


def search_squares(height: int, width: int) -> list[Square]:
    """Returns overlapping squares that cover a frame, as left, top and side.

    Their sides are the frame's short side and half of it; neighbours overlap by half, so a face
    of up to a quarter of the short side lies whole in one of them.
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


def _around(box: np.ndarray, scale: float) -> Square:
    """Returns the square around a box, larger than its longer side, in whole pixels."""
    side = max(2.0, float(np.ceil(scale * (box[2:] - box[:2]).max())))
    left, top = np.floor((box[:2] + box[2:]) / 2 - side / 2)
    return float(left), float(top), side


def _patch(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Reads the face on a coarse grid, so that what it shows can be compared."""
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


def _stayed(track: _Track, places: dict[int, np.ndarray]) -> float:
    """Returns how far a track is where it was a frame ago."""
    before = places.get(track.number)
    return 0.0 if before is None else float(overlap(track.mesh.box, before[None])[0])
