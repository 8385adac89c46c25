"""What the Open Inference Protocol answers: tensors with one value for each scored image, as JSON or as bytes.

Shapes: n images, h height, w width.
"""

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
from fastapi import Response
from numpy.typing import NDArray

from anomaly.data import Picture, Remarks, restore_map
from anomaly.inference import Detector
from service.edge.tensors import MAX_JSON_VALUES, Output
from service.engine.batcher import Scored
from service.errors import MalformedRequestError, Problem, UploadTooLargeError
from service.schemas.inference import InferAnswer, InferOutput, InferredTensor, InferRequest, TensorMetadata
from service.scoring import JudgedImage

HEADER_LENGTH = "Inference-Header-Content-Length"
HEATMAP, ERROR = "heatmap", "error"
"""Outputs that are answered only where they are asked for."""
NO_VERDICT = -1
MAX_MAP_VALUES = 2**26
"""Numbers in the heatmaps of one answer, where they are binary; in JSON MAX_JSON_VALUES."""
Outcomes = Sequence[JudgedImage | Problem]


def described(detector: Detector) -> list[TensorMetadata]:
    """Every output that a model has."""
    each = [-1]
    decided = [("score", "FP64"), ("p_value", "FP64"), ("is_anomalous", "INT8"), ("threshold", "FP64")]
    terms = [(name, "FP64") for name in detector.bundle.contents.statistics.names]
    return [
        *(TensorMetadata(name=name, datatype=datatype, shape=each) for name, datatype in [*decided, *terms]),
        TensorMetadata(name=HEATMAP, datatype="FP32", shape=[-1, -1, -1]),
        TensorMetadata(name=ERROR, datatype="BYTES", shape=each),
    ]


class Wanted:
    """The outputs of a request, by their names; True where one is to be binary. Raises MalformedRequestError."""

    def __init__(self, request: InferRequest, detector: Detector) -> None:
        known = [each.name for each in described(detector)]
        by_default = [InferOutput(name=name) for name in known if name not in (HEATMAP, ERROR)]
        self.is_binary: dict[str, bool] = {}
        for each in request.outputs or by_default:
            if each.name not in known or each.name in self.is_binary:
                raise MalformedRequestError(
                    f"The output {each.name[:80]!r} is asked for twice, or unknown; there are {', '.join(known)}."
                )
            chosen = each.parameters.binary_data
            self.is_binary[each.name] = request.parameters.binary_data_output if chosen is None else chosen

    @property
    def heatmap(self) -> bool:
        """Whether heatmaps are asked for."""
        return HEATMAP in self.is_binary

    @property
    def errors(self) -> bool:
        """Whether an image that fails has its reason among the outputs; else it fails the request."""
        return ERROR in self.is_binary

    def count_maps(self, pictures: Sequence[Picture], num_images: int) -> int:
        """How many numbers the heatmaps have; `pictures` are those of the `num_images` that could be scored.

        Raises MalformedRequestError if the images' sizes differ, UploadTooLargeError if the numbers are too many.
        """
        sizes = {(picture.height, picture.width) for picture in pictures}
        if len(sizes) > 1:
            raise MalformedRequestError(
                "Heatmaps are asked for, and the images have several sizes, which fit no tensor; send images of one "
                "size in a request."
            )
        num_each = max((height * width for height, width in sizes), default=0)
        num = num_images * num_each
        most = MAX_MAP_VALUES if self.is_binary[HEATMAP] else MAX_JSON_VALUES
        if num > most:
            raise UploadTooLargeError(
                f"The heatmaps of the request have {num} numbers, {num_each} for each image. One answer has at most "
                f"{MAX_MAP_VALUES} as binary data, and {MAX_JSON_VALUES} in JSON. {_advice(num, num_each, most)}"
            )
        return num


