"""Buckets: which there are, what one may do there, and where they lie.

To bind a name to a place is the operator's: it names folders of the server, and uses the server's keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.responses import Response

from stillframe.catalog.buckets import BucketView, Grant, GrantView
from stillframe.catalog.models import Access
from stillframe.console.page import Page
from stillframe.console.pages.objects import LIST, demand_bucket, may_write
from stillframe.console.visit import Visit
from stillframe.errors import ConfigError, NotFound, SinkError, SourceError
from stillframe.service.errors import ApiError, shown

_LIST = (LIST,)
_DEFAULT = "SetDefaultStorageLocation"
_ACCESSES: tuple[Access, ...] = ("read", "write")
#: the fields of the forms, by the parameters that are wrong
_FIELDS = {"Bucket": "name", "To": "place", "Region": "region", "Account": "account", "Path": "folder"}


@dataclass(frozen=True, slots=True)
class _Form:
    """A form as it was sent, and what is wrong with its fields; `name` tells the forms of a page apart."""

    name: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str, otherwise: str = "") -> str:
        """What was sent in a field."""
        return self.texts.get(name, otherwise)

    def error(self, name: str) -> str | None:
        """What is wrong with it."""
        return self.errors.get(name)

    @property
    def status(self) -> int:
        """Of the page that shows it."""
        return 400 if self.errors else 200


def list_buckets(visit: Visit) -> Response:
    """The account's buckets, and those that it was granted something in."""
    return _show_list(visit, _Form())


def add(visit: Visit) -> Response:
    """Bind a new name to a place."""
    texts = _demand_operator(visit, "stillframe bucket add NAME --to PLACE")
    name = texts["name"]
    try:
        visit.services.buckets.add(name, visit.account_id, texts["place"], texts["region"])
    except (ConfigError, SinkError, SourceError) as error:
        return _show_list(visit, _Form("add", texts, _wrong(error)))
    return visit.go(f"/buckets/{name}", done=f"oss://{name} can be written to and read.")


def show(visit: Visit) -> Response:
    """A bucket's settings: where it lies, who may use it, whether it is the default storage."""
    return _show_bucket(visit, _Form())


def edit(visit: Visit) -> Response:
    """Bind the name to another place."""
    texts = _demand_operator(visit, "stillframe bucket edit NAME --to PLACE")
    bucket = _demand_own(visit)
    try:
        visit.services.buckets.rebind(bucket.name, texts["place"], texts["region"])
    except (ConfigError, SinkError, SourceError) as error:
        return _show_bucket(visit, _Form("edit", texts, _wrong(error)))
    return visit.go(_settings(bucket), done=f"oss://{bucket.name} can be written to and read.")


def remove(visit: Visit) -> Response:
    """Forget the name."""
    _demand_operator(visit, "stillframe bucket remove NAME")
    bucket = _demand_own(visit)
    visit.services.buckets.remove(bucket.name)
    return visit.go("/buckets", done=f"oss://{bucket.name} is removed; its files are still there.")


def grant(visit: Visit) -> Response:
    """Let another account in."""
    texts = _demand_operator(visit, "stillframe bucket grant NAME ACCOUNT --read")
    bucket = _demand_own(visit)
    accesses = [access for access in _ACCESSES if texts.get(access) == "true"]
    try:
        if not accesses:
            raise ConfigError("Account", "neither", "let in to read, to write, or both: tick what it may do")
        account_id = visit.rooms.accounts.named(texts["account"])
        for access in accesses:
            visit.services.buckets.grant(bucket.name, account_id, Grant(access, texts["prefix"]))
    except (ConfigError, NotFound) as error:
        return _show_bucket(visit, _Form("grant", texts, _wrong(error)))
    may = " and ".join(accesses)
    return visit.go(
        _settings(bucket), done=f"Account {texts['account']} may {may} oss://{bucket.name}/{texts['prefix']}*"
    )


def revoke(visit: Visit) -> Response:
    """Take back what another account was granted."""
    texts = _demand_operator(visit, "stillframe bucket revoke NAME ACCOUNT")
    bucket = _demand_own(visit)
    access: Access = "write" if texts["access"] == "write" else "read"
    visit.services.buckets.revoke(bucket.name, texts["account"], access, texts["prefix"])
    return visit.go(
        _settings(bucket), done="It is taken back. Links that were given are good until they end."
    )


