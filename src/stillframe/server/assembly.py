"""All rooms put together, for one process: database, queue, buckets, decoder, use cases, API."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import anyio.to_thread
import structlog
from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.types import ASGIApp

from stillframe.accounts.accounts import FIRST_ACCOUNT, Accounts
from stillframe.accounts.authorization import Authorizer
from stillframe.accounts.console_sessions import ConsoleSessions, LoginLinks
from stillframe.accounts.keys import AccessKeys, UsedNonces
from stillframe.accounts.shared_keyring import shared_keyring
from stillframe.accounts.sts import StsTokens
from stillframe.accounts.throttle import Throttle
from stillframe.catalog.assets import Assets
from stillframe.catalog.buckets import Buckets
from stillframe.catalog.pipelines import Pipelines
from stillframe.catalog.templates import Templates
from stillframe.console.app import Console
from stillframe.console.login import link_of
from stillframe.database.engine import Database, is_transient, make_engine
from stillframe.database.migrations import history
from stillframe.errors import StillframeError, Unavailable
from stillframe.events.callbacks import Callbacks
from stillframe.events.delivery import Deliverer
from stillframe.events.history import EventHistory, SettledEvents
from stillframe.events.outbox import Outbox
from stillframe.jobs.everywhere import Everywhere, Recall
from stillframe.jobs.nodes import Node
from stillframe.jobs.probe_step import ProbeStep
from stillframe.jobs.queue import Queue
from stillframe.jobs.registering import Registering
from stillframe.jobs.repair import Keeper, repair
from stillframe.jobs.retention import Chore, FinishedJobs, FinishedProbes, Sweeper, old_history
from stillframe.jobs.running import Running
from stillframe.jobs.steps import Steps
from stillframe.jobs.worker import Handlers, Worker
from stillframe.keyring import Keyring
from stillframe.media.config import Caps
from stillframe.sandbox.decoder import Decoder
from stillframe.sandbox.layers import available_layers, require
from stillframe.sandbox.parent import Sandbox
from stillframe.sandbox.session import Limits
from stillframe.sandbox.unlocked import Unlocked
from stillframe.server.api_document import document_route
from stillframe.server.cleaning import Cleaner
from stillframe.server.faces import application, make_calls, make_console, make_endpoint
from stillframe.server.files import file_routes
from stillframe.server.first_run import FirstRun, begin
from stillframe.server.health import health_routes
from stillframe.server.tracks import track_routes
from stillframe.service.asset_removal import AssetRemoval
from stillframe.service.assets import MediaAssets
from stillframe.service.backlog import Backlog
from stillframe.service.event_callbacks import EventCallbacks
from stillframe.service.file_links import FileLinks
from stillframe.service.job_gallery import JobGallery
from stillframe.service.job_previews import JobPreviews
from stillframe.service.job_tracks import JobTracks
from stillframe.service.media_addresses import MediaAddresses
from stillframe.service.objects import Objects
from stillframe.service.permission import Permission
from stillframe.service.probe_jobs import ProbeJobs
from stillframe.service.reserved_slot import ReservedSlot
from stillframe.service.shown_tracks import ShownTracks
from stillframe.service.snapshot_jobs import SnapshotJobs
from stillframe.service.track_checks import TrackChecks
from stillframe.service.track_preview import TrackPreviews
from stillframe.settings import Settings
from stillframe.storage.bucket import Bucket
from stillframe.storage.cached_source import Fetching, fetch_by
from stillframe.storage.track_links import TrackGrant
from stillframe.telemetry import Metrics

#: what is told to give up does so within a moment
_GIVE_BACK_S = 20.0
_FILES = "files"
log = structlog.get_logger(__name__)


class Assembly:
    """Everything that a server or a worker needs, made from its settings and the address of its database.

    Raises KeyringError when the secrets in a shared database were encrypted with another keyring.
    """

    def __init__(
        self,
        settings: Settings,
        url: URL,
        *,
        owns_database: bool,
        metrics: Metrics | None = None,
        serves: bool = True,
    ) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.database = Database(make_engine(url, slots=settings.slots))
        history.upgrade(self.database.engine)
        # with a database of the operator's own nobody else has made it
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        fetch_by(Fetching(settings.range_requests, settings.range_piece_bytes, settings.range_gap_bytes))
        try:
            self.keyring = (
                Keyring.of(settings.data_dir, settings.keyring_file)
                if owns_database
                else shared_keyring(
                    self.database, settings.data_dir, settings.keyring_file, may_make_one=serves
                )
            )
        except BaseException:
            self.database.close()
            raise
        self.accounts = Accounts(self.database)
        self.keys = AccessKeys(self.database, self.keyring)
        self.sts = StsTokens(self.database, self.keyring)
        self.nonces = UsedNonces(self.database)
        self.buckets = Buckets(self.database)
        self.pipelines = Pipelines(self.database)
        self.templates = Templates(self.database)
        self.assets = Assets(self.database)
        self.queue = Queue()
        self.outbox = Outbox(self.database)
        self._callbacks = Callbacks(self.database, self.keyring)
        self.event_history = EventHistory(self.database, self.outbox)
        self.running = Running()
        #: what is made of one video at the most
        self.caps = Caps(settings.max_shots, settings.max_sheet_side_px, settings.max_sheet_pixels)
        everywhere = Everywhere(
            self.database, self.queue, self.running, None if owns_database else self._own_workers
        )
        #: where clients find the server; known for sure once it listens
        self.public_url = settings.public_url or f"http://{settings.host}:{settings.port}"
        self._links = FileLinks(
            lambda: self.public_url,
            self.keyring.hmac_key(_FILES),
            max_expiry_s=settings.url_expiry_max_seconds,
        )
        self._tracks = ShownTracks(self.buckets, self._links)
        media = MediaAddresses(self.database, self.assets, self.buckets)
        backlog = Backlog(self.database, settings.max_queued_jobs)
        self.jobs = SnapshotJobs(
            self.database,
            self.queue,
            self.outbox,
            self.buckets,
            self.templates,
            media,
            everywhere,
            links=self._links,
            backlog=backlog,
            max_shots=settings.max_shots,
            max_read_bytes=settings.max_read_bytes,
            metrics=self.metrics,
        )
        self.media_assets = MediaAssets(
            self.database,
            self.queue,
            self.outbox,
            self.buckets,
            self.assets,
            AssetRemoval(self.database, self.outbox, self.buckets, self.jobs, everywhere),
            self._links,
        )
        self.probes = ProbeJobs(
            self.database,
            self.queue,
            media,
            backlog,
            ReservedSlot(settings.sync_probe_waiting),
            self._reserved_step,
            seconds=settings.sync_probe_seconds,
        )
        self.gallery = JobGallery(self.database, self.buckets, self._links, everywhere)
        tracks = JobTracks(self.database, self.buckets)
        self.track_previews = TrackPreviews(self.buckets, tracks, self._links)
        self.checks = TrackChecks(self.database, tracks)
        self.job_previews = JobPreviews(self.buckets, self._reserved, self.metrics, settings.max_read_bytes)
        self.objects = Objects(self.buckets, self._links)
        self.login_links = LoginLinks(self.database)
        self.sessions = ConsoleSessions(
            self.database,
            self.keys,
            hours=settings.console_session_hours,
            idle_hours=settings.console_idle_hours,
        )
        self.event_callbacks = EventCallbacks(self._callbacks, settings.callback_allow_networks)
        self._deliverer: Deliverer | None = None
        self._url = url
        self._owns_database = owns_database
        self._serves = serves
        self._node: Node | None = None
        self._decoder: Decoder | None = None
        #: of calls that wait for their answer: no work of the queue's is between, not even in its threads
        self._reserved_decoder: Decoder | None = None
        self._reserving = threading.Lock()
        self._is_stopping = False
        self._worker: Worker | None = None
        self._recall: Recall | None = None
        self._keeper: Keeper | None = None
        self._sweeper: Sweeper | None = None
        self._cleaner: Cleaner | None = None
        self._ready = threading.Event()
        self._console: Console | None = None
        self.is_hurried = False

    def first_run(self) -> FirstRun | None:
        """See `first_run.begin`."""
        return begin(self.database, self.accounts, self.pipelines, self.keys, self.buckets, self.settings)

    def login_link(self) -> str | None:
        """An address that logs somebody in to the console once, as the first account; None without a console."""
        account_id = self.accounts.find(FIRST_ACCOUNT)
        if self._console is None or account_id is None:
            return None
        return link_of(self.public_url, self.login_links.make(account_id))

    def start(self, *, works: bool = True, pipelines: Sequence[str] | None = None) -> None:
        """Begin to do what is not an answer to a request; `works`: jobs, too, or only those of `pipelines`.

        Raises SandboxUnavailable where the decoder cannot be locked in, and ConfigError for a pipeline that
        nobody has.
        """
        settings = self.settings
        works_on = self.pipelines.named(pipelines) if pipelines is not None else None
        if settings.sandbox != "off":
            # without a worker, too, there are videos to be looked at for those who wait
            require(available_layers())
        self._node = Node(
            self.database, serves=self._serves, slots=settings.slots if works else 0, pipelines=works_on
        )
        if works:
            self._decoder = self._make_decoder()
            self._start_worker(self._decoder, works_on)
        if self._serves:
            # what accounts are told and what goes for good is by the settings of servers: a worker may have others,
            # and may be where callbacks cannot be reached
            self._start_deliverer()
        self._node.appear()
        self._keeper = Keeper(self.database, self.queue, self._worker, self._node, self.metrics)
        self._keeper.start()
        if self._serves:
            self._sweeper = Sweeper(self.database, self.metrics, self._chores())
            self._sweeper.start()
        self._cleaner = Cleaner(self.buckets)
        self._cleaner.start()
        self._ready.set()

    def _start_deliverer(self) -> None:
        self._deliverer = Deliverer(
            self.outbox,
            self._callbacks,
            self.metrics,
            allowed=self.settings.callback_allow_networks,
            retry_s=self.settings.callback_retry_seconds,
        )
        self._deliverer.start()

    def _start_worker(self, decoder: Decoder, pipelines: Sequence[str] | None) -> None:
        settings = self.settings
        if self._owns_database:
            self.metrics.note_repaired(repair(self.database, self.queue, all_workers_are_dead=True))
        steps = Steps(
            self.database,
            self.queue,
            self.outbox,
            self.buckets,
            decoder,
            self.running,
            self.metrics,
            slots=settings.slots,
            attempts=settings.slice_attempts,
            max_read_bytes=settings.max_read_bytes,
        )
        registering = Registering(
            self.database,
            self.queue,
            self.outbox,
            self.buckets,
            decoder,
            self.running,
            self.metrics,
            attempts=settings.slice_attempts,
            max_read_bytes=settings.max_read_bytes,
        )
        probing = self._probe_step(decoder)
        handlers = Handlers(steps.survey, steps.render, steps.finish, registering.register, probing.probe)
        self._worker = Worker(
            self._url, handlers, settings.slots, pipelines=pipelines, owns_database=self._owns_database
        )
        self._worker.start()
        if not self._owns_database:
            self._recall = Recall(self._url, self.running)
            self._recall.start()

    def _own_workers(self) -> list[int]:
        return self._worker.ids() if self._worker is not None else []

    def _make_decoder(self) -> Decoder:
        settings = self.settings
        if settings.sandbox == "off":
            return Unlocked(self.caps)
        require(available_layers())
        return Sandbox(Limits(no_progress_s=settings.watchdog_seconds), self.caps)

    def _probe_step(self, decoder: Decoder) -> ProbeStep:
        return ProbeStep(
            self.database,
            self.queue,
            self.buckets,
            decoder,
            self.running,
            self.metrics,
            attempts=self.settings.slice_attempts,
            max_read_bytes=self.settings.max_read_bytes,
        )

    def _reserved_step(self) -> ProbeStep:
        """For calls that wait."""
        return self._probe_step(self._reserved())

    def _reserved(self) -> Decoder:
        """For those who wait: a decoder of its own, which is made when the first of them comes."""
        with self._reserving:
            if self._is_stopping:
                raise Unavailable("decoder")
            self._reserved_decoder = self._reserved_decoder or self._make_decoder()
            return self._reserved_decoder

    def hurry(self) -> None:
        """Give back what is in work, now and whenever `stop` is called. May be called from a signal's handler."""
        self.is_hurried = True
        self.running.cancel(None, 0)
        if self._deliverer is not None:
            self._deliverer.hurry()

    def stop(self) -> None:
        """Begin nothing more, let what is in work end or give it back, and close everything."""
        self._ready.clear()
        if self._cleaner is not None:
            self._cleaner.stop()
        if self._sweeper is not None:
            self._sweeper.stop()
        if self._worker is not None:
            self._worker.stop()
            if self.is_hurried or not self._worker.join(self.settings.drain_seconds):
                log.info("giving back what is in work", tasks=self.running.number)
                self.running.cancel(None, _GIVE_BACK_S)
                self._worker.join(_GIVE_BACK_S)
        if self._recall is not None:
            self._recall.stop()
        if self._keeper is not None:
            # what was in work until now was still this process's
            self._keeper.stop()
        if self._deliverer is not None:
            # last: what has ended just now is told
            self._deliverer.stop()
        with self._reserving:
            self._is_stopping = True
        for decoder in (self._decoder, self._reserved_decoder):
            if decoder is not None:
                decoder.close()
        if self._node is not None:
            try:
                self._node.leave()
            except Exception as error:
                # it will be taken for dead
                log.info("could not say that it ends", error=str(error))
        self.database.close()

    def app(self) -> ASGIApp:
        """The application: files, health, metrics, the console, the API at `/`, and what it is at `/openapi.json`."""
        permission = Permission(Authorizer(self.database), self.settings.region)
        throttle = Throttle(self.settings.requests_per_second)
        calls = make_calls(self, permission, throttle)
        endpoint = make_endpoint(self, calls)
        routes = [
            *health_routes(self.fault, self.metrics),
            document_route(lambda: self.public_url),
            *file_routes(self._find_bucket, self.keyring.hmac_keys(_FILES)),
            *track_routes(self._show_track, self.keyring.hmac_keys(_FILES)),
        ]
        if self.settings.console == "on":
            self._console = make_console(self, permission, throttle, calls)
        return application(endpoint, self._console, routes, self.settings.trusted_proxies)

    def end_streams(self) -> None:
        """End the answers that would go on for ever. May be called from any thread."""
        if self._console is not None:
            self._console.end()

    def health_app(self) -> ASGIApp:
        """What a process that only works answers: how it is."""
        return Starlette(routes=health_routes(self.fault, self.metrics))

    def _chores(self) -> Mapping[str, Chore]:
        """What is removed when it is old enough, by the kind that metrics tell of."""
        chores: dict[str, Chore] = {
            "nonce": self.nonces.forget_expired,
            "temporary_key": self.sts.forget_expired,
            "login_link": self.login_links.forget_expired,
            "session": self.sessions.forget_expired,
        }
        if days := self.settings.job_retention_days:
            chores |= {"job": FinishedJobs(days=days), "probe_job": FinishedProbes(days=days)}
        if days := self.settings.event_retention_days:
            chores |= {"event": SettledEvents(days=days)}
        if days := self.settings.history_retention_days:
            chores |= old_history(self.queue, days=days)
        return chores

    async def _find_bucket(self, name: str) -> Bucket | None:
        try:
            found = await anyio.to_thread.run_sync(self.buckets.find, name)
        except Exception as error:
            if is_transient(error):
                raise Unavailable("database") from error
            raise
        return found.open() if found is not None else None

    def _show_track(self, grant: TrackGrant) -> bytes:
        try:
            return self._tracks.show(grant)
        except Exception as error:
            if is_transient(error):
                raise Unavailable("database") from error
            raise

    def fault(self) -> str | None:
        """Why the server cannot take jobs now; None when it can."""
        if not self._ready.is_set():
            return "it is starting or stopping"
        try:
            with self.database.transaction() as session:
                session.execute(text("SELECT 1"))
        except (SQLAlchemyError, StillframeError):
            return "the database cannot be reached"
        return None
