"""Proposes a region of interest: the places where normal pictures agree on a structure, and what these enclose.

Pictures are grey, float (n, h, w), all of one size with sides of at most SIDE. Of each place, in a Gaussian window:

    structure   the standard deviation of the median picture: what all normals have in common there
    agreement   the same, as a share of what a normal picture has there (the median of the pictures' own)

A place counts where its structure is above Otsu's threshold (of its logarithm) and its agreement above MIN_AGREEMENT.
An even background has no structure; on a background that changes, and on textures, pictures do not agree. Where places
above the threshold have less than MIN_CONTRAST times the structure of the others, as from uneven light on a texture, no
part stands out. Gaps are closed, small islands dropped, holes filled. The window leaves a margin around the part.
Nothing of this knows what a part is: a background that is the same in all pictures, such as a holder, is inside.

Source of the threshold: Otsu 1979, "A threshold selection method from gray-level histograms", equation 18.
"""

import numpy as np
from numpy.typing import NDArray

from anomaly.config.region import Inside

SIDE = 256
MIN_PICTURES = 10
MIN_AGREEMENT = 0.5
MIN_CONTRAST = 3.0
MIN_ISLAND = 0.1  # of the largest island's pixels
MIN_SHARE, MAX_SHARE = 0.02, 0.8  # of the picture
_WINDOWS = 64  # across the longer side
_NUM_BINS = 256


def propose(pictures: NDArray[np.float32]) -> tuple[Inside | None, float]:
    """The region, None where there is no sensible one; and the share of the picture that would be inside."""
    from scipy import ndimage  # here, because it takes half a second to import

    window = max(pictures.shape[1:]) / _WINDOWS
    structure = _deviation(np.median(pictures, axis=0), window)
    usual = np.median([_deviation(picture, window) for picture in pictures], axis=0)
    level = np.log1p(structure)
    stands_out = level > _otsu(level)
    if stands_out.all() or level[stands_out].mean() - level[~stands_out].mean() < np.log(MIN_CONTRAST):
        return None, 0.0
    agrees = stands_out & (structure > MIN_AGREEMENT * (usual + 1))  # 1: a grey level, of rounding
    reach = max(1, round(2 * window))
    closed = ndimage.binary_closing(np.pad(agrees, reach), iterations=reach)[reach:-reach, reach:-reach]
    islands, num_islands = ndimage.label(closed)
    if not num_islands:
        return None, 0.0
    sizes = np.bincount(islands.ravel())[1:]
    kept = np.isin(islands, 1 + np.flatnonzero(sizes >= MIN_ISLAND * sizes.max()))
    inside: Inside = ndimage.binary_fill_holes(kept)
    share = float(inside.mean())
    return (inside if MIN_SHARE <= share <= MAX_SHARE else None), share


def num_pieces(inside: Inside) -> int:
    """How many pieces a region has that do not touch each other."""
    from scipy import ndimage

    return int(ndimage.label(inside)[1])


def _deviation(picture: NDArray[np.float32], window: float) -> NDArray[np.float64]:
    """The standard deviation of the pixels about each, weighted by a Gaussian of this standard deviation."""
    from scipy import ndimage

    exact = picture.astype(np.float64)
    mean = ndimage.gaussian_filter(exact, window)
    deviation: NDArray[np.float64] = np.sqrt((ndimage.gaussian_filter(exact**2, window) - mean**2).clip(0))
    return deviation


def _otsu(values: NDArray[np.float64]) -> float:
    """The threshold that maximises the variance between the two classes; of equal values, that value."""
    counts, edges = np.histogram(values, _NUM_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    num_below, sum_below = np.cumsum(counts)[:-1], np.cumsum(counts * centres)[:-1]
    num, total = counts.sum(), (counts * centres).sum()
    apart = (total * num_below / num - sum_below) ** 2 / np.maximum(num_below * (num - num_below), 1)
    return float(edges[1 + int(apart.argmax())])
