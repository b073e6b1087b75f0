"""A job that is being made: what stands in the form of the page New job, and the request that it comes to.

draft = JobDraft.begun(video, choices, template_id)    # what the form begins with
draft = JobDraft.read(visit.form, choices)             # what somebody has sent
if not draft.errors:
    jobs.submit(account_id, draft.request())
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from stillframe.catalog.buckets import BucketView
from stillframe.console.config_form import ConfigForm, field_of, told
from stillframe.errors import ConfigError, NotFound
from stillframe.media import config_json
from stillframe.media.config import CHOICES
from stillframe.service.job_previews import Video
from stillframe.service.ports import JobView, SubmitRequest

#: bytes of UTF-8, as in SubmitSnapshotJob
_MOST_BYTES = {"Name": 128, "UserData": 1024}
_TEXTS = ("OutputBucket", "OutputKey", "Name", "UserData", "Pipeline", "Priority")
_DEFAULT_OUTPUTS = {
    "Normal": "{stem}-stills/{{Count}}.jpg",
    "Sprite": "{stem}-sheets/{{TileCount}}.jpg",
    "WebVtt": "{stem}.vtt",
}
#: names of one video's outputs that differ by their numbers alone
_MOST_NUMBERED = 30
#: fields of ours for parameters of the request
_FIELD_OF = {
    "Output.Media": "OutputKey",
    "Output": "OutputKey",
    "ScheduleConfig.PipelineId": "Pipeline",
    "TemplateConfig.TemplateId": "Template",
}


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to choose from: buckets that may be written to, and the configs of templates by their ids."""

    buckets: Sequence[BucketView]
    templates: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class JobDraft:
    """What stands in the form. `texts`, `errors` and `notes` go by the names of the fields; "" is the name of no field.

    The numbers are those of `config`, whatever the template says. `token` makes the same form, sent twice, one job.
    """

    video: Video
    template_id: str
    template: Mapping[str, Any]
    config: ConfigForm
    texts: Mapping[str, str]
    token: str
    errors: Mapping[str, str]
    #: what is worth knowing of a field that is right
    notes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def begun(cls, video: Video, choices: Choices, template_id: str) -> JobDraft:
        """With the numbers of a template, or without one with those that hold if nothing is said."""
        template = choices.templates.get(template_id, {})
        draft = cls(
            video,
            template_id if template_id in choices.templates else "",
            template,
            ConfigForm.of(template),
            dict.fromkeys(_TEXTS, ""),
            secrets.token_hex(16),
            {},
        )
        return draft._with_output(choices)

    @classmethod
    def like(cls, job: JobView, choices: Choices) -> JobDraft:
        """With all that another job has."""
        video = Video(job.input.bucket, job.input.key)
        draft = cls.begun(video, choices, job.template_id or "")
        # what is made for an asset lies in a folder of the job's own
        output = {"OutputBucket": job.output.bucket, "OutputKey": job.output.key}
        texts = {
            **draft.texts,
            **(output if job.output.type == "OSS" else {}),
            "Name": job.name or "",
            "UserData": job.user_data or "",
            "Pipeline": job.pipeline_id,
        }
        return replace(draft, config=ConfigForm.of(job.template_config), texts=texts)

    @classmethod
    def read(cls, form: Mapping[str, str], choices: Choices) -> JobDraft:
        """What somebody has sent; the numbers of a template that was chosen only now take the place of the others."""
        video = Video.of(form)
        template_id = form.get("Template", "")
        begun = cls.begun(video, choices, template_id)
        texts = {name: form.get(name, "").strip().replace("\0", "") for name in _TEXTS}
        is_new = template_id != form.get("TemplateWas", template_id)
        config = begun.config if is_new else ConfigForm.read(form, base=begun.template)
        errors = dict(config.errors)
        if template_id != begun.template_id:
            errors["Template"] = "There is no such template any more. Choose another one."
        errors |= _flaws(texts)
        token = form.get("token", "")[:64] or begun.token
        draft = replace(begun, config=config, texts=texts, token=token, errors=errors)
        return draft._with_output(choices)

    def with_errors(self, errors: Mapping[str, str]) -> JobDraft:
        """The same with what else is wrong; of two errors of a field the first stays."""
        return replace(self, errors={**errors, **self.errors})

    def with_notes(self, notes: Mapping[str, str]) -> JobDraft:
        """The same with what is worth knowing."""
        return replace(self, notes={**self.notes, **notes})

    def with_free_output(self, free: Callable[[str, Sequence[str]], str | None]) -> JobDraft:
        """With a name in the place of the usual one that is free: `free` picks one of a bucket's keys, or none."""
        texts = self.texts
        if texts["OutputKey"] != usual_output(self.video, self.type):
            return self
        keys = [usual_output(self.video, self.type, number) for number in range(1, _MOST_NUMBERED + 1)]
        key = free(texts["OutputBucket"], keys) or texts["OutputKey"]
        return replace(self, texts={**texts, "OutputKey": key})

    @property
    def preview_query(self) -> str:
        """All that the moments depend on, as a link has it."""
        numbers = {name: text for name, text in self.config.texts.items() if text}
        return urlencode({"bucket": self.video.bucket, "key": self.video.key} | numbers)

    @property
    def form(self) -> ConfigForm:
        """The config's fields as they are shown: with what the service found wrong, too."""
        return replace(self.config, errors={name: text for name, text in self.errors.items() if name})

    @property
    def type(self) -> str:
        """The type that is chosen, right or wrong."""
        return self.config.texts["Type"]

    def request(self) -> SubmitRequest:
        """What the API would be sent."""
        texts = self.texts
        request = SubmitRequest(
            input_type="OSS",
            input_media=self.video.media,
            output_type="OSS",
            output_media=f"oss://{texts['OutputBucket']}/{texts['OutputKey']}",
            template_id=self.template_id if self._follows_template() else None,
            overwrite=self.config.wire,
            pipeline_id=texts["Pipeline"] or None,
            priority=int(texts["Priority"]) if texts["Priority"] else None,
            name=texts["Name"] or None,
            user_data=texts["UserData"] or None,
            trigger_source="Console",
        )
        return replace(request, client_token=self._client_token(request))

    def _follows_template(self) -> bool:
        """Whether the template with the numbers laid over it is what is wanted: nothing of it can be taken away so."""
        if not self.template_id:
            return False
        merged = config_json.merge(self.template, self.config.wire)
        try:
            return config_json.parse(merged) == self.config.config
        except ConfigError:
            return False

    def _client_token(self, request: SubmitRequest) -> str:
        """The page's, for this very request: after a change it is another job's."""
        asked = [str(getattr(request, name)) for name in ("input_media", "output_media", "template_id")]
        asked += [json.dumps(request.overwrite, sort_keys=True), *(self.texts[name] for name in _TEXTS)]
        digest = hashlib.sha256("\0".join([self.token, *asked]).encode(errors="replace"))
        return f"console-{digest.hexdigest()[:40]}"

    def _with_output(self, choices: Choices) -> JobDraft:
        """With the usual place for what is made, unless another one was written."""
        key, bucket = self.texts["OutputKey"], self.texts["OutputBucket"]
        others = {
            usual_output(self.video, other, number)
            for other in CHOICES["Type"]
            for number in range(1, _MOST_NUMBERED + 1)
            if other != self.type
        }
        if not key or key in others:
            key = usual_output(self.video, self.type)
        if not bucket:
            writable = [one.name for one in choices.buckets if one.allows("write", key)]
            first = next(iter(writable), "")
            bucket = self.video.bucket if self.video.bucket in writable else first
        return replace(self, texts={**self.texts, "OutputBucket": bucket, "OutputKey": key})


