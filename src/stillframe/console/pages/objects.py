"""What lies in a bucket: its folders and objects, a page at a time, and files that are uploaded into it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

import anyio
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from stillframe.catalog.buckets import BucketView
from stillframe.console.page import Intake, Page
from stillframe.console.shares import Share
from stillframe.console.visit import Visit
from stillframe.errors import AlreadyThere, NotFound, StillframeError
from stillframe.service.errors import ApiError, as_api_error
from stillframe.service.media_types import media_type_of
from stillframe.service.objects import Upload
from stillframe.storage.content_types import content_type

OBJECTS_ON_A_PAGE = 100
#: what IMS calls the right to bring files in
UPLOAD = "CreateUploadMedia"
#: who may not do this is told no bucket's name
LIST = "GetStorageList"
#: a larger picture is a link, lest a page loads for minutes
_LARGEST_SHOWN_BYTES = 10_000_000
_SHOWN = ("image/jpeg", "image/png", "image/webp", "image/avif")
_LONGEST = 2000
_PIECE_BYTES = 1 << 20
#: whether somebody still may upload is asked so often, and at the end
_LOOK_EVERY_S = 15.0
#: who sends less than so much within so long is hung up on: others wait for the place
_LEAST_BYTES, _LEAST_S = 64 << 10, 60.0


@dataclass(frozen=True, slots=True)
class UploadForm:
    """Where files may be uploaded to: the buckets to choose from, and what is chosen at first."""

    buckets: Sequence[str]
    bucket: str
    folder: str

    @property
    def choices(self) -> list[tuple[str, str]]:
        """As a field wants them."""
        return [(name, name) for name in self.buckets]


@dataclass(frozen=True, slots=True)
class _Row:
    """An object as the list shows it; `picture`: it is shown, `is_video`: a job may be made of it."""

    key: str
    name: str
    size: int
    modified: datetime | None
    url: str
    picture: bool
    is_video: bool


def upload_form(visit: Visit, *, bucket: str | None = None, folder: str = "") -> UploadForm | None:
    """For `objects/_upload.html`; None where the visitor may upload nothing (into this bucket)."""
    if not (visit.may(UPLOAD) and visit.may(LIST)):
        return None
    buckets = [
        one
        for one in visit.services.buckets.all_of_account(visit.account_id)
        if may_write(one) and bucket in (None, one.name)
    ]
    if not buckets:
        return None
    default = visit.services.buckets.default_storage(visit.account_id)
    names = [one.name for one in buckets]
    chosen = default.bucket if default is not None and default.bucket in names else names[0]
    return UploadForm(names, bucket or chosen, folder)


def job_path(bucket: str, key: str) -> str:
    """Where a job of an object is begun."""
    return f"/jobs/new?{urlencode({'bucket': bucket, 'key': key})}"


def browse(visit: Visit) -> Response:
    """A page of a folder."""
    bucket = visit.path["bucket"]
    folder = _folder(visit.query.get("folder", ""))
    starts = visit.query.get("starts", "")[:_LONGEST]
    found = demand_bucket(visit, bucket)
    wrong: str | None = None
    rows: list[_Row] = []
    folders: Sequence[str] = ()
    following: str | None = None
    try:
        view = visit.rooms.objects.look_in(
            visit.account_id,
            bucket,
            folder,
            starts=starts,
            after=visit.query.get("after", "")[:_LONGEST] or None,
            most=OBJECTS_ON_A_PAGE,
        )
        folders, following = view.page.folders, view.page.next
        for one in view.page.objects:
            kind = content_type(one.key)
            picture = kind in _SHOWN and one.size <= _LARGEST_SHOWN_BYTES
            url = visit.media(view.urls[one.key]) if picture else view.urls[one.key]
            is_video = media_type_of(one.key) == "video"
            name = one.key.removeprefix(folder)
            modified = datetime.fromtimestamp(one.modified_s, UTC) if one.modified_s else None
            rows.append(_Row(one.key, name, one.size, modified, url, picture, is_video))
    except (StillframeError, ApiError) as error:
        told = as_api_error(error)
        if told is None or not may_write(found):
            raise
        # one may write where one may not read, or the store is away: the rest of the page stands
        wrong = "You may write here, but not look." if isinstance(error, NotFound) else told.message
    here = {"folder": folder, "starts": starts}
    return visit.show(
        "objects/browse.html",
        part="objects/_rows.html",
        bucket=found,
        folder=folder,
        starts=starts,
        trail=_trail(folder),
        folders=[(one, one.removeprefix(folder).removesuffix("/")) for one in folders],
        rows=rows,
        wrong=wrong,
        first=_query(**here) if visit.query.get("after") else None,
        next=_query(**here, after=following) if following else None,
        here=_query(**here, after=visit.query.get("after", "")),
        query=_query,
        job_path=job_path if visit.may("SubmitSnapshotJob") else None,
        upload=upload_form(visit, bucket=bucket, folder=folder),
    )


def find(visit: Visit) -> Response:
    """Whether there is an object already, as a question in plain text; nothing (204) where there is none."""
    bucket, key = visit.path["bucket"], visit.query.get("key", "")
    there = visit.rooms.objects.find(visit.account_id, bucket, key)
    if there is None:
        return visit.plain(None)
    return visit.plain(f"oss://{bucket}/{key} is there already, with {there.size:,} bytes. Replace it?")


async def receive(visit: Visit, request: Request, share: Share) -> Response:
    """Write what is sent to where the query says; `replace=true` puts it over what is there."""
    bucket, key = visit.path["bucket"], visit.query.get("key", "")
    may_replace = visit.query.get("replace") == "true"

    def start() -> Upload:
        return visit.rooms.objects.upload(visit.account_id, bucket, key, may_replace=may_replace)

    upload = await share.run(start)
    try:
        await share.run(upload.begin)
        looked_at = anyio.current_time()
        async for piece in _pieces(request):
            if anyio.current_time() - looked_at >= _LOOK_EVERY_S:
                await share.run(visit.demand_still, UPLOAD)
                looked_at = anyio.current_time()
            await share.run(upload.add, piece)
        await share.run(visit.demand_still, UPLOAD)
        written = await share.run(upload.finish)
    except BaseException as error:
        await _give_up(upload)
        if isinstance(error, ClientDisconnect):
            message = "The connection was lost before all of the file was there."
            raise ApiError("RequestTimeout", message) from error
        if isinstance(error, AlreadyThere):
            return visit.show("objects/_refused.html", status=409, error=error)
        raise
    folder = key.rpartition("/")[0]
    return visit.show(
        "objects/_uploaded.html",
        status=201,
        bucket=bucket,
        name=key.rpartition("/")[2],
        size=written.size,
        browse=_query(folder=f"{folder}/" if folder else ""),
        job_path=job_path(bucket, key) if visit.may("SubmitSnapshotJob") and _may_be_video(key) else None,
    )


async def _give_up(upload: Upload) -> None:
    """Wait until nothing is left of an upload; a server that ends does not wait, but it is done all the same."""
    giving_up = threading.Thread(target=upload.abort, name="stillframe-give-up")
    giving_up.start()
    await run_sync(giving_up.join)


def demand_bucket(visit: Visit, name: str) -> BucketView:
    """A bucket that the account owns, or was granted something in. Raises NotFound."""
    found = visit.services.buckets.of_account(visit.account_id, {name}).get(name)
    if found is None:
        raise NotFound("Bucket", name)
    return found


def may_write(bucket: BucketView) -> bool:
    """Whether the account may write something there."""
    return bucket.grants is None or any(grant.access == "write" for grant in bucket.grants)


BROWSE = (LIST, "GetMediaInfo")
PAGES = (
    Page("/buckets/{bucket}", browse, BROWSE, waits=True),
    Page("/buckets/{bucket}/object", find, (UPLOAD,), waits=True),
    Intake("/buckets/{bucket}/object", receive, (UPLOAD,)),
)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of a good size, or of what came within a while.

    Raises ApiError for who sends too little, and ClientDisconnect. What we take for a piece is not the sender's time.
    """
    waiting, left_s, came = bytearray(), _LEAST_S, 0
    stream, given_at = request.stream().__aiter__(), anyio.current_time()
    while True:
        began = anyio.current_time()
        try:
            with anyio.fail_after(left_s):
                chunk = await anext(stream, None)
        except TimeoutError:
            message = f"Less than {_LEAST_BYTES:,} bytes came within {_LEAST_S:g} seconds."
            raise ApiError("RequestTimeout", message) from None
        now = anyio.current_time()
        left_s -= now - began
        if chunk is not None:
            waiting += chunk
            came += len(chunk)
        if came >= _LEAST_BYTES:
            left_s, came = _LEAST_S, 0
        is_due = chunk is None or len(waiting) >= _PIECE_BYTES or now - given_at >= _LOOK_EVERY_S
        if waiting and is_due:
            yield bytes(waiting)
            waiting.clear()
            given_at = anyio.current_time()
        if chunk is None:
            return


def _may_be_video(key: str) -> bool:
    return media_type_of(key) in ("video", None)


def _folder(text: str) -> str:
    """A folder's key as a query has it: with a slash at the end, without one at the beginning."""
    bare = text[:_LONGEST].strip("/")
    return f"{bare}/" if bare else ""


def _trail(folder: str) -> list[tuple[str, str]]:
    """The folders on the way to one: their keys and names."""
    names = folder.split("/")[:-1]
    return [("/".join(names[: number + 1]) + "/", name) for number, name in enumerate(names)]


def _query(**texts: str) -> str:
    given = urlencode({name: text for name, text in texts.items() if text})
    return f"?{given}" if given else "?"
