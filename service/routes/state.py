"""What the routes work with: made by the app for its lifetime, handed to each request."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.edge.bodies import BodyLimits
from service.engine.admission import Admission
from service.engine.batcher import Batcher
from service.engine.uploads import Uploads
from service.models.loading import Loading
from service.models.pool import Pool
from service.records.drift import DriftWatch
from service.records.history import History
from service.records.telemetry import Telemetry
from service.scoring import Scoring
from service.settings import Settings


@dataclass(frozen=True)
class State:
    """What one running app has."""

    settings: Settings
    pool: Pool
    loading: Loading
    admission: Admission
    batcher: Batcher
    scoring: Scoring
    body_limits: BodyLimits
    uploads: Uploads
    telemetry: Telemetry
    drift: DriftWatch
    history: History | None

    @property
    def is_ready(self) -> bool:
        """Able to score: all current bundles are settled, one at least is loaded, no stop is due, all threads live."""
        return self.pool.is_ready and not self.admission.is_closed and not self.batcher.failure


def state_of(request: Request) -> State:
    """The state of the app that got this request."""
    state: State = request.state.app_state
    return state


async def _of_request(request: Request) -> State:
    return state_of(request)  # async: else the framework asks a thread for it


AppState = Annotated[State, Depends(_of_request)]
