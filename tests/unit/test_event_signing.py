"""Both signatures, against what their published rules give when they are followed here by other means."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from stillframe.errors import ConfigError
from stillframe.events.callbacks import Callback
from stillframe.events.delivery import headers_of
from stillframe.events.signing import ims_headers, webhook_headers, webhook_key

URL = "https://example.com/callback?a=b"
#: key, body, id, time and signature that https://github.com/standard-webhooks/standard-webhooks publishes
PUBLISHED = (
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    b'{"test": 2432232314}',
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1614265330,
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
)


@pytest.mark.parametrize("key", ["TestKey001", "aB3!~#$%"])
@pytest.mark.parametrize("timestamp", [0, 1_700_000_000])
def test_ims_signs_url_and_time(key: str, timestamp: int) -> None:
    expected = hashlib.new("md5", b"|".join([URL.encode(), b"%d" % timestamp, key.encode()]))
    assert ims_headers(URL, key, timestamp) == {
        "X-ICE-TIMESTAMP": f"{timestamp}",
        "X-ICE-SIGNATURE": "".join(f"{byte:02x}" for byte in expected.digest()),
    }


def test_the_published_vector_of_standard_webhooks() -> None:
    secret, body, event_id, timestamp, signature = PUBLISHED
    assert webhook_headers(secret, event_id, body, timestamp) == {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


@pytest.mark.parametrize("size", [24, 32, 64])
def test_standard_webhooks_signs_id_time_and_body(size: int) -> None:
    key, body = bytes(range(size)), json.dumps({"name": "Größe"}, ensure_ascii=False).encode()
    made = webhook_headers(f"whsec_{base64.b64encode(key).decode()}", "id1", body, 1_700_000_000)
    version, signature = made["webhook-signature"].split(",")
    expected = hmac.new(key, b"id1.1700000000." + body, hashlib.sha256)
    assert (version, base64.b64decode(signature)) == ("v1", expected.digest())
    changed = webhook_headers(f"whsec_{base64.b64encode(key).decode()}", "id1", body + b" ", 1_700_000_000)
    assert changed["webhook-signature"] != made["webhook-signature"]


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_not base64!",
        "whsec_c2hvcnQ=",
        "whsec_" + "A" * 88,
    ],
)
def test_secrets_that_are_none(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        webhook_key(secret)
    assert caught.value.path == "WebhookSecret"
    assert len(secret) < 8 or secret not in str(caught.value)


@pytest.mark.parametrize("auth_switch", [True, False])
@pytest.mark.parametrize("auth_key", ["TestKey001", None])
@pytest.mark.parametrize("secret", [PUBLISHED[0], None])
def test_only_what_was_asked_for_is_signed(
    auth_switch: bool, auth_key: str | None, secret: str | None
) -> None:
    headers = headers_of(Callback(URL, ("ALL",), auth_switch, auth_key, secret), "id1", b"{}")
    assert ("X-ICE-SIGNATURE" in headers) == (auth_switch and auth_key is not None)
    assert ("webhook-signature" in headers) == (secret is not None)
    if "X-ICE-SIGNATURE" in headers and "webhook-timestamp" in headers:
        assert headers["X-ICE-TIMESTAMP"] == headers["webhook-timestamp"]
