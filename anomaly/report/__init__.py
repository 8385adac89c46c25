"""What people look at: figures, sheets of images, the report's page. Needs the extra `report`.

Whoever is above imports these modules inside the functions that draw, after `require`.
"""

from importlib import import_module

from anomaly.errors import UsageError

_LIBRARIES = ("matplotlib", "jinja2")


def require(what: str) -> None:
    """Call this before any work of which something is drawn at the end; `what` begins the message.

    Raises:
        UsageError: a library of the extra `report` is not installed.
    """
    for library in _LIBRARIES:
        try:
            import_module(library)
        except ImportError as error:
            raise UsageError(f"{what} needs {library}: pip install 'anomaly[report]'") from error
