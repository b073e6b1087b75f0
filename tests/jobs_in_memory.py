"""The use cases of snapshot jobs over a dictionary: what the API's face is tested against."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime

from stillframe.errors import ConfigError, NotFound
from stillframe.media import config_json
from stillframe.service.ports import (
    Address,
    InputType,
    JobPage,
    JobView,
    ListRequest,
    SubmitRequest,
    UrlsRequest,
    UrlsView,
)


class JobsInMemory:
    """Jobs of several accounts. `submitted` keeps every request; `fault` is raised by the next call."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.jobs: dict[tuple[str, str], JobView] = {}
        self.submitted: list[SubmitRequest] = []
        self.deleted: list[tuple[str, bool]] = []
        self.listed: list[ListRequest] = []
        self.asked_urls: list[UrlsRequest] = []
        self.fault: Exception | None = None

    def check(self, account_id: str, request: SubmitRequest) -> None:
        self._fail()

    def submit(self, account_id: str, request: SubmitRequest) -> str:
        self._fail()
        self.submitted.append(request)
        config = config_json.merge(
            {"Type": "Normal"}, dict(request.overwrite or {}), dict(request.extensions or {})
        )
        now = datetime.now(UTC)
        view = JobView(
            job_id=secrets.token_hex(16),
            status="Init",
            type=config_json.parse(config).type,
            input=_address(request.input_type, request.input_media),
            output=_address(request.output_type, request.output_media),
            template_id=request.template_id,
            template_config=config_json.to_wire(config_json.parse(config)),
            pipeline_id=request.pipeline_id or "0" * 32,
            create_time=now,
            submit_time=now,
            modified_time=now,
            name=request.name,
            user_data=request.user_data,
        )
        self.jobs[account_id, view.job_id] = view
        return view.job_id

    def get(self, account_id: str, job_id: str) -> JobView:
        self._fail()
        try:
            return self.jobs[account_id, job_id]
        except KeyError:
            raise NotFound("Job", job_id) from None

    def list_jobs(self, account_id: str, request: ListRequest) -> JobPage:
        self._fail()
        self.listed.append(request)
        mine = [job for (owner, _), job in self.jobs.items() if owner == account_id]
        mine.sort(key=lambda job: (job.create_time, job.job_id), reverse=request.newest_first)
        if request.page_token is not None and not request.page_token.isdigit():
            raise ConfigError("NextPageToken", request.page_token, "one that ListSnapshotJobs has given")
        start = int(request.page_token or 0)
        end = start + request.page_size
        return JobPage(mine[start:end], str(end) if end < len(mine) else None)

    def urls(self, account_id: str, request: UrlsRequest) -> UrlsView:
        job = self.get(account_id, request.job_id)
        self.asked_urls.append(request)
        urls = [f"http://files/{number:05}.jpg" for number in range(1, (job.count or 0) + 1)]
        if request.last_first:
            urls.reverse()
        start = (request.page_number - 1) * request.page_size
        track = "http://files/x.vtt" if job.type == "WebVtt" else None
        return UrlsView(len(urls), urls[start : start + request.page_size], track)

    def cancel(self, account_id: str, job_id: str) -> None:
        job = self.get(account_id, job_id)
        now = datetime.now(UTC)
        self.jobs[account_id, job_id] = replace(
            job, status="Fail", code="OperationCanceled", finish_time=now, modified_time=now
        )

    def retry(self, account_id: str, job_id: str) -> None:
        job = self.get(account_id, job_id)
        self.jobs[account_id, job_id] = replace(job, status="Init", code=None, finish_time=None)

    def delete(self, account_id: str, job_id: str, *, outputs: bool) -> None:
        self.get(account_id, job_id)
        self.deleted.append((job_id, outputs))
        del self.jobs[account_id, job_id]

    def _fail(self) -> None:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault


def _address(kind: InputType, media: str) -> Address:
    bucket, _, key = media.removeprefix("oss://").partition("/")
    return Address(kind, media, bucket, "cn-shanghai", key)
