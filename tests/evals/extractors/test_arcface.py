"""ArcFace by path: what its network is given, and the cosine to the reference picture."""

from pathlib import Path

import numpy as np
import pytest

from evals.extractors import arcface
from evals.extractors.arcface import TEMPLATE, ArcFaceExtractor, arcface_chip, embed_chip
from evals.extractors.face import LANDMARKS, LEFT_EYE, RIGHT_EYE, landmark_columns
from evals.extractors.networks.door import WrongConvention
from evals.metrics.identity import IDENTITY_CONTRAST
from evals.protocols.base import MetricContext
from tests.evals.real_clips import recording

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that returns the first 512 numbers that it is given."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Flatten", ["data"], ["flat"]),
        helper.make_node("Slice", ["flat", "from", "to", "axis"], ["out"]),
    ]
    given = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])
    made = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 512])
    numbers = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("from", 0), ("to", 512), ("axis", 1))
    ]
    graph = helper.make_graph(nodes, "first", [given], [made], numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    path = tmp_path_factory.mktemp("onnx") / "first.onnx"
    onnx.save(model, str(path))
    return path


@pytest.fixture
def extractor(network: Path, monkeypatch: pytest.MonkeyPatch) -> ArcFaceExtractor:
    monkeypatch.setattr(arcface, "own_weights", lambda name: network)
    return ArcFaceExtractor()


def test_the_network_sees_signed_red_first(extractor: ArcFaceExtractor) -> None:
    chip = np.zeros((112, 112, 3), np.uint8)
    chip[0, :256] = (255, 10, 10)
    chip[0, 100] = (0, 255, 255)
    found = embed_chip(extractor._session, chip)
    row = np.ones(112)
    row[100] = -1
    given = np.concatenate([row, -np.ones(400)])
    np.testing.assert_allclose(found, given / np.linalg.norm(given), atol=1e-6)
    for wrong in (chip / np.float32(255), chip.transpose(2, 0, 1)):
        with pytest.raises(WrongConvention, match="ArcFace takes"):
            embed_chip(extractor._session, wrong)


def test_the_five_points_come_to_their_places() -> None:
    landmarks = np.zeros((len(LANDMARKS), 2), np.float32)
    for points, place in (
        (RIGHT_EYE, TEMPLATE[0]), (LEFT_EYE, TEMPLATE[1]), ((4,), TEMPLATE[2]),
        ((61,), TEMPLATE[3]), ((291,), TEMPLATE[4]),
    ):  # fmt: skip
        landmarks[landmark_columns(points)] = 2 * place + [100, 40]
    frame = np.zeros((400, 400, 3), np.uint8)
    x, y = 2 * TEMPLATE[2] + [100, 40]
    frame[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4] = 255
    chip = arcface_chip(frame, landmarks)
    rows, columns = np.nonzero(chip[..., 0] > 128)
    assert (columns.mean(), rows.mean()) == pytest.approx(tuple(TEMPLATE[2]), abs=0.6)


def test_csim_is_the_mean_cosine_to_the_reference() -> None:
    csim = IDENTITY_CONTRAST[0]
    embedding = np.zeros((4, 512), np.float32)
    embedding[:2, 0], embedding[2:, 1] = 1, 1
    frames = np.array([0, 5, 10, 15], np.int32)
    features = {
        "face": {"has_mesh": np.ones(20, bool)},
        "arcface": {
            "embedding": embedding, "frame": frames, "sampled": frames,
            "num_faces": np.ones(4, np.int32), "sharpness": np.ones(4),
        },
        "reference_arcface": {"embedding": np.eye(512, dtype=np.float32)[:1]},
    }  # fmt: skip
    score = csim.score(recording(reference_path=Path("r.png")), features, MetricContext())
    assert (csim.name, score.value) == ("csim", pytest.approx(0.5))
    assert score.components["num_sampled"] == 4
    nobody = csim.score(recording(), features, MetricContext())
    assert nobody.reason == "no reference picture"
