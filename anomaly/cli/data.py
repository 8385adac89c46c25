"""`anomaly data`, and how other verbs say what DATA was taken for."""

from collections.abc import Sequence

from anomaly.cli.console import Data, Groups, Normal, names, out, say, usage


def data(data: Data, normal: Normal = "", groups: Groups = "") -> None:
    """Say what DATA is taken for: form, classes, masks, what train and evaluate take, and what is left out."""
    with usage():
        from anomaly.data import describe, open_dataset
        from anomaly.data.decoding.limits import DEFAULT_LIMITS
        from anomaly.pipeline.enough import shortage_of_normals
        from anomaly.recipes import few_beyond, peaks_of

        dataset = open_dataset(data, normal=names(normal), groups=groups)
        sentences = describe(dataset)
        if shortage := shortage_of_normals(dataset):
            sentences.append(shortage)
    say(*sentences, on=out)
    with usage():  # after the others: pictures of 16 bits are decoded for it
        if beyond := few_beyond(peaks_of(dataset.known_normals(), DEFAULT_LIMITS)):
            say(str(beyond), on=out)


def say_data(sentences: Sequence[str]) -> None:
    """Say on standard error what the data were taken for, before the work begins; each line begins with `data:`."""
    say(*(f"data: {sentence}" for sentence in sentences))
