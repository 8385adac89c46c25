"""Samples for the OpenAPI document: what is sent, and what the shipped model `mnist` answers, rounded."""

from typing import Any

SAMPLE_IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAA9klEQVR4nGNgGKJAtO7Tj8VLAlSxSLFUfPr379+///++zlPBkOz79+/banMVFZWi"
    "kxf40ORkP/37NxNqxvRDaLKq//6tYoVx9vaiSib8e6II5yx5bcTAwMDAwATlKzDsvw+XnMPvi6xR8/5vbyTupjPIkl7/jiBzDe8YIhn7lgFFrbpS"
    "PLKdDIzIklYMx1EkUXT+Z7iPJOnLcBNZUu/XTyRJXmQpBnfTXReRJB8iyynO+7YARfGC1XAm24TXeihyDGL3KqAsjqAnaHIMDF7PoVGR8LEMJobw"
    "Xobvzs83TRgYiuZO/oAhyaBfwsAWuvTM1jvohpIBAC5KTNovstfNAAAAAElFTkSuQmCC"
)
"""docs/examples/zero.png in base64: a picture of 28 × 28 pixels."""
IDENTITY = {
    "model": "mnist",
    "version": 2,
    "digest": "79754aae9a85572320760adac18abefbfa772d822dbad48bb398f8a475ebdbac",
}
FOUND: dict[str, Any] = {
    "part": None,
    "filename": "zero.png",
    "score": 1.376,
    "p_value": 0.911,
    "threshold": 4.11,
    "is_anomalous": False,
    "alpha": 0.05,
    "message": None,
    "warning": None,
    "remarks": [],
    "terms": {"residual": 61.08, "feature_matching": 47.13, "cross_entropy": 0.612},
    "history_id": None,
}
SCORE_ANSWER = IDENTITY | FOUND
BATCH_ANSWER = IDENTITY | {
    "results": [
        FOUND,
        {
            "part": None,
            "filename": "notes.txt",
            "error": {"code": "unsupported_format", "message": "notes.txt: not an image of an accepted format"},
        },
    ]
}
FORM = {"file": "the bytes of docs/examples/zero.png", "model": "mnist", "alpha": 0.05}
FORM_OF_MANY = {
    "files": ["the bytes of docs/examples/zero.png", "the bytes of docs/examples/six.png"],
    "model": "mnist",
}
INFER_REQUEST = {
    "id": "42",
    "parameters": {"alpha": 0.05},
    "inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [SAMPLE_IMAGE]}],
    "outputs": [{"name": "score"}, {"name": "p_value"}, {"name": "is_anomalous"}, {"name": "threshold"}],
}
INFER_ANSWER = {
    "model_name": "mnist",
    "model_version": "2",
    "id": "42",
    "parameters": {"digest": IDENTITY["digest"], "alpha": 0.05},
    "outputs": [
        {"name": "score", "shape": [1], "datatype": "FP64", "data": [1.376]},
        {"name": "p_value", "shape": [1], "datatype": "FP64", "data": [0.911]},
        {"name": "is_anomalous", "shape": [1], "datatype": "INT8", "data": [0]},
        {"name": "threshold", "shape": [1], "datatype": "FP64", "data": [4.11]},
    ],
}


def answered(sample: Any) -> dict[int | str, dict[str, Any]]:
    """A route's `responses` with a sample of the answer to what succeeds."""
    return {200: {"content": {"application/json": {"example": sample}}}}
