"""`GET /`: the page for people. It uses nothing but the public calls, and loads nothing from other servers."""

import re
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

STATIC = Path(__file__).parent.parent / "static"
PART = re.compile(r"[a-z]+\.(css|js|svg)")
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}
"""Trusted types: no script can write markup, be it ours or not; what comes from files stays text."""

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index(request: Request) -> Response:
    """The page."""
    return _answer(STATIC / "index.html", "text/html", request)


@router.get("/static/{name}")
async def part(name: str, request: Request) -> Response:
    """The page's scripts, styles and icon."""
    path = STATIC / name
    if not PART.fullmatch(name) or not path.is_file():
        raise HTTPException(404)
    return _answer(path, KINDS[path.suffix], request)


def _answer(path: Path, kind: str, request: Request) -> Response:
    """The file; or no more than that it is what the browser has already (RFC 9110, section 13.1.2)."""
    data = path.read_bytes()
    headers = HEADERS | {"ETag": f'"{sha256(data).hexdigest()}"'}
    known = {tag.strip().removeprefix("W/") for tag in ",".join(request.headers.getlist("if-none-match")).split(",")}
    if known & {headers["ETag"], "*"}:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)
