import json
import tracemalloc
from base64 import b64encode, encodebytes
from struct import pack
from typing import Any

import numpy as np
import pytest

from service.edge import tensors
from service.edge.tensors import InferBody, Output
from service.errors import MalformedRequestError, UploadTooLargeError

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def image_input(datatype: str, shape: list[int], **rest: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "image", "datatype": datatype, "shape": shape, **rest}]}


def in_json(datatype: str, shape: list[int], data: Any) -> InferBody:
    return InferBody.split(json.dumps(image_input(datatype, shape, data=data)).encode(), None)


def binary(datatype: str, shape: list[int], tail: bytes, *, size: int | None = None) -> InferBody:
    sized = {"binary_data_size": len(tail) if size is None else size}
    head = json.dumps(image_input(datatype, shape, parameters=sized)).encode()
    return InferBody.split(head + tail, str(len(head)))


def images_of(body: InferBody) -> list[Any]:
    return [each if isinstance(each, bytes) else each.tolist() for each in body.parse(max_images=8)[1].images]


def why_not(body: InferBody) -> str:
    with pytest.raises(MalformedRequestError) as error:
        body.parse(max_images=8)
    return str(error.value)


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_encoded_images_by_both_ways(shape: list[int]) -> None:
    data: list[Any] = [b64encode(each).decode() for each in (b"\x89PNG", b"")]
    nested = data if len(shape) == 1 else [[each] for each in data]
    tail = b"".join(pack("<I", len(each)) + each for each in (b"\x89PNG", b""))
    assert images_of(in_json("BYTES", shape, data)) == [b"\x89PNG", b""]
    assert images_of(in_json("BYTES", shape, nested)) == [b"\x89PNG", b""]
    assert images_of(binary("BYTES", shape, tail)) == [b"\x89PNG", b""]


@pytest.mark.parametrize("shape", [[2, 3, 4], [1, 2, 3, 4]])
def test_pixels_nested_flat_and_binary(shape: list[int]) -> None:
    pixels = PIXELS.reshape(shape)
    for body in (
        in_json("UINT8", shape, pixels.tolist()),
        in_json("UINT8", shape, pixels.ravel().tolist()),
        binary("UINT8", shape, pixels.tobytes()),
    ):
        assert images_of(body) == pixels.tolist()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ([0] * 23, "shape"),
        ([256] + [0] * 23, "from 0 to 255"),
        ([-1] + [0] * 23, "from 0 to 255"),
        ([0.5] + [0] * 23, "whole numbers"),
        ([True] * 24, "whole numbers"),
        (["0"] * 24, "whole numbers"),
        ([2**70] + [0] * 23, "whole numbers"),
        ([[0, 0], [0]], "lists of one size"),
        ([[[]]], "whole numbers"),
        ([], "whole numbers"),
        ([[0] * 12] * 2, "shape"),
    ],
)
def test_data_that_are_no_pixels_of_this_shape_are_refused(data: Any, word: str) -> None:
    assert word in why_not(in_json("UINT8", [2, 3, 4], data))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_base64_may_stand_in_lines(end: str) -> None:
    data = bytes(range(256))
    text = encodebytes(data).decode().replace("\n", end)
    assert text.count(end) > 1
    assert images_of(in_json("BYTES", [1], [text])) == [data]


@pytest.mark.parametrize("data", [["no base64!"], ["AAA"], [5], [None], ["äöü="], [{}]])
def test_an_element_that_is_no_base64_is_named(data: list[Any]) -> None:
    assert "Element 0" in why_not(in_json("BYTES", [1], data))


@pytest.mark.parametrize(
    "tail", [b"", b"\1\0\0", b"\2\0\0\0a", b"\1\0\0\0ab", b"\1\0\0\0a\1\0\0\0b", b"\xff\xff\xff\xffa"]
)
def test_binary_elements_that_do_not_end_where_they_say_are_refused(tail: bytes) -> None:
    assert "1 elements" in why_not(binary("BYTES", [1], tail))


