"""Media assets: the list, each with what is in its file and what was made for it, and the forms that change them.

The forms call the actions of the API, which say what is wrong with which parameter.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args
from urllib.parse import urlencode, urlsplit

from starlette.responses import Response

from stillframe.catalog.assets import AssetFilter, AssetName, AssetView
from stillframe.catalog.models import AssetStatus, BusinessType, MediaType
from stillframe.console.api_actions import wrong_parameter
from stillframe.console.form_values import utc_time
from stillframe.console.page import Page, Stream, Watched
from stillframe.console.visit import Visit
from stillframe.errors import ConfigError, NotFound, Unavailable
from stillframe.service.assets import AssetDetails, AssetPage
from stillframe.service.job_gallery import Cover, Picture
from stillframe.service.ports import JobView, ListRequest

ASSETS_ON_A_PAGE = 25
#: of one asset; the list of jobs has them all
JOBS_OF_ONE = 50
#: between the title that is the time of now and the asset's row
_TIME_OF_NOW = timedelta(minutes=1)
_STATUSES = (("", "Any"), ("Preparing", "Preparing"), ("Normal", "Ready"), ("PrepareFail", "Failed"))
_TYPES = (("", "Any"), *((name, name.capitalize()) for name in get_args(MediaType)))
_SOURCES = (("", "Any"), ("oss", "oss"), ("vod", "vod"), ("live", "live"), ("general", "general"))
_FILTERS = ("type", "source", "status", "from", "to")
#: fields of both forms, as RegisterMediaInfo and UpdateMediaInfo call them
_TOLD = (
    *("Title", "Description", "MediaTags", "BusinessType", "CoverURL", "UserData", "CateId", "ReferenceId"),
)


@dataclass(frozen=True, slots=True)
class _Filters:
    """What the list shows: the texts of the form, what they mean, and what is wrong with them."""

    texts: Mapping[str, str]
    wanted: AssetFilter
    errors: Mapping[str, str]

    @property
    def query(self) -> str:
        """As a link has it, without a page's token."""
        return urlencode({name: text for name, text in self.texts.items() if text})


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why a form is shown again: the error, and the field that it is about."""

    code: str
    message: str
    field: str | None


def list_media(visit: Visit) -> Response:
    """The account's assets, the newest first."""
    filters = _filters(visit)
    page = _page(visit, filters)
    next_query = f"?{filters.query}&{urlencode({'page': page.next_token})}" if page.next_token else None
    return visit.show(
        "media/list.html",
        part="media/_rows.html",
        assets=page.assets,
        title_of=title_of,
        total=page.total,
        covers={one.asset.media_id: visit.media(cover) for one in page.assets if (cover := _cover(one))},
        filters=filters,
        types=_TYPES,
        sources=_SOURCES,
        statuses=_STATUSES,
        here=f"?{urlencode(dict(visit.query))}",
        first=f"?{filters.query}" if visit.query.get("page") else None,
        next=next_query,
    )


def watch_list(visit: Visit) -> Watched:
    """The list, as far as it is shown."""
    filters, page_token, account_id = _filters(visit), visit.query.get("page"), visit.account_id

    def look() -> object:
        found = _page(visit, filters)
        return [(one.asset.media_id, one.asset.modified_at, _cover(one) is None) for one in found.assets]

    return Watched(("media", account_id, filters.query, page_token), look)


def show_asset(visit: Visit) -> Response:
    """An asset, with what is in its file and what was made of it."""
    details = _details(visit)
    asset = details.asset
    cover = _cover(details)
    jobs = _jobs(visit, asset.media_id)
    ids = [job.job_id for job in jobs]
    gallery = visit.rooms.gallery
    covers: Mapping[str, Cover] = {}
    sheet = None
    if visit.may("GetSnapshotUrls"):
        covers = gallery.covers(visit.account_id, ids)
        sheet = _sheet(visit, details)
    for shown in (*covers.values(), *([sheet] if sheet else ())):
        visit.media(shown.url)
    may_list = visit.may("ListPipelines")
    pipelines = visit.services.pipelines.all_of_account(visit.account_id) if may_list else ()
    return visit.show(
        "media/asset.html",
        part="media/_asset.html",
        asset=asset,
        title=title_of(asset),
        details=details,
        cover=visit.media(cover) if cover else None,
        sheet=sheet,
        own_cover=asset.cover_url if _is_web(asset.cover_url) else None,
        file_url=details.file_url,
        jobs=jobs,
        covers=covers,
        progress=gallery.progress(visit.account_id, ids),
        pipelines={one.pipeline_id: one.name for one in pipelines},
        new_job=f"/jobs/new?{urlencode({'bucket': asset.bucket, 'key': asset.key})}",
    )


