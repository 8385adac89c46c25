"""`GET /`: the page for people. It uses nothing but the public calls, and loads nothing from elsewhere."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

STATIC = Path(__file__).parent.parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html", media_type="text/html", headers=HEADERS)


@router.get("/style.css")
async def style() -> FileResponse:
    """Its looks."""
    return FileResponse(STATIC / "style.css", media_type="text/css", headers=HEADERS)


@router.get("/app.js")
async def script() -> FileResponse:
    """Its behaviour."""
    return FileResponse(STATIC / "app.js", media_type="text/javascript", headers=HEADERS)
