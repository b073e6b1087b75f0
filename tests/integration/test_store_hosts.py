"""Buckets that are named in the host, as the clouds want it: no name leads to this machine, but a proxy does."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import pytest

from oss_server import OssServer
from stillframe.storage.places import open_bucket, parse_place

ROUND = """
import sys
from stillframe.storage.places import open_bucket, parse_place

bucket = open_bucket(parse_place(sys.argv[1]), "films")
bucket.check()
written = bucket.write("a b/\u00fc+%41&c.jpg", b"picture", "image/jpeg")
assert bucket.verify("a b/\u00fc+%41&c.jpg", written)
with bucket.open_source("a b/\u00fc+%41&c.jpg") as source:
    assert source.fetch(2, 3) == b"ctu"
bucket.write("big.bin", bytes(17 << 20), "video/mp4")
print(*(facts.key for facts in bucket.list()), sep="|")
print(*bucket.links(["a.jpg"], 60))
"""


@pytest.mark.parametrize(
    ("place", "host", "outside"),
    [
        (
            "oss://hosted?endpoint=http://oss-cn-shanghai.aliyuncs.com&signature=v1",
            "http://hosted.oss-cn-shanghai.aliyuncs.com/",
            "OSSAccessKeyId=",
        ),
        (
            "oss://hosted/in?endpoint=http://oss-cn-shanghai-internal.aliyuncs.com",
            "http://hosted.s3.oss-cn-shanghai.aliyuncs.com/in/",
            "X-Amz-Signature=",
        ),
        (
            "s3://hosted?endpoint=http://s3.example.com&style=virtual&region=cn-shanghai",
            "http://hosted.s3.example.com/",
            "X-Amz-Signature=",
        ),
    ],
)
def test_a_bucket_in_the_host(oss: OssServer, place: str, host: str, outside: str) -> None:
    oss.make_bucket("hosted")
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    keys = {
        "AWS_ACCESS_KEY_ID": environment["ALIBABA_CLOUD_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": environment["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
    }
    # OpenDAL looks for a proxy once in a process
    run = subprocess.run(
        [sys.executable, "-c", ROUND, place],
        env={**environment, **keys, "http_proxy": oss.endpoint},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    listed, link = run.stdout.splitlines()
    assert listed == "a b/\u00fc+%41&c.jpg|big.bin"
    assert link.startswith(f"{host}a.jpg?")
    assert outside in link


@pytest.mark.parametrize("is_temporary", [False, True])
def test_links_by_a_domain_that_is_bound_to_the_bucket(
    oss: OssServer, monkeypatch: pytest.MonkeyPatch, is_temporary: bool
) -> None:
    """With OSS's own signature V4, which is for one object, one way and so long."""
    place = f"{oss.make_bucket('bound').replace('bound', 'bound/in', 1)}&signature=v4"
    key = "a b/ü+%41&'c.jpg"
    if is_temporary:
        oss.add_keys("STS.domain", "secret", "a token/+=", lifetime_s=600)
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "STS.domain")
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
        monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "a token/+=")
    bucket = open_bucket(parse_place(f"{place}&public_endpoint=https://videos.example.com"), "films")
    bucket.write(key, b"picture", "image/jpeg")
    oss.bind_domain("videos.example.com", "bound")
    (link,) = bucket.links([key], 60) or ()
    assert link.startswith("https://videos.example.com/in/a%20b/%C3%BC%2B%2541%26%27c.jpg?")
    asked = link.replace("https://videos.example.com", oss.endpoint)
    with httpx.Client(trust_env=False, headers={"Host": "videos.example.com"}) as http:
        assert http.get(asked).content == b"picture"
        for changed in (asked.replace("c.jpg", "d.jpg"), asked.replace("expires=60", "expires=61")):
            assert "SignatureDoesNotMatch" in http.get(changed).text
        assert http.put(asked, content=b"x").status_code == 403
        oss.set_clock(61)
        try:
            assert "Request has expired" in http.get(asked).text
        finally:
            oss.set_clock(0)
