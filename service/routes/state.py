"""What the routes work with: made by the app for its lifetime, handed to each request."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.admission import Admission
from service.batcher import Batcher
from service.drift import DriftWatch
from service.history import History
from service.loading import Loading
from service.pool import Pool
from service.settings import Settings
from service.telemetry import Telemetry
from service.uploads import Uploads


@dataclass(frozen=True)
class State:
    """The parts of one running app."""

    settings: Settings
    pool: Pool
    loading: Loading
    admission: Admission
    batcher: Batcher
    uploads: Uploads
    telemetry: Telemetry
    drift: DriftWatch
    history: History | None


def parts_of(request: Request) -> State:
    """The parts of the app that got this request."""
    state: State = request.state.parts
    return state


async def _of_request(request: Request) -> State:
    return parts_of(request)  # async: else the framework asks a thread for it


Parts = Annotated[State, Depends(_of_request)]
