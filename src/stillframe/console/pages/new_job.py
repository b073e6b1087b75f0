"""New job: a video, the numbers, the moments that they come to with a strip of pictures at them; and off it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from stillframe.catalog.buckets import BucketView
from stillframe.catalog.system_templates import SYSTEM_NAMES, SYSTEM_TEMPLATES
from stillframe.catalog.templates import TemplateFilter, TemplateView
from stillframe.console import job_preview
from stillframe.console.config_form import GROUPS, LABELS, ConfigForm
from stillframe.console.headers import page_headers
from stillframe.console.job_draft import Choices, JobDraft, error_of
from stillframe.console.job_preview import Look
from stillframe.console.output_names import OutputNames
from stillframe.console.page import Page
from stillframe.console.pages.objects import BROWSE, LIST, upload_form
from stillframe.console.templating import moment_text
from stillframe.console.visit import Visit
from stillframe.errors import ConfigError, NotFound, StillframeError
from stillframe.media.config import SnapshotConfig
from stillframe.service.errors import ApiError, as_api_error
from stillframe.service.job_previews import Video
from stillframe.service.ports import Address, JobView, ListRequest

SUBMIT = ("SubmitSnapshotJob",)
#: whoever sees a strip sees pictures of the video
SEE = (*SUBMIT, "GetSnapshotUrls")
#: what somebody begins with who chooses nothing: ten stills
_FIRST_TEMPLATE = "S00000002-000012"
_MOST_TEMPLATES = 100
_LOOKED_THROUGH, _MOST_RECENT = 100, 8
#: what the kinds of templates are for
_KINDS = {
    "Normal": "Stills",
    "Sprite": "Sprite sheets",
    "WebVtt": "Thumbnails over a player's time bar",
}


def new(visit: Visit) -> Response:
    """The form for a video; or, without one, from where a video is picked."""
    query = visit.query
    if like := query.get("like"):
        visit.demand("GetSnapshotJob")
        job = visit.services.snapshot_jobs.get(visit.account_id, like)
        return _form(visit, JobDraft.like(job, _choices(visit)), like=job)
    video = Video.of(query)
    if not (video.bucket and video.key):
        return _pick(visit)
    template_id = query.get("template", _FIRST_TEMPLATE)
    names = OutputNames(visit)
    draft = JobDraft.begun(video, _choices(visit), template_id).with_free_output(names.free)
    return _form(visit, draft, names=names)


def show(visit: Visit) -> Response:
    """The form as it was sent, with its moments: after another template was chosen, or without scripts."""
    names = OutputNames(visit)
    return _form(visit, _sent(visit, names), names=names)


def show_moments(visit: Visit) -> Response:
    """The moments of the form as it is now, and what is wrong with its fields."""
    names = OutputNames(visit)
    draft, look = _looked(visit, _sent(visit, names))
    return visit.show(
        "new_job/_moments.html",
        draft=_noted(draft, names),
        look=look,
        may_see=_may_see(visit),
        groups=GROUPS,
    )


def show_strip(visit: Visit) -> Response:
    """The strip of the form's moments, by their numbers in the query."""
    video, config = _asked(visit)
    strip, look = job_preview.strip(visit, video, config)
    query = urlencode(dict(visit.query))
    picture = f"{query}&v={strip.version}" if strip is not None else None
    return visit.show("new_job/_strip.html", strip=strip, look=look, query=query, picture=picture)


def send_strip(visit: Visit) -> Response:
    """The strip's picture: a JPEG of all cells."""
    video, config = _asked(visit)
    found = visit.rooms.job_previews.strip(visit.account_id, video, config)
    if found is None:
        raise NotFound("strip", video.media)
    # what is asked for by its content's version does not change
    kept = {"Cache-Control": "private, max-age=300"}
    return Response(found.jpeg, headers=page_headers() | kept, media_type="image/jpeg")


def submit(visit: Visit) -> Response:
    """Make the job; or show the form again, with what is wrong beside its fields."""
    draft = JobDraft.read(visit.form, _choices(visit))
    status = 400
    if not draft.errors:
        try:
            job_id = visit.services.snapshot_jobs.submit(visit.account_id, draft.request())
        except (ConfigError, NotFound) as error:
            draft = draft.with_errors(error_of(error))
        except StillframeError as error:
            told = as_api_error(error)
            if told is None:
                raise
            status, draft = told.status, draft.with_errors({"": told.message})
        else:
            return visit.go(f"/jobs/{job_id}", done="The job is submitted.")
    return _form(visit, draft, status=status)


PAGES = (
    Page("/jobs/new", new, SUBMIT, title="New job", waits=True),
    Page("/jobs/new", submit, SUBMIT, method="POST", waits=True),
    Page("/jobs/new/show", show, SUBMIT, method="POST", waits=True),
    Page("/jobs/new/moments", show_moments, SUBMIT, method="POST", waits=True),
    Page("/jobs/new/strip", show_strip, SEE, waits=True),
    Page("/jobs/new/strip.jpg", send_strip, SEE, waits=True),
)


def _pick(visit: Visit, *, wrong: str | None = None, status: int = 200) -> Response:
    sent = visit.form or visit.query
    return visit.show(
        "new_job/pick.html",
        part="new_job/_pick.html",
        status=status,
        buckets=_offered(visit, _is_readable),
        recent=_recent(visit),
        wrong=wrong,
        bucket=sent.get("bucket", ""),
        key=sent.get("key", ""),
        template_id=sent.get("template", ""),
        upload=upload_form(visit),
        may_browse=all(visit.may(action) for action in BROWSE),
    )


