"""What an official OSS SDK makes of an OSS: a round of everything for each line of JSON, told as a line of JSON.

echo '["v4", "http://127.0.0.1:41234", "films", "LTAI-test", "testing", null]' | python drive_oss.py oss2
"""

import datetime
import json
import sys

DATA, KEY = bytes(range(256)) * 64, "a b/ü+%41&c.jpg"
REGION = "cn-shanghai"


def main(sdk):
    for line in sys.stdin:
        client = {"oss2": Oss2, "v2": OssV2}[sdk](*json.loads(line))
        first = {}
        refused = client.refused(lambda: first.update(put=client.put(KEY, DATA)))  # noqa: B023 - called at once
        told = {"refused": refused} if refused else first | all_the_rest(client)
        print(json.dumps(told), flush=True)


def all_the_rest(client):
    told = {"get": client.get(KEY) == DATA}
    told["range"] = client.get(KEY, (256, 265)).hex()
    told["head"] = client.head(KEY)
    told["if_match"] = client.refused(lambda: client.get(KEY, if_match='"other"'))
    client.multipart("big.bin", [DATA, DATA, b"end"])
    told["multipart"] = client.get("big.bin") == DATA + DATA + b"end"
    told["multipart_etag"] = client.head("big.bin")[1]
    for name in ("x/1", "x/2", "x/y/3", "z"):
        client.put(name, name.encode())
    told["list"] = client.list("x/", "")
    told["groups"] = client.list("x/", "/")
    told["signed"] = client.signed(KEY)
    client.delete("z")
    client.delete("z")
    told["gone"] = client.refused(lambda: client.get("z"))
    return told


class Oss2:
    def __init__(self, version, endpoint, bucket, key_id, secret, token=None):
        import oss2

        self.oss2 = oss2
        if token:
            auth = oss2.StsAuth(key_id, secret, token, auth_version=version)
        else:
            auth = (oss2.AuthV4 if version == "v4" else oss2.Auth)(key_id, secret)
        self.bucket = oss2.Bucket(auth, endpoint, bucket, region=REGION)

    def put(self, key, data):
        headers = {"Content-Type": "image/jpeg", "Cache-Control": "max-age=60"}
        return self.bucket.put_object(key, data, headers=headers).etag

    def get(self, key, byte_range=None, if_match=None):
        headers = {"If-Match": if_match} if if_match else None
        return self.bucket.get_object(key, byte_range=byte_range, headers=headers).read()

    def head(self, key):
        found = self.bucket.head_object(key)
        return [found.content_length, found.etag, found.content_type, found.headers.get("Cache-Control")]

    def multipart(self, key, parts):
        upload_id = self.bucket.init_multipart_upload(key).upload_id
        done = []
        for number, part in enumerate(parts, 1):
            etag = self.bucket.upload_part(key, upload_id, number, part).etag
            done.append(self.oss2.models.PartInfo(number, etag))
        self.bucket.complete_multipart_upload(key, upload_id, done)

    def list(self, prefix, delimiter):
        pages = self.oss2.ObjectIteratorV2(self.bucket, prefix=prefix, delimiter=delimiter, max_keys=2)
        return [each.key for each in pages]

    def signed(self, key):
        return self.bucket.sign_url("GET", key, 60, slash_safe=True)

    def delete(self, key):
        self.bucket.delete_object(key)

    def refused(self, work):
        try:
            work()
        except self.oss2.exceptions.ServerError as error:
            return [error.status, error.code]


class OssV2:
    def __init__(self, version, endpoint, bucket, key_id, secret, token=None):
        import alibabacloud_oss_v2 as oss

        self.oss, self.name = oss, bucket
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(key_id, secret, token)
        config.region, config.endpoint, config.signature_version = REGION, endpoint, version
        self.client = oss.Client(config)

    def _of(self, kind, key, **more):
        return getattr(self.oss, f"{kind}Request")(bucket=self.name, key=key, **more)

    def put(self, key, data):
        more = {"content_type": "image/jpeg", "cache_control": "max-age=60"}
        return self.client.put_object(self._of("PutObject", key, body=data, **more)).etag.strip('"')

    def get(self, key, byte_range=None, if_match=None):
        more = {"if_match": if_match} if if_match else {}
        if byte_range:
            more["range_header"] = f"bytes={byte_range[0]}-{byte_range[1]}"
        return self.client.get_object(self._of("GetObject", key, **more)).body.content

    def head(self, key):
        found = self.client.head_object(self._of("HeadObject", key))
        return [found.content_length, found.etag.strip('"'), found.content_type, found.cache_control]

    def multipart(self, key, parts):
        upload_id = self.client.initiate_multipart_upload(self._of("InitiateMultipartUpload", key)).upload_id
        done = []
        for number, part in enumerate(parts, 1):
            asked = self._of("UploadPart", key, upload_id=upload_id, part_number=number, body=part)
            done.append(self.oss.UploadPart(part_number=number, etag=self.client.upload_part(asked).etag))
        complete = self.oss.CompleteMultipartUpload(parts=done)
        asked = self._of(
            "CompleteMultipartUpload", key, upload_id=upload_id, complete_multipart_upload=complete
        )
        self.client.complete_multipart_upload(asked)

    def list(self, prefix, delimiter):
        asked = self.oss.ListObjectsV2Request(
            bucket=self.name, prefix=prefix, delimiter=delimiter, max_keys=2
        )
        pages = list(self.client.list_objects_v2_paginator().iter_page(asked))
        keys = [each.key for page in pages for each in page.contents or []]
        return sorted(keys + [each.prefix for page in pages for each in page.common_prefixes or []])

    def signed(self, key):
        lifetime = datetime.timedelta(seconds=60)
        return self.client.presign(self._of("GetObject", key), expires=lifetime).url

    def delete(self, key):
        self.client.delete_object(self._of("DeleteObject", key))

    def refused(self, work):
        try:
            work()
        except self.oss.exceptions.OperationError as error:
            inner = error.unwrap()
            return [inner.status_code, inner.code]


if __name__ == "__main__":
    main(sys.argv[1])
