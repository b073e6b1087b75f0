"""Templates: the system's and one's own, with a form that draws what it makes while the numbers change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args
from urllib.parse import urlencode

from pydantic_core import from_json
from starlette.responses import Response

from stillframe.catalog.system_templates import SYSTEM_TEMPLATES
from stillframe.catalog.templates import (
    SystemTemplate,
    TemplateFilter,
    TemplateView,
    system_template,
    system_templates,
)
from stillframe.console.config_form import FIELDS, GROUPS, LABELS, ConfigForm, told
from stillframe.console.config_words import sentence
from stillframe.console.drawing import Drawing, VideoForm, draw
from stillframe.console.form_values import page_number, short_text
from stillframe.console.page import Page
from stillframe.console.request_code import RequestCode, code_for
from stillframe.console.templating import pretty_json
from stillframe.console.visit import Visit
from stillframe.errors import ConfigError
from stillframe.media.config import SnapshotType

TEMPLATES_ON_A_PAGE = 25
_MOST_NAME_BYTES = 128
_OUTPUTS: Mapping[SnapshotType, str] = {
    "Normal": "thumbs/{Count}.jpg",
    "Sprite": "sheets/{TileCount}.jpg",
    "WebVtt": "tracks/movie.vtt",
}
_NEW: Mapping[str, Any] = {"Type": "Sprite", "Width": 160, "SpriteSnapshotConfig": {"Columns": 5, "Lines": 5}}
_JSON = 'a JSON object such as {"Type":"Normal","Count":8}'


@dataclass(frozen=True, slots=True)
class _Editor:
    """The form of a template, as it was sent or as it begins.

    `base` is the config that the fields began with; `json` the text of it where it is written by hand.
    """

    name: str
    config: ConfigForm
    base: Mapping[str, Any]
    video: VideoForm
    json: str | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    drawing: Drawing | None = None

    @property
    def is_right(self) -> bool:
        """Whether it can be stored."""
        return not self.errors and self.config.config is not None

    @property
    def is_wrong(self) -> bool:
        """Whether nothing can be said of what it makes."""
        return self.config.config is None or self.video.video is None or bool(self.errors.get("Json"))

    @property
    def told_of_json(self) -> Mapping[str, str]:
        """What is said below a config that is written by hand, by the keys that it is about."""
        return {"": self.errors["Json"]} if "Json" in self.errors else self.flaws

    @property
    def flaws(self) -> Mapping[str, str]:
        """What is said beside the fields: errors, and what the video that is drawn would fail of."""
        return {**(self.drawing.flaws if self.drawing else {}), **self.config.errors}


def list_templates(visit: Visit) -> Response:
    """The account's own, the newest first, and the system's."""
    texts = {name: visit.query.get(name, "").strip()[:200] for name in ("name", "type")}
    type = next((known for known in get_args(SnapshotType) if known == texts["type"]), None)
    wanted = TemplateFilter(type, texts["name"].replace("\0", "") or None)
    number = page_number(visit.query.get("page", "1"))
    found, total = visit.services.templates.page(
        visit.account_id, wanted, newest_first=True, number=number, size=TEMPLATES_ON_A_PAGE
    )
    query = {name: text for name, text in texts.items() if text}
    has_more = number * TEMPLATES_ON_A_PAGE < total
    return visit.show(
        "templates/list.html",
        own=found,
        system=system_templates(wanted) if visit.may("ListSystemTemplates") else (),
        texts=texts,
        types=[("", "Any"), *(FIELDS["Type"].choices or ())],
        sentence=sentence,
        is_filtered=bool(query),
        first=f"?{urlencode(query)}" if number > 1 else None,
        next=f"?{urlencode(query | {'page': str(number + 1)})}" if has_more else None,
    )


def show_own(visit: Visit) -> Response:
    """A template of one's own."""
    template_id = visit.path["template_id"]
    if template_id in SYSTEM_TEMPLATES:
        return visit.go(f"/templates/system/{template_id}")
    template = visit.services.templates.get(visit.account_id, template_id)
    return _show(visit, template, template.template_id, template.type, template.config)


