"""Jobs: the list as it changes, and each job with its pictures as they arrive."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.responses import Response

from stillframe.catalog.pipelines import PipelineView
from stillframe.catalog.system_templates import SYSTEM_NAMES
from stillframe.console.form_values import page_number, utc_time
from stillframe.console.page import Page, Stream, Watched
from stillframe.console.pages.objects import BROWSE
from stillframe.console.pages.scrub import preview_of
from stillframe.console.request_code import code_of
from stillframe.console.visit import Visit
from stillframe.errors import ConfigError, NotFound
from stillframe.jobs.lifecycle import CANCELED
from stillframe.jobs.models import JobStatus
from stillframe.service.ports import Address, JobView, ListRequest

JOBS_ON_A_PAGE = 25
PICTURES_ON_A_PAGE = 60
_STATUSES = (("", "Any"), ("Init", "In work"), ("Success", "Success"), ("Fail", "Failed"))
_FILTERS = ("status", "pipeline", "name", "from", "to")


@dataclass(frozen=True, slots=True)
class _Filters:
    """What the list shows: the texts of the form, the request that they mean, and what is wrong with them."""

    texts: Mapping[str, str]
    request: ListRequest
    errors: Mapping[str, str]

    @property
    def query(self) -> str:
        """As a link has it, without a page's token."""
        return urlencode({name: text for name, text in self.texts.items() if text})


def list_jobs(visit: Visit) -> Response:
    """The account's jobs, the newest first."""
    filters = _filters(visit)
    page = visit.services.snapshot_jobs.list_jobs(visit.account_id, filters.request)
    pipelines = {one.pipeline_id: one.name for one in _pipelines(visit)}
    ids = [job.job_id for job in page.jobs]
    covers = visit.rooms.gallery.covers(visit.account_id, ids) if visit.may("GetSnapshotUrls") else {}
    # rows that arrive later are shown under the policy that the page has come with
    for url in visit.rooms.gallery.links_ahead(visit.account_id):
        visit.media(url)
    next_query = f"?{filters.query}&{urlencode({'page': page.next_token})}" if page.next_token else None
    return visit.show(
        "jobs/list.html",
        part="jobs/_rows.html",
        jobs=page.jobs,
        progress=visit.rooms.gallery.progress(visit.account_id, ids),
        covers=covers,
        filters=filters,
        statuses=_STATUSES,
        pipelines=pipelines,
        here=f"?{urlencode(dict(visit.query))}",
        first=f"?{filters.query}" if visit.query.get("page") else None,
        next=next_query,
    )


def watch_list(visit: Visit) -> Watched:
    """The list, as far as it is shown."""
    request, account_id = _filters(visit).request, visit.account_id
    jobs, gallery = visit.services.snapshot_jobs, visit.rooms.gallery

    def look() -> object:
        found = jobs.list_jobs(account_id, request).jobs
        progress = gallery.progress(account_id, [job.job_id for job in found])
        return [(job.job_id, job.status, job.modified_time, progress.get(job.job_id)) for job in found]

    return Watched(("jobs", account_id, request), look)


