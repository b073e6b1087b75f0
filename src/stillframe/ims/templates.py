"""The actions of templates: the snapshot family. IMS has others, for which there is a clear NotSupport."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stillframe.catalog.templates import SystemTemplate, TemplateFilter, TemplateView
from stillframe.catalog.templates import system_template as find_system_template
from stillframe.catalog.templates import system_templates as find_system_templates
from stillframe.errors import NotSupported
from stillframe.ims.action import EXAMPLE_ID, Action, Context
from stillframe.ims.models_snapshot_jobs import SuccessAnswer
from stillframe.ims.models_templates import (
    CreateCustomTemplateAnswer,
    CreateCustomTemplateRequest,
    CreatedTemplateView,
    CustomTemplateView,
    GetCustomTemplateAnswer,
    GetCustomTemplateRequest,
    GetSystemTemplateAnswer,
    ListCustomTemplatesAnswer,
    ListCustomTemplatesRequest,
    ListSystemTemplatesAnswer,
    ListSystemTemplatesRequest,
    SystemTemplateView,
    TemplateRequest,
    UpdateCustomTemplateRequest,
)
from stillframe.media.config import SnapshotType
from stillframe.service.errors import ApiError

_SNAPSHOTS = 2
_SUBTYPES: Mapping[int, SnapshotType] = {1: "Normal", 2: "Sprite", 3: "WebVtt"}
_NUMBERS = {name: number for number, name in _SUBTYPES.items()}


def create(context: Context, request: CreateCustomTemplateRequest) -> CreateCustomTemplateAnswer:
    """Store a config."""
    _demand_snapshots(request.type)
    type = _SUBTYPES[request.subtype] if request.subtype is not None else None
    made = context.services.template_keeper.create(
        context.caller.account_id, request.name, type, request.template_config
    )
    return CreateCustomTemplateAnswer(custom_template=CreatedTemplateView(subtype=made.type, **_own(made)))


def update(context: Context, request: UpdateCustomTemplateRequest) -> SuccessAnswer:
    """Change a stored config, or its name."""
    context.services.template_keeper.update(
        context.caller.account_id, request.template_id, name=request.name, config=request.template_config
    )
    return SuccessAnswer()


def delete(context: Context, request: TemplateRequest) -> SuccessAnswer:
    """Remove a stored config; jobs keep theirs."""
    context.services.templates.delete(context.caller.account_id, request.template_id)
    return SuccessAnswer()


def set_default(context: Context, request: TemplateRequest) -> SuccessAnswer:
    """Make a template the default one of its Subtype."""
    context.services.templates.set_default(context.caller.account_id, request.template_id)
    return SuccessAnswer()


def get(context: Context, request: GetCustomTemplateRequest) -> GetCustomTemplateAnswer:
    """One template, by its id; or a default one."""
    account_id = context.caller.account_id
    if request.template_id is not None:
        found = context.services.templates.get(account_id, request.template_id)
    elif request.type is None:
        raise ApiError("MissingParameter", path="TemplateId")
    else:
        _demand_snapshots(request.type)
        found = context.services.templates.default(account_id, _type_of(request.subtype))
    return GetCustomTemplateAnswer(custom_template=CustomTemplateView(**_own(found), **_kind(found)))


def list_custom(context: Context, request: ListCustomTemplatesRequest) -> ListCustomTemplatesAnswer:
    """The account's templates, page by page."""
    _demand_snapshots(request.type)
    found, total = context.services.templates.page(
        context.caller.account_id,
        TemplateFilter(_type_of(request.subtype), request.name, request.template_id),
        newest_first=request.order_by == "CreationTime:Desc",
        number=request.page_number,
        size=request.page_size,
    )
    views = [CustomTemplateView(**_own(template), **_kind(template)) for template in found]
    return ListCustomTemplatesAnswer(custom_template_list=views, total=total)


def get_system(context: Context, request: TemplateRequest) -> GetSystemTemplateAnswer:
    """One system template."""
    found = find_system_template(request.template_id)
    return GetSystemTemplateAnswer(system_template=SystemTemplateView(**_shared(found), **_kind(found)))


def list_system(context: Context, request: ListSystemTemplatesRequest) -> ListSystemTemplatesAnswer:
    """The templates that every account has, page by page."""
    families = {int(part) for part in request.type.split(",")}
    if _SNAPSHOTS not in families:
        _demand_snapshots(min(families))
    wanted = TemplateFilter(_type_of(request.subtype), request.name, request.template_id)
    found = find_system_templates(wanted) if request.status != "Invisible" else []
    first = (request.page_number - 1) * request.page_size
    views = [
        SystemTemplateView(**_shared(one), **_kind(one)) for one in found[first : first + request.page_size]
    ]
    return ListSystemTemplatesAnswer(system_template_list=views, total=len(found))