def usual_output(video: Video, type: str, number: int = 1) -> str:
    """Beside the video, by its name; with a number behind that from the second on."""
    folder, slash, name = video.key.rpartition("/")
    stem = name.rpartition(".")[0] or name
    numbered = stem if number == 1 else f"{stem}-{number}"
    default = _DEFAULT_OUTPUTS.get(type, _DEFAULT_OUTPUTS["Normal"])
    return default.format(stem=f"{folder}{slash}{numbered}")


def error_of(error: ConfigError | NotFound) -> dict[str, str]:
    """What the service says of a request, by the field that it is about."""
    if isinstance(error, NotFound):
        field = {"Pipeline": "Pipeline", "Template": "Template", "Bucket": "OutputBucket"}.get(error.kind, "")
        return {field: f"There is no {error.kind} {error.name[:100]!r}, or it may not be used."}
    path = error.path
    field = _FIELD_OF.get(path) or field_of(path)
    return {field: told(error) if field else f"{error}."}


def _flaws(texts: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with what is not a config's."""
    flaws = {
        name: f"It must be {most} bytes of UTF-8 or less; it has {length}."
        for name, most in _MOST_BYTES.items()
        if (length := len(texts[name].encode(errors="replace"))) > most
    }
    if texts["Priority"] and texts["Priority"] not in map(str, range(1, 11)):
        flaws["Priority"] = f"{texts['Priority'][:60]} is not right. It must be a whole number from 1 to 10."
    return flaws
