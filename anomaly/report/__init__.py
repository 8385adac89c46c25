"""What people look at: figures, sheets of images, the report's page. Needs the extra `report`.

Whoever is above imports these modules inside the functions that draw, after `require_report`.
"""

from anomaly.extras import require


def require_report(what: str) -> None:
    """Call this before any work of which something is drawn at the end; `what` begins the message.

    Raises:
        UsageError: a library of the extra `report` is not installed.
    """
    require(what, "report", "matplotlib", "jinja2")