@pytest.mark.parametrize(
    ("datatype", "shape"),
    [("UINT8", [4]), ("UINT8", [1, 1, 2, 3, 4]), ("BYTES", [2, 2]), ("FP32", [2, 3, 4]), ("uint8", [2, 3, 4])],
)
def test_other_types_and_shapes_are_told_what_there_is(datatype: str, shape: list[int]) -> None:
    assert "It may be BYTES" in why_not(in_json(datatype, shape, [0]))


@pytest.mark.parametrize("shape", [[0], [-1], [2, 0, 3]])
def test_an_empty_shape_is_refused(shape: list[int]) -> None:
    assert "no image" in why_not(in_json("UINT8", shape, []))


def test_sizes_that_contradict_each_other_are_refused() -> None:
    assert "Behind the JSON object are 24 bytes" in why_not(binary("UINT8", [2, 3, 4], PIXELS.tobytes(), size=23))
    assert "needs data" in why_not(InferBody.split(json.dumps(image_input("BYTES", [1])).encode(), None))
    both = image_input("BYTES", [1], data=["AAAA"], parameters={"binary_data_size": 3})
    assert "give one" in why_not(InferBody.split(json.dumps(both).encode(), None))
    assert "25" in why_not(binary("UINT8", [1, 5, 5], bytes(24)))


@pytest.mark.parametrize("length", ["0", "-1", "999", "two", "²", "", "9" * 5000])
def test_a_header_length_that_is_no_part_of_the_body_is_refused(length: str) -> None:
    with pytest.raises(MalformedRequestError, match="from 1 to 2"):
        InferBody.split(b"{}", length)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "nonsense", '{"inputs": 5}', '{"inputs": [{"name": "image"}]}', "\xff", "[" * 10_000]
)
def test_json_that_is_no_request_is_refused(text: str) -> None:
    assert why_not(InferBody.split(text.encode("latin-1"), None))


def test_an_unknown_parameter_is_refused_and_one_of_a_scheduler_is_passed_over() -> None:
    request = image_input("UINT8", [1, 1, 1], data=[0])
    mistyped = json.dumps(request | {"parameters": {"alhpa": 0.1}}).encode()
    assert "alhpa" in why_not(InferBody.split(mistyped, None))
    scheduled = json.dumps(request | {"parameters": {"priority": 1, "timeout": 5}, "model_name": "m"}).encode()
    asked, _ = InferBody.split(scheduled, None).parse(max_images=1)
    assert asked.parameters.alpha is None


def test_too_many_images_or_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UploadTooLargeError, match="at most 1 "):
        in_json("UINT8", [2, 3, 4], PIXELS.tolist()).parse(max_images=1)
    monkeypatch.setattr(tensors, "MAX_JSON_VALUES", 20)
    with pytest.raises(UploadTooLargeError, match="as binary data"):
        in_json("UINT8", [2, 3, 4], PIXELS.tolist())


def test_names_and_texts_without_end_are_refused_before_they_are_read() -> None:
    """Each would cost a hundred times what a number costs, and all other requests wait while they are read."""
    named = {f"{number:x}": 1 for number in range(tensors.MAX_JSON_TEXTS)}
    with pytest.raises(UploadTooLargeError, match="more than the 65536 names and texts"):
        InferBody.split(json.dumps(image_input("UINT8", [1, 1, 1], data=[0]) | {"parameters": named}).encode(), None)
    quoted = {"name": "part", "shape": [1], "datatype": "BYTES", "data": ['"' * 100]}
    assert InferBody.split(json.dumps({"inputs": [quoted]}).encode(), None).num_texts == 8


def test_the_memory_of_nested_lists_is_counted() -> None:
    depth, num = 150, 2000
    nested = InferBody.split(b"[%b0]" % ((b"[" * depth + b"]" * depth + b",") * num), None)
    tracemalloc.start()
    read = json.loads(nested.head)
    num_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(read) == num + 1
    assert num_bytes < nested.num_bytes


