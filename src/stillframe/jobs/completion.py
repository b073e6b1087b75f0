"""What is told of a job that has ended: the event SnapshotComplete (docs/events.md)."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from stillframe.events.outbox import Outbox
from stillframe.jobs.models import InputType, Job

SNAPSHOT_COMPLETE = "SnapshotComplete"


def announce(session: Session, outbox: Outbox, job: Job) -> None:
    """The job has ended in this transaction, and its account is to hear of it."""
    assert job.finished_at is not None
    outbox.write(session, job.account_id, SNAPSHOT_COMPLETE, lambda: message_of(job), job.finished_at)


def message_of(job: Job) -> dict[str, Any]:
    """The MessageBody; what a job does not have is left out, as in answers of the API."""
    kind = job.config.get("Type", "Normal")
    message = {
        "JobId": job.job_id,
        "Status": job.status,
        "MediaId": job.output_asset_id or job.input_asset_id,
        "Type": kind,
        "Count": job.count,
        "Code": job.code,
        "Message": job.message,
        "Name": job.name,
        "UserData": job.user_data,
        "TemplateId": job.template_id,
        "PipelineId": job.pipeline_id,
        "Input": _address(job.input_type, job.input_media, job.input_bucket, job.input_region, job.input_key),
        "Output": _address(
            job.output_type, job.output_media, job.output_bucket, job.output_region, job.output_key
        ),
        "SnapshotInfos": [
            {
                "JobId": job.job_id,
                "Status": job.status,
                "SnapshotType": kind,
                "SnapshotCount": job.count,
                "SnapshotRegular": job.output_key,
            }
        ],
    }
    return {name: value for name, value in message.items() if value is not None}


def _address(type: InputType, media: str, bucket: str, region: str, key: str) -> dict[str, Any]:
    return {
        "Type": type,
        "Media": media,
        "OssFile": {"Bucket": bucket, "Location": f"oss-{region}", "Object": key},
    }
