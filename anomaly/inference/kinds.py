"""Which kind a bundle's networks are of: G, E and D of pictures, or places on pretrained features.

Each kind has one module for torch (`torch_engine`, `torch_places`) and one for ONNX Runtime (`onnx_engine`,
`onnx_places`), and they are chosen here. Either library may be missing, so both are imported where they are used.
"""

from typing import TYPE_CHECKING

from anomaly.bundle import Contents
from anomaly.inference.engine import Engine

if TYPE_CHECKING:
    from anomaly.inference.torch_engine import StoredNetworks
    from anomaly.inference.torch_places import StoredPlaces


def stored_networks(contents: Contents, called: str) -> "StoredNetworks | StoredPlaces":
    """The networks of the contents, to be run by torch or traced. Error messages call the bundle `called`."""
    from anomaly.inference.torch_engine import StoredNetworks
    from anomaly.inference.torch_places import StoredPlaces

    return (StoredNetworks if contents.manifest.recipe.has_generator else StoredPlaces)(contents, called)


def onnx_engine_of(contents: Contents) -> Engine:
    """The engine that runs the graph of the contents.

    Raises:
        ValueError: ONNX Runtime cannot load the graph, or it does not fit the rest.
    """
    from anomaly.inference.onnx_engine import OnnxEngine
    from anomaly.inference.onnx_places import onnx_place_engine

    return OnnxEngine(contents) if contents.manifest.recipe.has_generator else onnx_place_engine(contents)
