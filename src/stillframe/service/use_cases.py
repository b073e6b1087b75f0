"""All use cases, as the faces of the service are given them."""

from __future__ import annotations

from dataclasses import dataclass

from stillframe.catalog.buckets import Buckets
from stillframe.catalog.pipelines import Pipelines
from stillframe.catalog.templates import Templates
from stillframe.service.assets import MediaAssets
from stillframe.service.event_callbacks import EventCallbacks
from stillframe.service.pipelines import PipelineControl
from stillframe.service.ports import SnapshotJobs
from stillframe.service.probe_jobs import ProbeJobs
from stillframe.service.templates import TemplateKeeper


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases that actions and pages stand on."""

    snapshot_jobs: SnapshotJobs
    templates: Templates
    template_keeper: TemplateKeeper
    buckets: Buckets
    pipelines: Pipelines
    pipeline_control: PipelineControl
    event_callbacks: EventCallbacks
    media_assets: MediaAssets
    probe_jobs: ProbeJobs
