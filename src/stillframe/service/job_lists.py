"""A page of an account's jobs, of either kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from stillframe.jobs.models import Job, ProbeJob
from stillframe.service.page_tokens import place_of, token_of
from stillframe.service.ports import ListRequest

AnyJob = TypeVar("AnyJob", Job, ProbeJob)


def page_of(
    session: Session, kind: type[AnyJob], account_id: str, request: ListRequest
) -> tuple[Sequence[AnyJob], str | None]:
    """The jobs that are wanted, in their order, and the token for the next page; None on the last one."""
    order = (kind.created_at, kind.job_id)
    query = select(kind).where(kind.account_id == account_id)
    if request.job_id is not None:
        query = query.where(kind.job_id == request.job_id)
    if request.media_id is not None:
        named = kind.input_asset_id == request.media_id
        query = query.where(named | (Job.output_asset_id == request.media_id) if kind is Job else named)
    if request.status is not None:
        query = query.where(kind.status == request.status)
    if request.pipeline_id is not None:
        query = query.where(kind.pipeline_id == request.pipeline_id)
    if request.name_part is not None:
        query = query.where(kind.name.icontains(request.name_part, autoescape=True))
    if request.created_from is not None:
        query = query.where(kind.created_at >= request.created_from)
    if request.created_to is not None:
        # as it is shown, to the second
        query = query.where(
            kind.created_at < request.created_to.replace(microsecond=0) + timedelta(seconds=1)
        )
    if request.page_token is not None:
        place, after = tuple_(*order), place_of(request.page_token, account_id, "NextPageToken")
        query = query.where(place < after if request.newest_first else place > after)
    query = query.order_by(*(column.desc() if request.newest_first else column for column in order))
    found = session.scalars(query.limit(request.page_size + 1)).all()
    last = found[request.page_size - 1] if len(found) > request.page_size else None
    token = token_of(account_id, (last.created_at, last.job_id)) if last is not None else None
    return found[: request.page_size], token