def show_system(visit: Visit) -> Response:
    """A template that every account has."""
    template = system_template(visit.path["system_id"])
    return _show(visit, template, template.template_id, template.type, template.config)


def new(visit: Visit) -> Response:
    """The form of a new one, empty or with what another one has."""
    config, name = _NEW, ""
    if source := visit.query.get("copy"):
        if source in SYSTEM_TEMPLATES:
            visit.demand("GetSystemTemplate")
            name, config = system_template(source).name, system_template(source).config
        else:
            visit.demand("GetCustomTemplate")
            own = visit.services.templates.get(visit.account_id, source)
            name, config = own.name, own.config
        name = f"Copy of {name}".encode()[:_MOST_NAME_BYTES].decode(errors="ignore")
    return _edit(visit, _begun(visit, name, config), None)


def create(visit: Visit) -> Response:
    """Draw, or store, what the form has."""
    editor = _sent(visit, None)
    if _is_drawn_only(visit) or not editor.is_right:
        return _edit(visit, editor, None)
    made = visit.services.template_keeper.create(visit.account_id, editor.name, None, editor.config.wire)
    return visit.go(f"/templates/{made.template_id}", done="The template is stored.")


def edit(visit: Visit) -> Response:
    """The form of a template that is there."""
    template = visit.services.templates.get(visit.account_id, visit.path["template_id"])
    return _edit(visit, _begun(visit, template.name, template.config), template)


def update(visit: Visit) -> Response:
    """Draw, or store, what the form of one that is there has."""
    template = visit.services.templates.get(visit.account_id, visit.path["template_id"])
    editor = _sent(visit, template.type)
    if _is_drawn_only(visit) or not editor.is_right:
        return _edit(visit, editor, template)
    visit.services.template_keeper.update(
        visit.account_id, template.template_id, name=editor.name, config=editor.config.wire
    )
    return visit.go(
        f"/templates/{template.template_id}",
        done="The template is changed. Jobs keep what they were sent with.",
    )


def delete(visit: Visit) -> Response:
    """Remove a template; jobs keep their config."""
    visit.services.templates.delete(visit.account_id, visit.path["template_id"])
    return visit.go("/templates", done="The template is deleted.")


def set_default(visit: Visit) -> Response:
    """Make it the default one of its type."""
    visit.services.templates.set_default(visit.account_id, visit.path["template_id"])
    return visit.go(
        f"/templates/{visit.path['template_id']}", done="It is the default template of its type now."
    )


PAGES = (
    Page("/templates", list_templates, ("ListCustomTemplates",), title="Templates"),
    Page("/templates/new", new, ("CreateCustomTemplate",)),
    Page("/templates/new", create, ("CreateCustomTemplate",), method="POST"),
    Page("/templates/system/{system_id}", show_system, ("GetSystemTemplate",)),
    Page("/templates/{template_id}", show_own, ("GetCustomTemplate",)),
    Page("/templates/{template_id}/edit", edit, ("UpdateCustomTemplate", "GetCustomTemplate")),
    Page(
        "/templates/{template_id}/edit", update, ("UpdateCustomTemplate", "GetCustomTemplate"), method="POST"
    ),
    Page("/templates/{template_id}/delete", delete, ("DeleteCustomTemplate",), method="POST"),
    Page("/templates/{template_id}/default", set_default, ("SetDefaultCustomTemplate",), method="POST"),
)


def _show(
    visit: Visit,
    template: TemplateView | SystemTemplate,
    template_id: str,
    type: SnapshotType,
    config: Mapping[str, Any],
) -> Response:
    video = VideoForm.read(visit.query)
    form = ConfigForm.of(config)
    return visit.show(
        "templates/template.html",
        part="templates/_shown.html",
        this=template,
        is_own=template_id not in SYSTEM_TEMPLATES,
        type=type,
        sentence=sentence(config),
        video=video,
        drawing=_drawing(visit, form, video),
        code=_code(visit, template_id, type),
    )


