"""What stands in the form of a new job, and the request that comes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stillframe.catalog.buckets import BucketView, Grant
from stillframe.catalog.system_templates import SYSTEM_TEMPLATES
from stillframe.console.job_draft import Choices, JobDraft, error_of, usual_output
from stillframe.errors import ConfigError, NotFound
from stillframe.media import config_json
from stillframe.service.job_previews import Video

VIDEO = Video("films", "a/movie.one.mp4")
TRACK, SHEET = "S00000002-000030", "S00000002-000020"


def bucket(name: str, *grants: Grant, is_own: bool = True) -> BucketView:
    return BucketView(name, "1", "fs:/x", "cn-shanghai", datetime.now(UTC), None if is_own else grants)


CHOICES = Choices([bucket("films"), bucket("thumbs")], SYSTEM_TEMPLATES)


def sent(draft: JobDraft, **changes: str) -> dict[str, str]:
    """What a browser would send of a form that shows this."""
    texts = {**draft.config.texts, **draft.texts, "Template": draft.template_id, "token": draft.token}
    form = {"bucket": draft.video.bucket, "key": draft.video.key, "TemplateWas": draft.template_id}
    return texts | form | changes


@pytest.mark.parametrize("template_id", ["", *SYSTEM_TEMPLATES])
def test_a_form_that_nobody_has_touched_is_the_template(template_id: str) -> None:
    begun = JobDraft.begun(VIDEO, CHOICES, template_id)
    draft = JobDraft.read(sent(begun), CHOICES)
    assert draft.errors == {}
    request = draft.request()
    assert request.template_id == (template_id or None)
    template: dict[str, Any] = dict(SYSTEM_TEMPLATES.get(template_id, {}))
    merged = config_json.merge(template, request.overwrite or {})
    assert config_json.parse(merged) == config_json.parse(template)
    assert request.input_media == "oss://films/a/movie.one.mp4"
    assert request.trigger_source == "Console"
    assert (request.name, request.user_data, request.pipeline_id, request.priority) == (None,) * 4


def test_what_is_taken_away_of_a_template_is_not_laid_over_it() -> None:
    begun = JobDraft.begun(VIDEO, CHOICES, TRACK)
    assert JobDraft.read(sent(begun, Width="200"), CHOICES).request().template_id == TRACK
    assert JobDraft.read(sent(begun, Width=""), CHOICES).request().template_id is None


def test_a_template_that_is_chosen_now_brings_its_numbers() -> None:
    form = sent(JobDraft.begun(VIDEO, CHOICES, TRACK), Template=SHEET, Width="999")
    chosen = JobDraft.read(form, CHOICES)
    assert (chosen.type, chosen.config.texts["Width"]) == ("Sprite", "160")
    gone = JobDraft.read(form | {"Template": "gone"}, CHOICES)
    assert "no such template" in gone.errors["Template"]


@pytest.mark.parametrize(
    ("key", "type", "output"),
    [
        ("movie.mp4", "Normal", "movie-stills/{Count}.jpg"),
        ("a/b.c.mkv", "Sprite", "a/b.c-sheets/{TileCount}.jpg"),
        ("a.b/movie", "WebVtt", "a.b/movie.vtt"),
        (".mp4", "WebVtt", ".mp4.vtt"),
        ("{Count}.mp4", "Normal", "{Count}-stills/{Count}.jpg"),
    ],
)
def test_the_usual_output_lies_beside_the_video(key: str, type: str, output: str) -> None:
    assert usual_output(Video("films", key), type) == output


def test_the_usual_output_goes_with_the_type_and_another_one_stays() -> None:
    form = sent(JobDraft.begun(VIDEO, CHOICES, SHEET), Type="WebVtt")
    assert JobDraft.read(form, CHOICES).texts["OutputKey"] == "a/movie.one.vtt"
    assert JobDraft.read(form | {"OutputKey": ""}, CHOICES).texts["OutputKey"] == "a/movie.one.vtt"
    assert JobDraft.read(form | {"OutputKey": "mine.vtt"}, CHOICES).texts["OutputKey"] == "mine.vtt"


@pytest.mark.parametrize(
    ("buckets", "chosen"),
    [
        ([bucket("a"), bucket("films")], "films"),
        ([bucket("films", Grant("read", ""), is_own=False), bucket("z")], "z"),
        ([bucket("films", Grant("write", "a/"), is_own=False), bucket("z")], "films"),
        ([bucket("films", Grant("write", "b/"), is_own=False)], ""),
    ],
)
def test_the_bucket_is_the_videos_or_one_that_may_be_written_to(
    buckets: list[BucketView], chosen: str
) -> None:
    draft = JobDraft.begun(VIDEO, Choices(buckets, SYSTEM_TEMPLATES), "")
    assert draft.texts["OutputBucket"] == chosen


def test_the_same_form_has_the_same_token_and_another_one_another() -> None:
    begun = JobDraft.begun(VIDEO, CHOICES, SHEET)
    form = sent(begun)
    tokens = [JobDraft.read(form | more, CHOICES).request().client_token for more in ({}, {}, {"Count": "5"})]
    tokens.append(JobDraft.read(sent(JobDraft.begun(VIDEO, CHOICES, SHEET)), CHOICES).request().client_token)
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3
    # the API takes 64 bytes
    assert all(token is not None and len(token) <= 64 for token in tokens)


@pytest.mark.parametrize(
    ("error", "field"),
    [
        (ConfigError("Output.Media", "x", "y"), "OutputKey"),
        (ConfigError("IntervalMs", 1, "y"), "Interval"),
        (ConfigError("SpriteSnapshotConfig.Columns x Lines", "1 x 1", "y"), "SpriteSnapshotConfig.Columns"),
        (ConfigError("Input.Media", "x", "y"), ""),
        (NotFound("Pipeline", "x"), "Pipeline"),
        (NotFound("Bucket", "x"), "OutputBucket"),
        (NotFound("Media", "x"), ""),
    ],
)
def test_errors_of_the_service_stand_beside_fields(error: ConfigError | NotFound, field: str) -> None:
    assert error_of(error).keys() == {field}
