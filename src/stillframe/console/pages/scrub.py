"""What a WebVTT job's page shows of its track: the video with its thumbnails, the tiles by themselves, and the lint."""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.responses import Response

from stillframe.console.headers import page_headers
from stillframe.console.page import Page
from stillframe.console.visit import Visit
from stillframe.errors import SourceError
from stillframe.service.job_gallery import Pictures
from stillframe.service.ports import JobView
from stillframe.service.track_preview import ShownTrack, video_type

#: the API's answer to this one has a video's address in it
_SEES_VIDEOS = "GetMediaInfo"
#: whoever sees the pictures sees the track
_SEES_TRACKS = ("GetSnapshotJob", "GetSnapshotUrls")


@dataclass(frozen=True, slots=True)
class Preview:
    """A job's track; `video_url` is None for those who may not see the video, and for what no page plays."""

    track: ShownTrack
    video_url: str | None
    video_type: str
    may_see_video: bool


def preview_of(visit: Visit, job: JobView, pictures: Pictures) -> Preview | None:
    """The preview of a WebVTT job that has ended with a track.

    What it loads is allowed for one that is in work, too: its page gets the preview when it ends, and keeps its policy.
    """
    if job.type != "WebVtt":
        return None
    may_see_video = visit.may(_SEES_VIDEOS)
    previews = visit.rooms.track_previews
    video_url = previews.video_url(visit.account_id, job) if may_see_video else None
    if video_url is not None:
        visit.media(video_url)
    visit.fetched(visit.rooms.public_url())
    track = previews.track(visit.account_id, job)
    if track is None:
        return None
    return Preview(track, video_url, video_type(job.input.key, pictures.container), may_see_video)


def show_tiles(visit: Visit) -> Response:
    """The tiles of a job's track for the page's script, as JSON."""
    found = visit.rooms.track_previews.tiles(visit.account_id, visit.path["job_id"])
    body = json.dumps({"pictures": found.pictures, "tiles": found.tiles}, separators=(",", ":"))
    return Response(body, headers=page_headers(), media_type="application/json")


def show_check(visit: Visit) -> Response:
    """The findings of the track lint."""
    check, failure = None, None
    try:
        check = visit.rooms.checks.check(visit.account_id, visit.path["job_id"])
    except SourceError as error:
        failure = str(error)
    return visit.show(
        "jobs/check.html", part="jobs/_check.html", job_id=visit.path["job_id"], check=check, failure=failure
    )


PAGES = (
    Page("/jobs/{job_id}/tiles", show_tiles, _SEES_TRACKS, waits=True),
    Page("/jobs/{job_id}/check", show_check, _SEES_TRACKS, waits=True),
)
