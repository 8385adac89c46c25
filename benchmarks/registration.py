"""What twenty lines of numpy do on parts in like places: registration, and a z-map.

Pictures are reduced to half their size. Each is turned by a few angles, reduced once more, and phase correlation
(Kuglin and Hines 1975) finds its shift against the first normal; the angle with the highest peak is kept. The map is
|x − mean| / std at each place, over the registered normals, after each picture is divided by its own smooth light. The
score is the strongest place of the smoothed map.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from anomaly.data import Sample, to_image

_COARSE, _FINE = np.arange(-1.5, 1.51, 0.5), (-0.25, -0.125, 0.125, 0.25)  # degrees; the latter about the best so far
_EDGE = 24  # pixels at half size that a shift may bring in
_LIGHT, _SMOOTH = 40.0, 1.0  # standard deviations, in pixels
_FLOOR = 0.02  # of the standard deviation, as a share of the brightness

Greys = NDArray[np.float32]


class _Moved(NamedTuple):
    """A picture turned by an angle and shifted to the peak of its phase correlation."""

    peak: float
    angle: float
    moved: Greys


def registration_scores(normals: Sequence[Sample], test: Sequence[Sample]) -> NDArray[np.float64]:
    """(n_test,), higher is more anomalous."""
    reference = _read(normals[0])
    registered = np.stack([registered_to(reference, _read(sample)) for sample in normals])
    mean, std = registered.mean(axis=0), registered.std(axis=0) + np.float32(_FLOOR)
    del registered
    return np.array([_strongest((registered_to(reference, _read(sample)) - mean) / std) for sample in test])


def registered_to(reference: Greys, picture: Greys) -> Greys:
    """The picture, turned and shifted to lie as the reference does."""
    small, spectrum = _halved(picture), np.conj(_spectrum(_halved(reference)))
    best = max((_moved(small, spectrum, angle) for angle in _COARSE), key=_peak)
    best = max([best, *(_moved(small, spectrum, best.angle + angle) for angle in _FINE)], key=_peak)
    return _moved(picture, np.conj(_spectrum(reference)), best.angle).moved


def _moved(picture: Greys, spectrum: NDArray[np.complexfloating], angle: float) -> _Moved:
    turned = ndimage.rotate(picture, angle, reshape=False, order=1, mode="nearest")
    cross = _spectrum(turned) * spectrum
    correlation = np.fft.irfft2(cross / (np.abs(cross) + 1e-6), picture.shape)
    down, right = np.unravel_index(correlation.argmax(), correlation.shape)
    return _Moved(float(correlation.max()), angle, np.roll(turned, (-int(down), -int(right)), axis=(0, 1)))


def _spectrum(picture: Greys) -> NDArray[np.complexfloating]:
    """Windowed, or the picture's edges, which do not move, would give the peak."""
    window = np.outer(*(np.hanning(side) for side in picture.shape))
    return np.fft.rfft2((picture - picture.mean()) * window)


def _halved(picture: Greys) -> Greys:
    rows, columns = (side // 2 * 2 for side in picture.shape)
    even = picture[:rows, :columns]
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4, np.float32)


def _peak(moved: _Moved) -> float:
    return moved.peak


def _strongest(z: Greys) -> float:
    inside = ndimage.gaussian_filter(np.abs(z), _SMOOTH)[_EDGE:-_EDGE, _EDGE:-_EDGE]
    return float(inside.max())


def _read(sample: Sample) -> Greys:
    """At half size, without its light."""
    greys = np.asarray(to_image(sample.open()).convert("L").reduce(2), np.float32)
    evened: Greys = greys / ndimage.gaussian_filter(greys, _LIGHT)
    return evened
