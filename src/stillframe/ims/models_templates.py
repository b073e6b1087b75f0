"""Requests and answers of the template actions, field by field as IMS documents them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from stillframe.ims.action import Answer, AnswerObject, RequestModel
from stillframe.ims.fields import JsonObject, Text, UtcTime, WholeNumber, refuse

Id = Annotated[str, Text(200), Field(description="The template's id.")]
#: the families of IMS: 2 is snapshots
TypeNumber = Annotated[int, WholeNumber(1, 11)]
SubtypeNumber = Annotated[int, WholeNumber(1, 3)]
ConfigText = Annotated[dict[str, Any], JsonObject('{"Type":"Normal","FrameType":"normal","Count":8}')]
Name = Annotated[str, Text(128)]
PageNumber = Annotated[int, WholeNumber(1, 1_000_000), Field(description="Which page, counted from 1.")]
PageSize = Annotated[int, WholeNumber(1, 100), Field(description="Templates on a page.")]

_TYPE = "The family of templates: 2, snapshots. Others are not supported."
_SUBTYPE = "1 Normal, 2 Sprite, 3 WebVtt"


class CreateCustomTemplateRequest(RequestModel):
    """Parameters of CreateCustomTemplate."""

    name: Name = Field(description="A name for people.")
    type: TypeNumber = Field(description=_TYPE)
    subtype: SubtypeNumber | None = Field(
        default=None, description=f"{_SUBTYPE}; what TemplateConfig.Type says if left out."
    )
    template_config: ConfigText = Field(description="The keys of a snapshot config.")


class UpdateCustomTemplateRequest(RequestModel):
    """Parameters of UpdateCustomTemplate; what is left out stays."""

    template_id: Id
    name: Name | None = Field(default=None, description="Another name.")
    template_config: ConfigText | None = Field(
        default=None, description="It takes the place of the old one; Type cannot be changed."
    )


class TemplateRequest(RequestModel):
    """Parameters of an action on one template."""

    template_id: Id


class GetCustomTemplateRequest(RequestModel):
    """Parameters of GetCustomTemplate: an id, or what the default template is asked for."""

    template_id: Id | None = Field(
        default=None, description="The template's id; with it, Type and Subtype do not matter."
    )
    type: TypeNumber | None = Field(
        default=None, description="Without TemplateId: the default template of this family."
    )
    subtype: SubtypeNumber | None = Field(default=None, description=_SUBTYPE)


class ListCustomTemplatesRequest(RequestModel):
    """Parameters of ListCustomTemplates."""

    type: TypeNumber = Field(description=_TYPE)
    subtype: SubtypeNumber | None = Field(default=None, description=_SUBTYPE)
    name: Name | None = Field(default=None, description="Any part of the name, in any case.")
    template_id: Id | None = Field(default=None, description="That template only.")
    order_by: Literal["CreationTime:Desc", "CreationTime:Asc"] = Field(
        default="CreationTime:Desc", description="The newest first, or the oldest."
    )
    page_number: PageNumber = 1
    page_size: PageSize = 20


class ListSystemTemplatesRequest(RequestModel):
    """Parameters of ListSystemTemplates."""

    type: Annotated[str, Text(64)] = Field(
        description="Families of templates, with commas between; see Type 2."
    )
    subtype: SubtypeNumber | None = Field(default=None, description=_SUBTYPE)
    name: Name | None = Field(default=None, description="Any part of the name, in any case.")
    template_id: Id | None = Field(default=None, description="That template only.")
    status: Literal["Normal", "Invisible", "All"] = Field(
        default="Normal", description="System templates are all Normal."
    )
    page_number: PageNumber = 1
    page_size: PageSize = 20

    @field_validator("type")
    @classmethod
    def _numbers(cls, text: str, _: ValidationInfo) -> str:
        for part in text.split(","):
            try:
                WholeNumber(1, 11).parse(part.strip())
            except ValueError:
                raise refuse("whole numbers from 1 to 11 with commas between, such as 1,2") from None
        return text


class TemplateFacts(AnswerObject):
    """What every template tells."""

    template_id: str = Field(description="The template's id, which jobs name.")
    template_name: str = Field(description="Its name.")
    type: int = Field(description="Always 2, snapshots.")
    type_name: str = Field(description="Always SnapshotTemplate.")
    template_config: str = Field(description="A snapshot config, as JSON text.")
    status: str = Field(description="Always Normal.")


class OwnTemplateFacts(TemplateFacts):
    """What a template of one's own tells besides."""

    create_time: UtcTime = Field(description="When it was made.")
    modified_time: UtcTime = Field(description="When it was changed last.")
    is_default: bool = Field(description="Whether it is the default template of its Subtype.")


class SystemTemplateView(TemplateFacts):
    """A template that every account has."""

    subtype: int = Field(description=_SUBTYPE)
    subtype_name: str = Field(description="Normal, Sprite or WebVtt")


class CustomTemplateView(OwnTemplateFacts):
    """A template of one's own."""

    subtype: int = Field(description=_SUBTYPE)
    subtype_name: str = Field(description="Normal, Sprite or WebVtt")


class CreatedTemplateView(OwnTemplateFacts):
    """A template that was made just now."""

    subtype: str = Field(description="Normal, Sprite or WebVtt: text here, a number elsewhere, as in IMS.")


class CreateCustomTemplateAnswer(Answer):
    """Answer of CreateCustomTemplate."""

    custom_template: CreatedTemplateView = Field(description="The template that was made.")


class GetCustomTemplateAnswer(Answer):
    """Answer of GetCustomTemplate."""

    custom_template: CustomTemplateView = Field(description="The template.")


class ListCustomTemplatesAnswer(Answer):
    """Answer of ListCustomTemplates."""

    custom_template_list: list[CustomTemplateView] = Field(description="The templates of the page.")
    total: int = Field(description="How many there are on all pages.")


class GetSystemTemplateAnswer(Answer):
    """Answer of GetSystemTemplate."""

    system_template: SystemTemplateView = Field(description="The template.")


class ListSystemTemplatesAnswer(Answer):
    """Answer of ListSystemTemplates."""

    system_template_list: list[SystemTemplateView] = Field(description="The templates of the page.")
    total: int = Field(description="How many there are on all pages.")
