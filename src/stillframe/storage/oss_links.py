"""Links to OSS by a domain of one's own (CNAME), with OSS's own signature V4: nobody else makes them for us.

oss_link(place, "a/x.jpg", keys, 600, datetime.now(UTC))    # https://videos.example.com/a/x.jpg?x-oss-credential=…

The rule: https://www.alibabacloud.com/help/en/oss/developer-reference/add-signatures-to-urls
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from urllib.parse import quote

from stillframe.storage.keys import Keys
from stillframe.storage.places import StorePlace

_ALGORITHM = "OSS4-HMAC-SHA256"


def oss_link(place: StorePlace, key: str, keys: Keys, seconds: int, now: datetime) -> str:
    """Where anybody may read an object for so long; `place.endpoint` is the domain that is bound to the bucket."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = [moment[:8], place.region or "", "oss", "aliyun_v4_request"]
    told = {
        "x-oss-credential": f"{keys.access_key_id}/{'/'.join(scope)}",
        "x-oss-date": moment,
        "x-oss-expires": str(seconds),
        "x-oss-signature-version": _ALGORITHM,
    }
    if keys.session_token:
        told["x-oss-security-token"] = keys.session_token
    query = "&".join(f"{name}={_quoted(told[name])}" for name in sorted(told))
    path = quote(f"{place.prefix}{key}", safe="/-_.~")
    canonical = f"GET\n/{place.bucket}/{path}\n{query}\n\n\nUNSIGNED-PAYLOAD"
    text = "\n".join((_ALGORITHM, moment, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()))
    signing = f"aliyun_v4{keys.secret}".encode()
    for part in (*scope, text):
        signing = hmac.digest(signing, part.encode(), hashlib.sha256)
    return f"{place.endpoint}/{path}?{query}&x-oss-signature={signing.hex()}"


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
