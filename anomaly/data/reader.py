"""stub"""
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
import PIL.Image
from anomaly.config import PreprocessConfig
from anomaly.data.ahead import map_ahead
from anomaly.data.decode import DEFAULT_LIMITS, Limits, Pixels, decode, to_image
from anomaly.data.preprocess import preprocess
from anomaly.errors import ImageError
Source = Path | bytes | PIL.Image.Image | Pixels
@dataclass(frozen=True, slots=True)
class Picture:
    pixels: Pixels
    height: int
    width: int
def read(source: Source, config: PreprocessConfig, *, name: str, limits: Limits = DEFAULT_LIMITS) -> Picture:
    image = decode(source, name=name, limits=limits) if isinstance(source, Path | bytes) else to_image(source)
    return Picture(preprocess(image, config), image.height, image.width)
def read_all(sources: Iterable[tuple[str, Source]], config: PreprocessConfig, *, limits: Limits = DEFAULT_LIMITS, workers: int | None = None) -> Iterator[Picture | ImageError]:
    def one(item):
        try: return read(item[1], config, name=item[0], limits=limits)
        except ImageError as e: return e
    yield from map_ahead(one, sources, workers=workers)