def show_job(visit: Visit) -> Response:
    """A job, whatever became of it."""
    job = visit.services.snapshot_jobs.get(visit.account_id, visit.path["job_id"])
    page = page_number(visit.query.get("pictures", "1"))
    pictures = visit.rooms.gallery.pictures(
        visit.account_id, job.job_id, page=page, page_size=PICTURES_ON_A_PAGE
    )
    # before there are pictures, too: those that arrive are shown under the policy that the page has come with
    visit.media(pictures.any_url)
    pipelines = _pipelines(visit)
    default = next((one.pipeline_id for one in pipelines if one.is_default), None)
    pages = max(1, -(-pictures.total // PICTURES_ON_A_PAGE))
    # what was begun has failed meanwhile: that it was begun is no good news
    is_overtaken = job.status == "Fail" and job.code != CANCELED and visit.flash is not None
    if is_overtaken:
        visit.flash = None
    response = visit.show(
        "jobs/job.html",
        part="jobs/_job.html",
        job=job,
        pipeline=next((one for one in pipelines if one.pipeline_id == job.pipeline_id), None),
        pictures=pictures,
        page=page,
        pages=pages,
        preview=preview_of(visit, job, pictures),
        report=_report(job.report),
        made_by=_template_of(visit, job),
        folder_of=_folder_of if all(visit.may(action) for action in BROWSE) else None,
        code=code_of(job, visit.rooms.public_url(), default_pipeline_id=default),
    )
    if is_overtaken:
        visit.templating.drop_flash(response, visit.root)
    return response


def watch_job(visit: Visit) -> Watched:
    """All that the job's page shows."""
    account_id, job_id = visit.account_id, visit.path["job_id"]
    gallery = visit.rooms.gallery
    return Watched(("job", account_id, job_id), lambda: gallery.state(account_id, job_id))


def cancel(visit: Visit) -> Response:
    """End a job."""
    visit.services.snapshot_jobs.cancel(visit.account_id, visit.path["job_id"])
    return visit.go(f"/jobs/{visit.path['job_id']}", done="The job is cancelled.")


def retry(visit: Visit) -> Response:
    """Do a failed job again."""
    visit.services.snapshot_jobs.retry(visit.account_id, visit.path["job_id"])
    return visit.go(f"/jobs/{visit.path['job_id']}", done="The job is tried again.")


def delete(visit: Visit) -> Response:
    """Forget a job, and remove its files if that was ticked."""
    outputs = visit.form.get("outputs") == "true"
    visit.services.snapshot_jobs.delete(visit.account_id, visit.path["job_id"], outputs=outputs)
    return visit.go("/jobs", done=f"The job is deleted{', and its files' if outputs else ''}.")


PAGES = (
    Page("/jobs", list_jobs, ("ListSnapshotJobs",), title="Jobs"),
    Stream("/jobs/events", watch_list, ("ListSnapshotJobs",)),
    Page("/jobs/{job_id}", show_job, ("GetSnapshotJob", "GetSnapshotUrls")),
    Stream("/jobs/{job_id}/events", watch_job, ("GetSnapshotJob",)),
    Page("/jobs/{job_id}/cancel", cancel, ("CancelSnapshotJob",), method="POST"),
    Page("/jobs/{job_id}/retry", retry, ("RetrySnapshotJob",), method="POST"),
    Page("/jobs/{job_id}/delete", delete, ("DeleteSnapshotJob",), method="POST", waits=True),
)


def _folder_of(address: Address) -> str:
    """The page of the folder that an input or output is in."""
    # what is numbered may be in folders of its own
    folder = address.key.partition("{")[0].rpartition("/")[0]
    query = f"?{urlencode({'folder': f'{folder}/'})}" if folder else ""
    return f"/buckets/{address.bucket}{query}"


def _template_of(visit: Visit, job: JobView) -> tuple[str, str | None] | None:
    """The name of a job's template and its page; without a page where it is gone, or not for the visitor to see."""
    template_id = job.template_id
    if template_id is None:
        return None
    if template_id in SYSTEM_NAMES:
        may = visit.may("GetSystemTemplate")
        return SYSTEM_NAMES[template_id], f"/templates/system/{template_id}" if may else None
    if visit.may("GetCustomTemplate"):
        with contextlib.suppress(NotFound):
            found = visit.services.templates.get(visit.account_id, template_id)
            return found.name or template_id, f"/templates/{template_id}"
    return template_id, None


def _pipelines(visit: Visit) -> Sequence[PipelineView]:
    """The account's pipelines, for whom may see them."""
    if not visit.may("ListPipelines"):
        return ()
    return visit.services.pipelines.all_of_account(visit.account_id)


def _filters(visit: Visit) -> _Filters:
    texts = {name: visit.query.get(name, "").strip()[:200] for name in _FILTERS}
    errors: dict[str, str] = {}
    times: dict[str, datetime | None] = {}
    for name in ("from", "to"):
        try:
            times[name] = utc_time(name, texts[name])
        except ConfigError as error:
            times[name], errors[name] = None, f"Must be {error.allowed}."
    status = next((known for known in get_args(JobStatus) if known == texts["status"]), None)
    return _Filters(
        texts,
        ListRequest(
            status=status,
            pipeline_id=texts["pipeline"] or None,
            name_part=texts["name"].replace("\0", "") or None,
            created_from=times["from"],
            created_to=times["to"],
            page_size=JOBS_ON_A_PAGE,
            page_token=visit.query.get("page") or None,
        ),
        errors,
    )


def _report(report: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The report with the moments that are out of the ordinary apart."""
    if report is None:
        return None
    odd = [shot for shot in report.get("ShotList", ()) if shot["Status"] != "Taken"]
    return {**report, "Odd": odd}
