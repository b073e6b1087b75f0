"""The process of `oss_server`: an OSS in memory, which prints its port. It imports nothing of others, to start soon."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from oss_signatures import Account, Refused, Signed, demand_signature

REGION = "cn-shanghai"
KEY_ID, SECRET = "LTAI-test", "testing"
#: where the tests tell it what it is to do
CONTROL = "/-/"
_KEPT_HEADERS = ("content-type", "cache-control", "content-disposition", "content-encoding")


@dataclass(frozen=True)
class _Object:
    data: bytes
    etag: str
    modified_s: float
    headers: Mapping[str, str]


@dataclass
class _Bucket:
    region: str
    objects: dict[str, _Object] = field(default_factory=dict)


@dataclass
class _Upload:
    headers: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.accounts = {KEY_ID: Account(SECRET)}
        self.buckets: dict[str, _Bucket] = {}
        self.domains: dict[str, str] = {}
        self.uploads: dict[str, _Upload] = {}
        self.ahead_s = 0.0
        self.hidden = 0

    def now_s(self) -> float:
        return time.time() + self.ahead_s

    def control(self, name: str, told: dict[str, Any]) -> None:
        if name == "bucket":
            self.buckets[told["name"]] = _Bucket(told["region"])
        elif name == "domain":
            self.domains[told["domain"]] = told["bucket"]
        elif name == "keys":
            lifetime_s = told["lifetime_s"]
            expires_s = None if lifetime_s is None else self.now_s() + lifetime_s
            self.accounts[told["key_id"]] = Account(told["secret"], told["token"], expires_s)
        elif name == "expire":
            account = self.accounts[told["key_id"]]
            self.accounts[told["key_id"]] = Account(account.secret, account.token, self.now_s())
        elif name == "clock":
            self.ahead_s = told["ahead_s"]
        elif name == "hide":
            self.hidden = told["requests"]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.wants_body = self.command != "HEAD"
        self.is_s3 = False
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            with self.server.lock:
                if self.path.startswith(CONTROL):
                    self.server.control(self.path.removeprefix(CONTROL), json.loads(body))
                    self._answer(200)
                else:
                    self._object_or_bucket(self._signed(body))
        except Refused as error:
            refused = self._as_amazon(error)
            shown = f"<Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>"
            self._answer(
                refused.status, _xml("Error", f"{shown}<RequestId>1</RequestId><HostId>oss</HostId>")
            )

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - as http.server wants them

    def _as_amazon(self, refused: Refused) -> Refused:
        """Who speaks S3 is told of tokens as Amazon tells it."""
        is_s3 = self.headers.get("Authorization", "").startswith("AWS4") or "X-Amz-" in self.path
        code = {"SecurityTokenExpired": "ExpiredToken", "InvalidSecurityToken": "InvalidToken"}.get(
            refused.code
        )
        return Refused(400, code, refused.message) if is_s3 and code else refused

    def _signed(self, body: bytes) -> Signed:
        parts = urlsplit(self.path)
        host = self.headers["Host"].partition(":")[0]
        path = unquote(parts.path).removeprefix("/")
        # as OSS's clients do it, too: an address cannot have a name before it
        bucket, _, key = path.partition("/") if _is_address(host) else (self._bucket_of(host), "", path)
        query = parse_qsl(parts.query, keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Signed(self.command, parts.path, query, headers, bucket, key, body)

    def _bucket_of(self, host: str) -> str:
        return self.server.domains.get(host, host.partition(".")[0])

    def _object_or_bucket(self, request: Signed) -> None:
        now_s = self.server.now_s()
        self.is_s3 = demand_signature(request, self.server.accounts, REGION, now_s) == "s3"
        bucket = self.server.buckets.get(request.bucket)
        if bucket is None:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist.")
        if bucket.region != REGION:
            message = (
                "The bucket you are attempting to access must be addressed using the specified endpoint."
            )
            raise Refused(403, "AccessDenied", message)
        query = dict(request.query)
        if not request.key:
            if request.method == "POST" and "delete" in query:
                return self._delete_many(bucket, request)
            return self._list(bucket, query)
        if "uploads" in query or "uploadId" in query:
            return self._upload(bucket, request, query)
        if request.method == "PUT":
            kept = self._put(bucket, request.key, request.body, _etag(request.body), request.headers)
            return self._answer(200, headers={"ETag": self._shown(kept.etag)})
        if request.method == "DELETE":
            bucket.objects.pop(request.key, None)
            return self._answer(204)
        return self._get(bucket, request)

    def _get(self, bucket: _Bucket, request: Signed) -> None:
        found = bucket.objects.get(request.key)
        if found is not None and self.server.hidden:
            self.server.hidden -= 1
            found = None
        if found is None:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.")
        etag, wanted = self._shown(found.etag), request.headers.get("if-match")
        if wanted is not None and wanted.strip('"').lower() != found.etag.strip('"').lower():
            raise Refused(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
        modified = formatdate(found.modified_s, usegmt=True)
        headers = {**found.headers, "ETag": etag, "Last-Modified": modified, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
        if asked is None or not (asked[1] or asked[2]):
            return self._answer(200, found.data, headers)
        size = len(found.data)
        begin = int(asked[1]) if asked[1] else max(size - int(asked[2]), 0)
        end = min(int(asked[2]) + 1, size) if asked[1] and asked[2] else size
        if begin >= end:
            if self.is_s3 or request.headers.get("x-oss-range-behavior") == "standard":
                raise Refused(416, "InvalidRange", "The requested range cannot be satisfied.")
            return self._answer(200, found.data, headers)
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        return self._answer(206, found.data[begin:end], headers)

    def _put(self, bucket: _Bucket, key: str, data: bytes, etag: str, headers: Mapping[str, str]) -> _Object:
        kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        bucket.objects[key] = _Object(data, etag, self.server.now_s(), kept)
        return bucket.objects[key]

    def _upload(self, bucket: _Bucket, request: Signed, query: Mapping[str, str]) -> None:
        uploads = self.server.uploads
        if "uploads" in query:
            upload_id = f"U{len(uploads) + 1}"
            uploads[upload_id] = _Upload(request.headers)
            shown = f"<Bucket>{request.bucket}</Bucket><Key>{escape(request.key)}</Key>"
            told = f"{shown}<UploadId>{upload_id}</UploadId>"
            return self._answer(200, _xml("InitiateMultipartUploadResult", told))
        upload = uploads.get(query["uploadId"])
        if upload is None:
            raise Refused(404, "NoSuchUpload", "The specified upload does not exist.")
        if request.method == "PUT":
            upload.parts[int(query["partNumber"])] = request.body
            return self._answer(200, headers={"ETag": self._shown(_etag(request.body))})
        del uploads[query["uploadId"]]
        if request.method == "DELETE":
            return self._answer(204)
        parts = _named_parts(request.body, upload)
        digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest().upper()
        etag = f'"{digest}-{len(parts)}"'
        self._put(bucket, request.key, b"".join(parts), etag, upload.headers)
        shown = f"<Key>{escape(request.key)}</Key><ETag>{escape(self._shown(etag))}</ETag>"
        return self._answer(200, _xml("CompleteMultipartUploadResult", shown))

    def _list(self, bucket: _Bucket, query: Mapping[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = max(query.get("continuation-token", ""), query.get("start-after", ""))
        most, shown, groups = int(query.get("max-keys", 100)), list[str](), list[str]()
        is_url = query.get("encoding-type") == "url"
        last, is_truncated = "", False
        for key in sorted(key for key in bucket.objects if key.startswith(prefix) and key > after):
            if len(shown) + len(groups) == most:
                is_truncated = True
                break
            last = key
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if found:
                if (group := f"{prefix}{head}{delimiter}") not in groups:
                    groups.append(group)
                continue
            shown.append(self._entry(key, bucket.objects[key], is_url=is_url))
        prefixes = "".join(
            f"<CommonPrefixes><Prefix>{_text(g, is_url)}</Prefix></CommonPrefixes>" for g in groups
        )
        encoded = "<EncodingType>url</EncodingType>" if is_url else ""
        token = (
            f"<NextContinuationToken>{_text(last, is_url)}</NextContinuationToken>" if is_truncated else ""
        )
        told = (
            f"<Prefix>{_text(prefix, is_url)}</Prefix><MaxKeys>{most}</MaxKeys>{encoded}"
            f"<KeyCount>{len(shown) + len(groups)}</KeyCount>"
            f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated>{token}{''.join(shown)}{prefixes}"
        )
        self._answer(200, _xml("ListBucketResult", told))

    def _entry(self, key: str, found: _Object, *, is_url: bool) -> str:
        modified = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(found.modified_s))
        return (
            f"<Contents><Key>{_text(key, is_url)}</Key><LastModified>{modified}</LastModified>"
            f"<ETag>{escape(self._shown(found.etag))}</ETag><Type>Normal</Type><Size>{len(found.data)}</Size>"
            "<StorageClass>Standard</StorageClass></Contents>"
        )

    def _delete_many(self, bucket: _Bucket, request: Signed) -> None:
        keys = [element.text or "" for element in ElementTree.fromstring(request.body).iter("Key")]
        for key in keys:
            bucket.objects.pop(key, None)
        told = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._answer(200, _xml("DeleteResult", told))

    def _shown(self, etag: str) -> str:
        """Its S3 face tells ETags as S3 does."""
        return etag.lower() if self.is_s3 else etag

    def _answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if body.startswith(b"<?xml") and not (headers or {}).get("content-type"):
            self.send_header("Content-Type", "application/xml")
        self.send_header("x-oss-request-id", "5C3D9175B6FC201293AD4890")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.wants_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _named_parts(body: bytes, upload: _Upload) -> list[bytes]:
    """The parts that a client names, in its order. Raises Refused for one that is not there as it says."""
    parts = []
    for element in ElementTree.fromstring(body).iter():
        if element.tag.rpartition("}")[2] != "Part":
            continue
        told = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        part = upload.parts.get(int(told["PartNumber"]))
        if part is None or told["ETag"].strip('"').lower() != _etag(part).strip('"').lower():
            raise Refused(400, "InvalidPart", "One or more of the specified parts could not be found.")
        parts.append(part)
    return parts


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest().upper()}"'


def _text(text: str, is_url: bool) -> str:
    return quote(text, safe="") if is_url else escape(text)


def _xml(name: str, told: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{told}</{name}>'.encode()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


if __name__ == "__main__":
    server = _Server()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
