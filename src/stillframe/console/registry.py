"""All pages, in the order of the navigation: one that is made is added here, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from stillframe.console.page import Intake, Page, Stream
from stillframe.console.pages import (
    buckets,
    event_callback,
    events,
    jobs,
    media,
    new_job,
    objects,
    people,
    pipelines,
    policies,
    scrub,
    templates,
    try_it,
)

PAGES: Sequence[Page | Stream | Intake] = (
    *jobs.PAGES,
    *scrub.PAGES,
    *new_job.PAGES,
    *buckets.PAGES,
    *objects.PAGES,
    *templates.PAGES,
    *pipelines.PAGES,
    *media.PAGES,
    *event_callback.PAGES,
    *events.PAGES,
    *people.PAGES,
    *policies.PAGES,
    *try_it.PAGES,
)
#: where somebody arrives
HOME = "/jobs"