def watch_asset(visit: Visit) -> Watched:
    """All that the page of an asset shows."""
    account_id, media_id = visit.account_id, visit.path["media_id"]
    gallery = visit.rooms.gallery

    def look() -> object:
        details = _details(visit)
        jobs = _jobs(visit, media_id)
        progress = gallery.progress(account_id, [job.job_id for job in jobs])
        return (
            details.asset.modified_at,
            _cover(details) is None,
            [(job.job_id, job.status, progress.get(job.job_id)) for job in jobs],
        )

    return Watched(("asset", account_id, media_id, visit.may("ListSnapshotJobs")), look)


def new(visit: Visit) -> Response:
    """The form that registers an object; a link may name its bucket and its key."""
    values = {
        "bucket": visit.query.get("bucket", ""),
        "key": visit.query.get("key", ""),
        "NeedSnapshot": "true",
        "NeedSprite": "true",
    }
    return _show_new(visit, values)


def register(visit: Visit) -> Response:
    """Register an object."""
    form = visit.form
    config: dict[str, Any] = {name: form.get(name) == "true" for name in ("NeedSnapshot", "NeedSprite")}
    if form.get("StartTime"):
        config["CoverConfig"] = {"StartTime": form["StartTime"]}
    answer = _call(
        visit,
        "RegisterMediaInfo",
        {
            "InputURL": f"oss://{form.get('bucket', '')}/{form.get('key', '')}",
            "MediaType": form.get("MediaType", ""),
            "Overwrite": form.get("Overwrite", ""),
            "RegisterConfig": json.dumps(config),
            **{name: form.get(name, "") for name in _TOLD},
        },
    )
    if isinstance(answer, _Refused):
        return _show_new(visit, form, answer)
    return visit.go(
        f"/media/{answer['MediaId']}", done="The object is registered; its file is looked at now."
    )


def edit(visit: Visit) -> Response:
    """The form that changes what is told of an asset."""
    asset = _details(visit).asset
    values = {
        "Title": asset.title,
        "Description": asset.description,
        "MediaTags": ",".join(asset.tags),
        "BusinessType": asset.business_type,
        "CoverURL": asset.cover_url,
        "UserData": asset.user_data,
        "CateId": asset.cate_id,
        "Category": asset.category,
        "ReferenceId": asset.reference_id,
    }
    return _show_edit(visit, {name: "" if value is None else str(value) for name, value in values.items()})


def update(visit: Visit) -> Response:
    """Change what is told of an asset."""
    media_id = visit.path["media_id"]
    told = {name: visit.form.get(name, "") for name in (*_TOLD, "Category")}
    answer = _call(visit, "UpdateMediaInfo", {"MediaId": media_id, **told})
    if isinstance(answer, _Refused):
        return _show_edit(visit, visit.form, answer)
    return visit.go(f"/media/{media_id}", done="The asset is changed.")


def delete(visit: Visit) -> Response:
    """Forget an asset, and remove its files if that was ticked."""
    media_id = visit.path["media_id"]
    files = visit.form.get("files", "")
    answer = _call(visit, "DeleteMediaInfos", {"MediaIds": media_id, "DeletePhysicalFiles": files})
    if isinstance(answer, _Refused):
        return visit.go(f"/media/{media_id}", failed=f"{answer.code} {answer.message}")
    if answer["ForbiddenList"]:
        why = "you may not write to a bucket of its files, or one of them cannot be removed just now"
        return visit.go(f"/media/{media_id}", failed=f"The asset stays: {why}. The server's log says which.")
    if answer["IgnoredList"]:
        return visit.go("/media", failed=f"There is no media asset {media_id}.")
    return visit.go("/media", done=f"The asset is forgotten{', and its files are removed' if files else ''}.")