def _advice(num: int, num_each: int, most: int) -> str:
    """What to do about heatmaps of `num` numbers, of which `most` are answered; one has `num_each`."""
    if num_each > MAX_MAP_VALUES:
        return "Send a smaller picture."
    as_binary = "ask for the heatmaps as binary data (binary_data)"
    if num_each > most:
        return f"{as_binary.capitalize()}{', and send fewer images in a request' if num > MAX_MAP_VALUES else ''}."
    return f"Send fewer images in a request{f', or {as_binary}' if most < num <= MAX_MAP_VALUES else ''}."


def answer(request: InferRequest, wanted: Wanted, outcomes: Outcomes, detector: Detector, alpha: float) -> Response:
    """All that was asked for; may take a while where there are heatmaps."""
    bundle, tails, tensors = detector.bundle, [], []
    for name, is_binary in wanted.is_binary.items():
        output = _output(name, outcomes, detector)
        tensor: dict[str, Any] = {"name": name, "shape": list(output.values.shape), "datatype": output.datatype}
        if is_binary:
            tails.append(output.to_bytes())
            tensors.append(InferredTensor(**tensor, parameters={"binary_data_size": len(tails[-1])}))
        else:
            tensors.append(InferredTensor(**tensor, data=output.to_json()))
    parameters: dict[str, str | float] = {"digest": bundle.digest, "alpha": alpha}
    if shortage := detector.calibration.shortage(alpha):
        parameters["message"] = shortage
    judged = [each for each in outcomes if isinstance(each, JudgedImage)]
    if warnings := dict.fromkeys(each.warning for each in judged if each.warning):
        parameters["warning"] = "; ".join(warnings)
    remarks = Remarks()
    for each in judged:
        remarks.add(each.scored.picture.name, each.scored.picture.remarks)
    if sentences := remarks.sentences():
        parameters["remarks"] = "; ".join(sentences)
    answered = InferAnswer(
        model_name=bundle.name,
        model_version=str(bundle.version),
        id=request.id,
        parameters=parameters,
        outputs=tensors,
    )
    head = answered.model_dump_json(exclude_none=True).encode()
    if not tails:
        return Response(head, media_type="application/json")
    headers = {HEADER_LENGTH: str(len(head))}
    return Response(b"".join([head, *tails]), media_type="application/octet-stream", headers=headers)


def _output(name: str, outcomes: Outcomes, detector: Detector) -> Output:
    """One output of all images; what has failed has no numbers."""
    judged = [each if isinstance(each, JudgedImage) else None for each in outcomes]
    match name:
        case "is_anomalous":
            verdicts = [None if each is None else each.verdict.is_anomalous for each in judged]
            return Output.of(name, "INT8", [NO_VERDICT if verdict is None else verdict for verdict in verdicts])
        case "heatmap":
            return Output.of(name, "FP32", _heatmaps(judged, detector))
        case "error":
            return Output.of(
                name, "BYTES", ["" if isinstance(each, JudgedImage) else each.message for each in outcomes]
            )
    values = [None if each is None else _value(name, each) for each in judged]
    return Output.of(name, "FP64", [nan if value is None else value for value in values])


def _value(name: str, judged: JudgedImage) -> float | None:
    match name:
        case "score":
            return judged.scored.score
        case "p_value":
            return judged.verdict.p_value
        case "threshold":
            return judged.verdict.threshold
    return judged.scored.terms[name]


def _heatmaps(judged: Sequence[JudgedImage | None], detector: Detector) -> NDArray[np.float32]:
    """Of the images' own size (n, h, w), which all have that have one; an image that failed has NaN."""
    maps = [None if each is None else _restored(each.scored, detector) for each in judged]
    shape = next((each.shape for each in maps if each is not None), (1, 1))
    return np.stack([np.full(shape, nan, np.float32) if each is None else each for each in maps])


def _restored(scored: Scored, detector: Detector) -> NDArray[np.float32]:
    assert scored.heatmap is not None  # noqa: S101  # it was asked for
    return restore_map(scored.heatmap, detector.preprocess, scored.picture.height, scored.picture.width)