def test_the_request_is_kept_without_its_images() -> None:
    asked, _ = in_json("UINT8", [2, 3, 4], PIXELS.tolist()).parse(max_images=2)
    assert asked.inputs == []


def test_outputs_as_json_and_as_bytes() -> None:
    numbers = Output.of("score", "FP64", [1.5, float("nan")])
    assert numbers.to_json() == [1.5, None]
    np.testing.assert_array_equal(np.frombuffer(numbers.to_bytes(), "<f8"), [1.5, np.nan])
    texts = Output.of("error", "BYTES", ["", "ä"])
    assert (texts.to_json(), texts.to_bytes()) == (["", "ä"], b"\0\0\0\0\2\0\0\0\xc3\xa4")
    verdicts = Output.of("is_anomalous", "INT8", [1, 0, -1])
    assert (verdicts.to_json(), verdicts.to_bytes()) == ([1, 0, -1], b"\1\0\xff")


def labelled(*inputs: dict[str, Any], tail: bytes = b"") -> InferBody:
    """A request of two images and further inputs."""
    image = {"name": "image", "datatype": "BYTES", "shape": [2], "data": ["YQ==", "Yg=="]}
    head = json.dumps({"inputs": [image, *inputs]}).encode()
    return InferBody.split(head + tail, str(len(head)))


def texts(name: str, *data: Any, shape: list[int] | None = None, **rest: Any) -> dict[str, Any]:
    return {"name": name, "datatype": "BYTES", "shape": shape or [len(data)], "data": list(data)} | rest


def test_parts_and_names_are_texts_for_each_image() -> None:
    sent = labelled(texts("filename", "ä.png", ""), texts("part", ["A-1"], ["A-2"], shape=[2, 1])).parse(max_images=8)[
        1
    ]
    assert (sent.parts, sent.filenames) == (["A-1", "A-2"], ["ä.png", None])
    alone = labelled().parse(max_images=8)[1]
    assert (alone.parts, alone.filenames) == ([None, None], [None, None])


def test_binary_inputs_lie_behind_each_other_in_their_order() -> None:
    elements = {name: b"".join(pack("<I", len(each)) + each for each in found) for name, found in {
        "part": (b"A-1", "\u00e4".encode()), "filename": (b"", b"b.png")}.items()}  # fmt: skip
    inputs = [
        {"name": name, "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(data)}}
        for name, data in elements.items()
    ]
    for order in (1, -1):
        ordered = list(elements.values())[::order]
        sent = labelled(*inputs[::order], tail=b"".join(ordered)).parse(max_images=8)[1]
        assert (sent.images, sent.parts, sent.filenames) == ([b"a", b"b"], ["A-1", "ä"], [None, "b.png"])
    assert "Behind the JSON object are" in why_not(labelled(*inputs, tail=elements["part"]))


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (texts("part", "A"), "shape [2]"),
        (texts("part", "A", "B", shape=[3]), "shape [2]"),
        (texts("part", "A", "B", "C", shape=[2]), "3 elements"),
        (texts("part", "A", "B", datatype="UINT8"), "BYTES"),
        (texts("part", "A", 5), "part[1]"),
        (texts("part", "A", "B" * 200), "part[1]"),
        (texts("filename", "a", "b\nc"), "filename[1]"),
        (texts("serial", "A", "B"), "'serial'"),
        (texts("image", "YQ==", "Yg=="), "each once"),
    ],
)
def test_labels_that_are_none_are_refused_by_name(further: dict[str, Any], words: str) -> None:
    assert words in why_not(labelled(further))


def test_labels_that_are_no_text_are_refused() -> None:
    data = pack("<I", 1) + b"A" + pack("<I", 1) + b"\xff"
    sized = {"name": "part", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(data)}}
    assert why_not(labelled(sized, tail=data)) == "part[1] is not text in UTF-8."
