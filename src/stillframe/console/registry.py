"""All pages, in the order of the navigation: one that is made is added here, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from stillframe.console.page import Page, Stream
from stillframe.console.pages import jobs, pipelines, scrub, templates

#: a path of words stands before one with a placeholder that would match it, too
PAGES: Sequence[Page | Stream] = (
    *jobs.PAGES,
    *scrub.PAGES,
    *templates.PAGES,
    *pipelines.PAGES,
)
#: where somebody arrives
HOME = "/jobs"
