"""A path prefix, under which a proxy shows the service: `root_path`, such as /anomaly.

A proxy may pass the prefix on or strip it, so both are answered: what begins with the prefix loses it here, and all
behind this knows none. The page and the documentation link to their parts relative to themselves, so the path of the
page needs its slash: the prefix alone is redirected to it, with its query.
"""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class StripPrefix:
    """ASGI middleware that takes `root_path` from the paths that begin with it."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        """`root_path` begins with a slash and does not end with one."""
        self.app = app
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the prefix alone is redirected."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if path == self.root_path:
                query = str(scope["query_string"], "latin-1")
                await RedirectResponse(f"{self.root_path}/{query and '?'}{query}", 308)(scope, receive, send)
                return
            if path.startswith(f"{self.root_path}/"):
                scope["path"] = path.removeprefix(self.root_path)
        await self.app(scope, receive, send)