_CONFIG = "TemplateConfig has a key that is unknown or out of its range, or its Type is not the template's."
_SYSTEM = "The template is a system template."
_COLOR = "Color in TemplateConfig is random."
_STILLS = '{"Type":"Normal","FrameType":"normal","Time":10000,"Count":8,"Interval":3}'
_EXAMPLE = {"TemplateId": EXAMPLE_ID}
_NONE = {"ResourceNotFound": "There is no such template."}
_FAMILY = "Type is not 2."
_OTHER_FAMILY = {"InvalidParameter.NotSupport": _FAMILY}

ACTIONS = (
    Action(
        "CreateCustomTemplate",
        "Store a snapshot config under an id that jobs can name.",
        "write",
        CreateCustomTemplateRequest,
        CreateCustomTemplateAnswer,
        create,
        errors={"InvalidParameter": _CONFIG, "InvalidParameter.NotSupport": f"{_FAMILY} {_COLOR}"},
        example={"Name": "eight stills", "Type": 2, "Subtype": 1, "TemplateConfig": _STILLS},
    ),
    Action(
        "UpdateCustomTemplate",
        "Change a template; jobs that were submitted with it keep the config that they have.",
        "write",
        UpdateCustomTemplateRequest,
        SuccessAnswer,
        update,
        errors=_NONE | {"InvalidParameter": f"{_CONFIG} {_SYSTEM}", "InvalidParameter.NotSupport": _COLOR},
        example=_EXAMPLE | {"Name": "the eight", "TemplateConfig": _STILLS},
    ),
    Action(
        "DeleteCustomTemplate",
        "Remove a template; jobs that were submitted with it keep the config that they have.",
        "write",
        TemplateRequest,
        SuccessAnswer,
        delete,
        errors=_NONE | {"InvalidParameter": _SYSTEM},
        example=_EXAMPLE,
    ),
    Action(
        "SetDefaultCustomTemplate",
        "Make a template the default one of its Subtype.",
        "write",
        TemplateRequest,
        SuccessAnswer,
        set_default,
        errors=_NONE | {"InvalidParameter": _SYSTEM},
        example=_EXAMPLE,
    ),
    Action(
        "GetCustomTemplate",
        "A template, or the default one of a Subtype.",
        "read",
        GetCustomTemplateRequest,
        GetCustomTemplateAnswer,
        get,
        errors=_OTHER_FAMILY | _NONE | {"MissingParameter": "Neither TemplateId nor Type is given."},
        example=_EXAMPLE,
    ),
    Action(
        "ListCustomTemplates",
        "The templates of an account, page by page.",
        "read",
        ListCustomTemplatesRequest,
        ListCustomTemplatesAnswer,
        list_custom,
        errors=_OTHER_FAMILY,
        example={"Type": 2, "Subtype": 1, "OrderBy": "CreationTime:Asc", "PageSize": 5},
    ),
    Action(
        "GetSystemTemplate",
        "A template that every account has.",
        "read",
        TemplateRequest,
        GetSystemTemplateAnswer,
        get_system,
        errors={"ResourceNotFound": "There is no such system template."},
        example={"TemplateId": "S00000002-000010"},
    ),
    Action(
        "ListSystemTemplates",
        "The templates that every account has.",
        "read",
        ListSystemTemplatesRequest,
        ListSystemTemplatesAnswer,
        list_system,
        errors=_OTHER_FAMILY,
        example={"Type": "2", "Subtype": 2},
    ),
)


def _demand_snapshots(type: int) -> None:
    if type != _SNAPSHOTS:
        raise NotSupported("Type", type, f"{_SNAPSHOTS}: there are snapshot templates only")


def _type_of(subtype: int | None) -> SnapshotType | None:
    return None if subtype is None else _SUBTYPES[subtype]


def _own(template: TemplateView) -> dict[str, Any]:
    return {
        **_shared(template),
        "create_time": template.created_at,
        "modified_time": template.modified_at,
        "is_default": template.is_default,
    }


def _shared(template: TemplateView | SystemTemplate) -> dict[str, Any]:
    return {
        "template_id": template.template_id,
        "template_name": template.name,
        "type": _SNAPSHOTS,
        "type_name": "SnapshotTemplate",
        "template_config": json.dumps(dict(template.config), separators=(",", ":"), ensure_ascii=False),
        "status": "Normal",
    }


def _kind(template: TemplateView | SystemTemplate) -> dict[str, Any]:
    return {"subtype": _NUMBERS[template.type], "subtype_name": template.type}
