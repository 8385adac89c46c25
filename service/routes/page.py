"""`GET /`: the page for people. It uses nothing but the public calls, and loads nothing from other servers."""

import re
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
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
async def index() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html", media_type="text/html", headers=HEADERS)


@router.get("/static/{name}")
async def part(name: str) -> FileResponse:
    """The page's scripts, styles and icon."""
    path = STATIC / name
    if not PART.fullmatch(name) or not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, media_type=KINDS[path.suffix], headers=HEADERS)
