"""From a path the user gave to channels × size × size 8-bit pixels."""

from anomaly.data.ahead import map_ahead
from anomaly.data.datasets.describe import describe
from anomaly.data.datasets.inputs import expand_inputs
from anomaly.data.datasets.opening import open_dataset, open_defects
from anomaly.data.datasets.samples import Dataset, Label, Sample, Split, open_readable
from anomaly.data.decoding.appearance import Remark
from anomaly.data.decoding.decode import Pixels, decode, measure, to_array, to_image
from anomaly.data.decoding.limits import Limits
from anomaly.data.decoding.ranges import range_for
from anomaly.data.drawn import png_bytes
from anomaly.data.files.left_out import LeftOut, Why, left_out_sentences
from anomaly.data.files.outputs import DRAWINGS, drawn_heatmaps, heatmap_name, mark
from anomaly.data.floats import to_channels_last, to_floats, to_pixels
from anomaly.data.keys import distinct_rows, image_keys, part_keys
from anomaly.data.masks.coding import Mask, looks_inverted
from anomaly.data.masks.packed import PackedMask, PackedMasks
from anomaly.data.preprocess import preprocess, preprocess_batch, restore_map
from anomaly.data.ragged import PixelsOfImages, blank, chunk_size, chunks, take, together
from anomaly.data.reader import Named, Picture, Source, read, read_all
from anomaly.data.remarks import Remarks
from anomaly.data.splits import (
    NormalSplit,
    few_parts,
    num_normals_for,
    num_to_calibrate,
    one_of_each,
    split_distinct,
    split_normals,
)
from anomaly.data.store import PixelStore

__all__ = [
    "DRAWINGS",
    "Dataset",
    "Label",
    "LeftOut",
    "Limits",
    "Mask",
    "Named",
    "NormalSplit",
    "PackedMask",
    "PackedMasks",
    "Picture",
    "PixelStore",
    "Pixels",
    "PixelsOfImages",
    "Remark",
    "Remarks",
    "Sample",
    "Source",
    "Split",
    "Why",
    "blank",
    "chunk_size",
    "chunks",
    "decode",
    "describe",
    "distinct_rows",
    "drawn_heatmaps",
    "expand_inputs",
    "few_parts",
    "heatmap_name",
    "image_keys",
    "left_out_sentences",
    "looks_inverted",
    "map_ahead",
    "mark",
    "measure",
    "num_normals_for",
    "num_to_calibrate",
    "one_of_each",
    "open_dataset",
    "open_defects",
    "open_readable",
    "part_keys",
    "png_bytes",
    "preprocess",
    "preprocess_batch",
    "range_for",
    "read",
    "read_all",
    "restore_map",
    "split_distinct",
    "split_normals",
    "take",
    "to_array",
    "to_channels_last",
    "to_floats",
    "to_image",
    "to_pixels",
    "together",
]