def _code(visit: Visit, template_id: str, type: SnapshotType) -> RequestCode:
    """A job with this template, as code; its video is to be filled in."""
    parameters = {
        "Input": {"Type": "OSS", "Media": "oss://BUCKET/movie.mp4"},
        "Output": {"Type": "OSS", "Media": f"oss://BUCKET/{_OUTPUTS[type]}"},
        "TemplateConfig": {"TemplateId": template_id},
    }
    return code_for(parameters, visit.rooms.public_url())


def _edit(visit: Visit, editor: _Editor, template: TemplateView | None) -> Response:
    is_refused = visit.form.get("do") == "save" and not visit.is_part and not editor.is_right
    return visit.show(
        "templates/form.html",
        part="templates/_drawn.html",
        status=400 if is_refused else 200,
        editor=editor,
        config=replace(editor.config, errors=editor.flaws),
        groups=GROUPS,
        labels=LABELS,
        is_refused=is_refused,
        this=template,
        path=f"/templates/{template.template_id}/edit" if template else "/templates/new",
    )


def _is_drawn_only(visit: Visit) -> bool:
    return visit.is_part or visit.form.get("do") != "save"


def _begun(visit: Visit, name: str, config: Mapping[str, Any]) -> _Editor:
    form, video = ConfigForm.of(config), VideoForm.read(visit.query)
    return _Editor(name, form, config, video, drawing=_drawing(visit, form, video))


def _sent(visit: Visit, type: SnapshotType | None) -> _Editor:
    """What was sent, of a template whose type is `type` if it has one already."""
    sent, errors = visit.form, {}
    video = VideoForm.read(sent)
    base: Mapping[str, Any] = _json_object("Base", sent.get("Base") or "{}")
    json = sent.get("Json")
    if json is None:
        form = ConfigForm.read(sent, base=base, type=type)
    else:
        try:
            form = _of_json(json, type)
        except ConfigError as error:
            form, errors = ConfigForm.read({}, type=type), {"Json": f"It must be {error.allowed}."}
    if sent.get("do") == "json" and json is None:
        json, form = pretty_json(form.wire), ConfigForm.of(form.wire)
    elif sent.get("do") == "form" and not errors:
        json, base = None, form.wire
    name = sent.get("Name", "").strip()
    if not _is_drawn_only(visit):
        try:
            short_text("Name", name, _MOST_NAME_BYTES)
        except ConfigError as error:
            errors["Name"] = told(error)
    drawing = _drawing(visit, form, video) if "Json" not in errors else None
    return _Editor(name, form, base, video, json, errors, drawing)


def _of_json(text: str, type: SnapshotType | None) -> ConfigForm:
    """The form of a config that was written by hand. Raises ConfigError for what is no JSON object."""
    wire = {"Type": type or "Normal"} | _json_object("Json", text)
    form = ConfigForm.of(wire)
    if type is not None and wire["Type"] != type and "Type" not in form.errors:
        wrong = {"Type": f"{wire['Type']} is not right. It must be {type}: the type of a template stays."}
        return replace(form, config=None, errors={**form.errors, **wrong})
    return form


def _json_object(path: str, text: str) -> dict[str, Any]:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ConfigError(path, text, f"{_JSON} ({error})") from None
    if not isinstance(value, dict):
        raise ConfigError(path, text, _JSON)
    if "\\u0000" in text or "\0" in text:
        raise ConfigError(path, text, f"{_JSON}, without NUL")
    return value


def _drawing(visit: Visit, form: ConfigForm, video: VideoForm) -> Drawing | None:
    if form.config is None or video.video is None:
        return None
    return draw(form.config, video.video, visit.rooms.caps)