def choose(visit: Visit) -> Response:
    """Make the bucket the default storage."""
    texts = _texts(visit)
    folder = texts["folder"]
    bucket = demand_bucket(visit, visit.path["bucket"])
    try:
        visit.services.buckets.set_default_storage(visit.account_id, bucket.name, folder)
    except ConfigError as error:
        return _show_bucket(visit, _Form("default", texts, _wrong(error)))
    except NotFound:
        if not may_write(bucket):
            raise
        wrong = {"folder": f"The account may not write to {shown(folder)} there."}
        return _show_bucket(visit, _Form("default", texts, wrong))
    return visit.go(_settings(bucket), done=f"Outputs that name no bucket go to oss://{bucket.name}/{folder}")


PAGES = (
    Page("/buckets", list_buckets, _LIST, title="Buckets"),
    Page("/buckets", add, _LIST, method="POST", waits=True),
    Page("/buckets/{bucket}/settings", show, _LIST),
    Page("/buckets/{bucket}/settings", edit, _LIST, method="POST", waits=True),
    Page("/buckets/{bucket}/remove", remove, _LIST, method="POST"),
    Page("/buckets/{bucket}/grant", grant, _LIST, method="POST"),
    Page("/buckets/{bucket}/revoke", revoke, _LIST, method="POST"),
    Page("/buckets/{bucket}/default", choose, (_DEFAULT,), method="POST"),
)


def _show_list(visit: Visit, form: _Form) -> Response:
    return visit.show(
        "buckets/list.html",
        status=form.status,
        buckets=visit.services.buckets.all_of_account(visit.account_id),
        default=visit.services.buckets.usable_default_storage(visit.account_id),
        kind=_kind,
        form=form,
        region=visit.rooms.region,
    )


def _show_bucket(visit: Visit, form: _Form) -> Response:
    bucket = demand_bucket(visit, visit.path["bucket"])
    is_own = bucket.grants is None
    grants: list[GrantView] = []
    names: Mapping[str, str] = {}
    if is_own and visit.is_operator:
        grants = [one for one in visit.services.buckets.grants() if one.bucket == bucket.name]
        names = {one.account_id: one.name for one in visit.rooms.accounts.all()} if grants else {}
    return visit.show(
        "buckets/settings.html",
        status=form.status,
        bucket=bucket,
        is_own=is_own,
        kind=_kind(bucket),
        grants=[(one, names.get(one.account_id, one.account_id)) for one in grants],
        default=visit.services.buckets.usable_default_storage(visit.account_id),
        may_choose=visit.may(_DEFAULT) and may_write(bucket),
        form=form,
    )


def _demand_operator(visit: Visit, command: str) -> Mapping[str, str]:
    """The form's fields. Raises ApiError for who is not the operator."""
    if not visit.is_operator:
        raise ApiError(
            "NoPermission",
            "Where buckets lie is for the operator to say, who is logged in by a printed link of the first account. "
            f"On the server, the same is done by: {command}",
        )
    return _texts(visit)


def _demand_own(visit: Visit) -> BucketView:
    bucket = demand_bucket(visit, visit.path["bucket"])
    if bucket.grants is not None:
        raise NotFound("Bucket", bucket.name)
    return bucket


def _texts(visit: Visit) -> Mapping[str, str]:
    """All that the forms may have, so that what is missing is empty."""
    given = {name: text.replace("\0", "") for name, text in visit.form.items()}
    exact = {name: given.get(name, "") for name in ("access", "prefix", "read", "write")}
    # what people paste has white space at its ends
    return exact | {name: given.get(name, "").strip() for name in _FIELDS.values()}


def _wrong(error: ConfigError | NotFound | SinkError | SourceError) -> dict[str, str]:
    """What is said beside the field that is wrong: a place that does not work is wrong, too."""
    match error:
        case ConfigError():
            return {_FIELDS.get(error.path, "place"): f"{shown(error.value)} must be {error.allowed}."}
        case NotFound():
            return {_FIELDS.get(error.kind, "name"): f"There is no {error.kind} {shown(error.name)}."}
        case _:
            return {"place": f"{error.message[:1].upper()}{error.message[1:]}."}


def _settings(bucket: BucketView) -> str:
    return f"/buckets/{bucket.name}/settings"


def _kind(bucket: BucketView) -> str:
    """What sort of a place it is."""
    return _KINDS.get(bucket.place.partition(":")[0], "Store")


_KINDS = {"fs": "Folder", "s3": "S3", "oss": "OSS"}