def title_of(asset: AssetView) -> str:
    """What an asset goes by: its title, else its object's name. IMS gives the time of now to one without a title."""
    try:
        given = datetime.strptime(asset.title, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return asset.title
    is_given_by_nobody = abs(asset.created_at - given) < _TIME_OF_NOW
    return asset.key.rpartition("/")[2] if is_given_by_nobody else asset.title


PAGES = (
    Page("/media", list_media, ("ListMediaBasicInfos",), title="Media assets"),
    Stream("/media/events", watch_list, ("ListMediaBasicInfos",)),
    Page("/media/new", new, ("RegisterMediaInfo",)),
    Page("/media/new", register, ("RegisterMediaInfo",), method="POST", calls_api=True),
    Page("/media/{media_id}", show_asset, ("GetMediaInfo",)),
    Stream("/media/{media_id}/events", watch_asset, ("GetMediaInfo",)),
    Page("/media/{media_id}/edit", edit, ("GetMediaInfo", "UpdateMediaInfo")),
    Page("/media/{media_id}/edit", update, ("UpdateMediaInfo",), method="POST", calls_api=True),
    Page("/media/{media_id}/delete", delete, ("DeleteMediaInfos",), method="POST", calls_api=True),
)


def _details(visit: Visit) -> AssetDetails:
    return visit.services.media_assets.get(visit.account_id, AssetName(visit.path["media_id"]), None)


def _page(visit: Visit, filters: _Filters) -> AssetPage:
    if filters.texts["source"] not in ("", "oss"):
        # there are no such assets here
        return AssetPage([], 0)
    return visit.services.media_assets.page(
        visit.account_id,
        filters.wanted,
        newest_first=True,
        size=ASSETS_ON_A_PAGE,
        token=visit.query.get("page") or None,
        timeout_s=None,
    )


def _jobs(visit: Visit, media_id: str) -> Sequence[JobView]:
    """The jobs that an asset is named in, the newest first, for whom may see them."""
    if not visit.may("ListSnapshotJobs"):
        return ()
    wanted = ListRequest(media_id=media_id, page_size=JOBS_OF_ONE)
    return visit.services.snapshot_jobs.list_jobs(visit.account_id, wanted).jobs


def _sheet(visit: Visit, details: AssetDetails) -> Picture | None:
    """The first sheet of the newest job that has made any."""
    made = [pictures.job_id for pictures in details.pictures if pictures.is_sheets]
    if not made:
        return None
    # it may have been deleted, or its store be away, meanwhile
    with contextlib.suppress(NotFound, Unavailable):
        found = visit.rooms.gallery.pictures(visit.account_id, made[-1], page=1, page_size=1).pictures
        return found[0] if found else None
    return None


def _cover(details: AssetDetails) -> str | None:
    """The link to a cover that was made; one that somebody has named may lead anywhere, and is not loaded."""
    return details.cover_url if details.asset.cover_url is None else None


def _is_web(url: str | None) -> bool:
    return url is not None and urlsplit(url).scheme in ("http", "https")


def _call(visit: Visit, action: str, parameters: Mapping[str, str]) -> dict[str, Any] | _Refused:
    """The answer of an action, or why there is none."""
    answer = visit.call(action, {name: text for name, text in parameters.items() if text})
    told: dict[str, Any] = json.loads(answer.body)
    if answer.status >= 400:
        return _Refused(told["Code"], told["Message"], wrong_parameter(told["Message"]))
    return told


def _show_new(visit: Visit, values: Mapping[str, str], refused: _Refused | None = None) -> Response:
    buckets = visit.services.buckets.all_of_account(visit.account_id) if visit.may("GetStorageList") else ()
    return visit.show(
        "media/new.html",
        status=400 if refused else 200,
        values=values,
        refused=refused,
        errors=_errors(refused, {"InputURL": "key", "RegisterConfig": "StartTime"}),
        buckets=[(bucket.name, bucket.name) for bucket in buckets],
        types=(("", "By its name and what is in it"), *_TYPES[1:]),
        business=[("", "–"), *((name, name) for name in get_args(BusinessType))],
        existing=_existing(refused),
    )


def _show_edit(visit: Visit, values: Mapping[str, str], refused: _Refused | None = None) -> Response:
    return visit.show(
        "media/edit.html",
        status=400 if refused else 200,
        media_id=visit.path["media_id"],
        values=values,
        refused=refused,
        errors=_errors(refused, {}),
        business=[(name, name) for name in get_args(BusinessType)],
    )


def _errors(refused: _Refused | None, fields: Mapping[str, str]) -> Mapping[str, str]:
    """The message by the field that it belongs to; `fields` are those that are not called as their parameter is."""
    if refused is None or refused.field is None:
        return {}
    return {fields.get(refused.field, refused.field): refused.message}


def _existing(refused: _Refused | None) -> str | None:
    """The asset that there is of the object already."""
    if refused is None or refused.code != "MediaAlreadyExist":
        return None
    found = re.search("[0-9a-f]{32}", refused.message)
    return found[0] if found else None


def _filters(visit: Visit) -> _Filters:
    texts = {name: visit.query.get(name, "").strip()[:200] for name in _FILTERS}
    errors: dict[str, str] = {}
    times: dict[str, datetime | None] = {}
    for name in ("from", "to"):
        try:
            times[name] = utc_time(name, texts[name])
        except ConfigError as error:
            times[name], errors[name] = None, f"Must be {error.allowed}."
    return _Filters(
        texts,
        AssetFilter(
            media_type=cast(MediaType, texts["type"]) if texts["type"] in get_args(MediaType) else None,
            status=cast(AssetStatus, texts["status"]) if texts["status"] in get_args(AssetStatus) else None,
            after=times["from"],
            until=times["to"],
        ),
        errors,
    )
