"""Sessions of ONNX Runtime: what they say, and to whom."""

import numpy as np
import onnx
import pytest

from anomaly.bundle import StoredGraph
from anomaly.inference.onnx_sessions import session_of


def test_a_failing_pass_says_nothing_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    """Its error is raised, and whoever catches it says it."""
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy")
    node, sides = onnx.helper.make_node("Reshape", ["x", "sides"], ["y"]), np.array([2, 2])
    graph = onnx.helper.make_graph([node], "square", [x], [y], [onnx.numpy_helper.from_array(sides, "sides")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    session = session_of(StoredGraph(model.SerializeToString(), b""))
    assert session.run(None, {"x": np.ones(4, np.float32)})[0].shape == (2, 2)
    with pytest.raises(Exception, match="Reshape"):
        session.run(None, {"x": np.ones(5, np.float32)})
    assert capfd.readouterr().err == ""
