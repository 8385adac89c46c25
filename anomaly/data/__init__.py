"""From a path the user gave to channels × size × size 8-bit pixels."""

from anomaly.data.ahead import map_ahead
from anomaly.data.datasets import open_dataset
from anomaly.data.decode import Limits, Pixels, decode, to_array, to_image
from anomaly.data.inputs import expand_inputs
from anomaly.data.keys import image_keys
from anomaly.data.masks import Mask, is_mask_name, looks_inverted, match_masks
from anomaly.data.preprocess import preprocess, preprocess_batch, restore_map, to_pixels
from anomaly.data.reader import Picture, Source, read, read_all
from anomaly.data.samples import Dataset, Label, Sample, Split
from anomaly.data.splits import NormalSplit, split_normals
from anomaly.data.store import PixelStore

__all__ = [
    "Dataset",
    "Label",
    "Limits",
    "Mask",
    "NormalSplit",
    "Picture",
    "PixelStore",
    "Pixels",
    "Sample",
    "Source",
    "Split",
    "decode",
    "expand_inputs",
    "image_keys",
    "is_mask_name",
    "looks_inverted",
    "map_ahead",
    "match_masks",
    "open_dataset",
    "preprocess",
    "preprocess_batch",
    "read",
    "read_all",
    "restore_map",
    "split_normals",
    "to_array",
    "to_image",
    "to_pixels",
]
