"""What the console stands on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stillframe.accounts.accounts import Accounts
from stillframe.accounts.console_sessions import ConsoleSessions
from stillframe.accounts.keys import AccessKeys, UsedNonces
from stillframe.accounts.policy_store import Policies
from stillframe.accounts.throttle import Throttle
from stillframe.accounts.users import Users
from stillframe.console.api_actions import ApiActions
from stillframe.events.history import EventHistory
from stillframe.media.config import Caps
from stillframe.service.job_gallery import JobGallery
from stillframe.service.job_previews import JobPreviews
from stillframe.service.objects import Objects
from stillframe.service.permission import Permission
from stillframe.service.track_checks import TrackChecks
from stillframe.service.track_preview import TrackPreviews
from stillframe.service.use_cases import Services


@dataclass(frozen=True, slots=True)
class Rooms:
    """The use cases, the API's actions, who may use them, who is logged in, and what only the account may change.

    `caps` are the most that is made of one video, and `region` is what a new bucket has if nothing else is said.
    `public_url` is how the server is reached; `is_unavailable` knows the exceptions that mean "the database is away".
    """

    services: Services
    actions: ApiActions
    gallery: JobGallery
    job_previews: JobPreviews
    track_previews: TrackPreviews
    checks: TrackChecks
    objects: Objects
    accounts: Accounts
    permission: Permission
    throttle: Throttle
    sessions: ConsoleSessions
    caps: Caps
    region: str
    users: Users
    keys: AccessKeys
    policies: Policies
    nonces: UsedNonces
    event_history: EventHistory
    public_url: Callable[[], str]
    is_unavailable: Callable[[Exception], bool]