def _sent(visit: Visit, names: OutputNames) -> JobDraft:
    """What was sent; the usual name of another type that takes the place of one that was there is a free one."""
    draft = JobDraft.read(visit.form, _choices(visit))
    was = visit.form.get("OutputKey", "").strip()
    # what somebody has written, or has left empty, stays
    return draft.with_free_output(names.free) if was and was != draft.texts["OutputKey"] else draft


def _noted(draft: JobDraft, names: OutputNames) -> JobDraft:
    """With what is said of the names of its files if others have them."""
    told = names.taken(draft.texts["OutputBucket"], draft.texts["OutputKey"])
    return draft.with_notes({"OutputKey": told}) if told is not None else draft


def _form(
    visit: Visit,
    draft: JobDraft,
    *,
    names: OutputNames | None = None,
    like: JobView | None = None,
    status: int = 200,
) -> Response:
    try:
        facts, first = job_preview.facts_of(visit, draft.video)
    except (NotFound, ConfigError) as error:
        told = as_api_error(error)
        assert told is not None
        return _pick(visit, wrong=told.message, status=told.status)
    if first.hopeless_status is not None:
        return _pick(visit, wrong=first.why, status=first.hopeless_status)
    draft, look = _looked(visit, draft) if facts is not None else (draft, first)
    return visit.show(
        "new_job/form.html",
        part="new_job/_form.html",
        status=status,
        draft=_noted(draft, names or OutputNames(visit)),
        like=like,
        look=look,
        facts=facts,
        may_see=_may_see(visit),
        groups=GROUPS,
        labels=LABELS,
        templates=_templates(visit),
        output_buckets=_offered(visit, _is_writable),
        pipelines=_pipelines(visit),
    )


def _looked(visit: Visit, draft: JobDraft) -> tuple[JobDraft, Look]:
    """What the form's moments are, and the form with all that is wrong with it."""
    if draft.config.config is None:
        return draft, Look(why="The moments are shown as soon as all numbers are right.")
    look = job_preview.look(visit, draft.video, draft.config.config)
    if look.error is not None:
        draft = draft.with_errors(error_of(look.error))
    if look.is_past_the_end:
        facts, _ = job_preview.facts_of(visit, draft.video)
        end = f"The video ends at {moment_text(facts.duration_ms)}." if facts else look.summary
        draft = draft.with_errors({"Time": end})
    if not draft.errors:
        try:
            visit.services.snapshot_jobs.check(visit.account_id, draft.request())
        except (ConfigError, NotFound) as error:
            draft = draft.with_errors(error_of(error))
    return draft, look


def _asked(visit: Visit) -> tuple[Video, SnapshotConfig]:
    """The video and the config that a link of ours names."""
    form = ConfigForm.read(visit.query)
    if form.config is None:
        raise ApiError("InvalidParameter", path="Query", flaw=" ".join(form.errors.values()))
    return Video.of(visit.query), form.config


def _may_see(visit: Visit) -> bool:
    return all(visit.may(action) for action in SEE)


def _choices(visit: Visit) -> Choices:
    own = {template.template_id: template.config for template in _own_templates(visit)}
    buckets = _buckets(visit)
    if not visit.may(LIST):
        # of the others not even one is chosen
        buckets = [one for one in buckets if one.name == Video.of(visit.form or visit.query).bucket]
    return Choices(buckets, {**SYSTEM_TEMPLATES, **own})


def _templates(visit: Visit) -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
    """Groups of templates, each an id and a name."""
    own = [
        (template.template_id, template.name or template.template_id) for template in _own_templates(visit)
    ]
    return [
        ("Your templates", own),
        *(
            (
                title,
                [(id_, SYSTEM_NAMES[id_]) for id_, one in SYSTEM_TEMPLATES.items() if one["Type"] == kind],
            )
            for kind, title in _KINDS.items()
        ),
    ]


def _own_templates(visit: Visit) -> Sequence[TemplateView]:
    if not visit.may("ListCustomTemplates"):
        return ()
    templates = visit.services.templates
    return templates.page(
        visit.account_id, TemplateFilter(), newest_first=True, number=1, size=_MOST_TEMPLATES
    )[0]


def _buckets(visit: Visit) -> Sequence[BucketView]:
    return visit.services.buckets.all_of_account(visit.account_id)


def _offered(visit: Visit, is_good: Callable[[BucketView], bool]) -> Sequence[tuple[str, str]] | None:
    """As a field wants them; None for whom may not see which there are, and writes the name."""
    if not visit.may(LIST):
        return None
    return [(one.name, one.name) for one in _buckets(visit) if is_good(one)]


def _is_readable(bucket: BucketView) -> bool:
    return bucket.grants is None or any(grant.access == "read" for grant in bucket.grants)


def _is_writable(bucket: BucketView) -> bool:
    return bucket.grants is None or any(grant.access == "write" for grant in bucket.grants)


def _pipelines(visit: Visit) -> Sequence[tuple[str, str]]:
    """For whom may see them: the id and the name of each, the default one for nothing."""
    if not visit.may("ListPipelines"):
        return ()
    pipelines = visit.services.pipelines.all_of_account(visit.account_id)
    return [(one.pipeline_id, one.name) for one in pipelines]


def _recent(visit: Visit) -> Sequence[Address]:
    """The videos that jobs were submitted for last."""
    if not visit.may("ListSnapshotJobs"):
        return ()
    request = ListRequest(page_size=_LOOKED_THROUGH)
    jobs = visit.services.snapshot_jobs.list_jobs(visit.account_id, request).jobs
    inputs = {(job.input.bucket, job.input.key): job.input for job in jobs}
    return [*inputs.values()][:_MOST_RECENT]
