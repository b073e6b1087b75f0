"""Where the keys of a place are found."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stillframe.storage import alibaba_keys, aws_keys
from stillframe.storage.find_keys import keys_for, other_keys
from stillframe.storage.keys import Keys, Lender, NoKeys
from stillframe.storage.places import StorePlace
from stillframe.storage.sts import AlibabaOidc, AlibabaRole, AwsRole, AwsWebIdentity, aws_signature

KEYS = Keys("AK", "secret")
AWS_ROLE, RAM_ROLE = "arn:aws:iam::1:role/films", "acs:ram::1:role/films"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it, and an environment without keys."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "ALIBABA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in (".aws", ".aliyun", ".alibabacloud"):
        (tmp_path / folder).mkdir()
    return tmp_path


AWS_ENVIRONMENT: dict[str, tuple[dict[str, str], Keys | Lender]] = {
    "keys": ({"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "secret"}, KEYS),
    "a token": (
        {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "t"},
        Keys("AK", "secret", "t"),
    ),
    "a pod": (
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": AWS_ROLE, "AWS_REGION": "eu-west-1"},
        AwsWebIdentity(AWS_ROLE, "/t", None, "eu-west-1"),
    ),
    "the default profile": ({}, Keys("AK-default", "d")),
    "a named profile": ({"AWS_PROFILE": "films"}, KEYS),
}
AWS_CREDENTIALS = """
[default]
aws_access_key_id = AK-default
aws_secret_access_key = d
[films]
aws_access_key_id = AK
aws_secret_access_key = secret
[own-role]
role_arn = arn:aws:iam::1:role/films
source_profile = own-role
aws_access_key_id = AK
aws_secret_access_key = secret
"""
AWS_CONFIG = """
[profile films]
region = eu-west-1
aws_access_key_id = AK-of-config
aws_secret_access_key = x
[profile role]
role_arn = arn:aws:iam::1:role/films
source_profile = films
external_id = e
duration_seconds = 900
region = eu-west-1
[profile chain]
role_arn = arn:aws:iam::2:role/more
source_profile = role
[profile pod]
role_arn = arn:aws:iam::1:role/films
web_identity_token_file = /t
role_session_name = s
[profile of-environment]
role_arn = arn:aws:iam::1:role/films
credential_source = Environment
[profile circle]
role_arn = arn:aws:iam::1:role/films
source_profile = circle2
[profile circle2]
role_arn = arn:aws:iam::1:role/films
source_profile = circle
[profile sso]
sso_start_url = https://example.com
[profile long]
role_arn = arn:aws:iam::1:role/films
source_profile = films
duration_seconds = an hour
"""
ROLE = AwsRole(KEYS, AWS_ROLE, None, "e", 900, "eu-west-1")


def write_aws(home: Path) -> None:
    (home / ".aws" / "credentials").write_text(AWS_CREDENTIALS)
    (home / ".aws" / "config").write_text(AWS_CONFIG)


@pytest.mark.parametrize("name", AWS_ENVIRONMENT)
def test_amazons_environment(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_aws(home)
    environment, found = AWS_ENVIRONMENT[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert aws_keys.find(None) == found


@pytest.mark.parametrize(
    ("profile", "found"),
    [
        ("films", KEYS),
        ("role", ROLE),
        ("own-role", AwsRole(KEYS, AWS_ROLE)),
        ("chain", AwsRole(ROLE, "arn:aws:iam::2:role/more")),
        ("pod", AwsWebIdentity(AWS_ROLE, "/t", "s")),
    ],
)
def test_amazons_profiles(home: Path, profile: str, found: Keys | Lender) -> None:
    write_aws(home)
    assert aws_keys.find(profile) == found


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("none", r"credentials: there is no section \[none\]"),
        ("circle", "leads in a circle"),
        ("sso", "neither aws_access_key_id"),
        ("long", "duration_seconds that is no number: an hour"),
        ("of-environment", "no source_profile that has keys"),
    ],
)
def test_amazons_profiles_without_keys(home: Path, profile: str, told: str) -> None:
    write_aws(home)
    with pytest.raises(NoKeys, match=told):
        aws_keys.find(profile)


def test_a_file_that_is_none_of_profiles(home: Path) -> None:
    (home / ".aws" / "credentials").write_text("hush = hush\n")
    with pytest.raises(NoKeys, match="cannot be read as a file of profiles") as caught:
        aws_keys.find("films")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("printed", "keys", "told"),
    [
        (
            {
                "AccessKeyId": "AK",
                "SecretAccessKey": "s",
                "SessionToken": "t",
                "Expiration": "2999-01-01T00:00:00Z",
            },
            Keys("AK", "s", "t", datetime(2999, 1, 1, tzinfo=UTC).timestamp()),
            "",
        ),
        ({"AccessKeyId": "AK", "SecretAccessKey": "s"}, Keys("AK", "s"), ""),
        ({"AccessKeyId": "AK"}, None, "does not print keys as JSON"),
        ([], None, "does not print keys as JSON"),
        (None, None, "has failed: CalledProcessError"),
    ],
)
def test_a_program_that_prints_keys(home: Path, printed: object, keys: Keys | None, told: str) -> None:
    program = home / "print.py"
    program.write_text("import sys; sys.exit(1)" if printed is None else f"print({json.dumps(printed)!r})")
    (home / ".aws" / "config").write_text(
        f"[profile films]\ncredential_process = {sys.executable} '{program}'\n"
    )
    place = StorePlace("s3", "films", profile="films")
    if keys is not None:
        assert keys_for(place) == keys
        return
    with pytest.raises(NoKeys, match=told):
        keys_for(place)


OIDC = {
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/t",
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1:oidc-provider/p",
    "ALIBABA_CLOUD_ROLE_ARN": RAM_ROLE,
}
ALIBABA = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "AK", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"}
CLI = {
    "current": "now",
    "profiles": [
        {"name": "now", "mode": "AK", "access_key_id": "AK", "access_key_secret": "secret"},
        {
            "name": "token",
            "mode": "StsToken",
            "access_key_id": "AK",
            "access_key_secret": "secret",
            "sts_token": "t",
        },
        {
            "name": "role",
            "mode": "RamRoleArn",
            "access_key_id": "AK",
            "access_key_secret": "secret",
            "ram_role_arn": RAM_ROLE,
            "ram_session_name": "s",
            "expired_seconds": 900,
            "sts_region": "cn-shanghai",
        },
        {"name": "chain", "mode": "ChainableRamRoleArn", "source_profile": "now", "ram_role_arn": RAM_ROLE},
        {
            "name": "pod",
            "mode": "OIDC",
            "ram_role_arn": RAM_ROLE,
            "oidc_provider_arn": "p",
            "oidc_token_file": "/t",
        },
        {"name": "machine", "mode": "EcsRamRole", "ram_role_name": "x"},
        {"name": "empty", "mode": "AK", "access_key_id": "", "access_key_secret": ""},
        {
            "name": "circle",
            "mode": "ChainableRamRoleArn",
            "source_profile": "circle",
            "ram_role_arn": RAM_ROLE,
        },
    ],
}
INI = """
[kept]
type = access_key
access_key_id = AK
access_key_secret = secret
[lent]
type = ram_role_arn
access_key_id = AK
access_key_secret = secret
role_arn = acs:ram::1:role/films
role_session_name = s
[key-pair]
type = rsa_key_pair
"""


def write_alibaba(home: Path) -> None:
    (home / ".aliyun" / "config.json").write_text(json.dumps(CLI))
    (home / ".alibabacloud" / "credentials.ini").write_text(INI)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        pytest.param(ALIBABA, KEYS, id="keys"),
        pytest.param(
            {**ALIBABA, "ALIBABA_CLOUD_SECURITY_TOKEN": "t"}, Keys("AK", "secret", "t"), id="a token"
        ),
        pytest.param(
            {**ALIBABA, "ALIBABA_CLOUD_ROLE_ARN": RAM_ROLE, "ALIBABA_CLOUD_EXTERNAL_ID": "e"},
            AlibabaRole(KEYS, RAM_ROLE, None, "e"),
            id="a role",
        ),
        pytest.param(OIDC, AlibabaOidc(RAM_ROLE, "acs:ram::1:oidc-provider/p", "/t"), id="a pod"),
        pytest.param({}, KEYS, id="what the CLI uses now"),
        pytest.param({"ALIBABA_CLOUD_PROFILE": "token"}, Keys("AK", "secret", "t"), id="a named profile"),
    ],
)
def test_alibabas_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], found: Keys | Lender
) -> None:
    write_alibaba(home)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert alibaba_keys.find(None) == found


@pytest.mark.parametrize(
    ("profile", "found"),
    [
        ("now", KEYS),
        ("role", AlibabaRole(KEYS, RAM_ROLE, "s", None, 900, "cn-shanghai")),
        ("chain", AlibabaRole(KEYS, RAM_ROLE)),
        ("pod", AlibabaOidc(RAM_ROLE, "p", "/t")),
        ("kept", KEYS),
        ("lent", AlibabaRole(KEYS, RAM_ROLE, "s")),
    ],
)
def test_alibabas_profiles(home: Path, profile: str, found: Keys | Lender) -> None:
    write_alibaba(home)
    assert alibaba_keys.find(profile) == found


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        (
            "none",
            r"there is no profile none in .*config\.json, and no section \[none\] in .*credentials\.ini",
        ),
        ("machine", "has the mode EcsRamRole; AK, "),
        ("empty", "lacks access_key_id or access_key_secret"),
        ("circle", "leads in a circle"),
        ("key-pair", "has the type rsa_key_pair; access_key, "),
    ],
)
def test_alibabas_profiles_without_keys(home: Path, profile: str, told: str) -> None:
    write_alibaba(home)
    with pytest.raises(NoKeys, match=told):
        alibaba_keys.find(profile)


def test_what_was_changed_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    place = StorePlace("oss", "films", region="cn-shanghai")
    for name, value in ALIBABA.items():
        monkeypatch.setenv(name, value)
    assert keys_for(place) == KEYS
    assert other_keys(place, refused=KEYS) is None
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "another")
    assert other_keys(place, refused=KEYS) == Keys("AK", "another")
    monkeypatch.delenv("ALIBABA_CLOUD_ACCESS_KEY_ID")
    assert other_keys(place, refused=KEYS) is None


def test_amazons_signature_by_its_published_example() -> None:
    """`post-x-www-form-urlencoded` of the test suite for version 4."""
    now = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    keys = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    signed = aws_signature(
        "https://example.amazonaws.com/", b"Param1=value1", keys, "us-east-1", now, "service"
    )
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    )
