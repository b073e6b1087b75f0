"""The service as its users have it: a server process, the official SDKs, and pictures fetched by their links."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sdk_process import INSTALL, SdkProcess

from served import Served, serve_process
from stillframe.testing import Clip, barcode

README = Path(__file__).parents[2] / "README.md"
DEADLINE_S = 30
SDKS = ("ice6", "ice1", "core")
CUE = re.compile(r"^([\d:.]+) --> ([\d:.]+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, film: Clip) -> Iterator[Served]:
    with serve_process(tmp_path_factory.mktemp("service") / "data") as served:
        shutil.copy(film.path, served.bucket / "movie.mp4")
        yield served


@pytest.fixture(scope="module", params=SDKS)
def sdk(request: pytest.FixtureRequest, server: Served) -> Iterator[SdkProcess]:
    with SdkProcess(
        request.param,
        endpoint=server.endpoint,
        access_key_id=server.access_key_id,
        access_key_secret=server.access_key_secret,
    ) as process:
        yield process


def done(sdk: SdkProcess, output: str, **template: Any) -> dict[str, Any]:
    """A job that has ended well, with all its links."""
    job_id = sdk.call(
        "SubmitSnapshotJob",
        Input={"Type": "OSS", "Media": "oss://local/movie.mp4"},
        Output={"Type": "OSS", "Media": f"oss://local/{output}"},
        TemplateConfig=template,
    )["JobId"]
    deadline = time.monotonic() + DEADLINE_S
    while True:
        job: dict[str, Any] = sdk.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
        if job["Status"] != "Init":
            break
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    assert job["Status"] == "Success", job
    urls = sdk.call("GetSnapshotUrls", JobId=job_id, PageSize=30, Timeout=60)
    assert urls["Total"] == len(urls["SnapshotUrls"])
    return job | urls


def fetched(url: str) -> httpx.Response:
    answer = httpx.get(url, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer


def picture(content: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def test_stills(sdk: SdkProcess, film: Clip, request: pytest.FixtureRequest) -> None:
    made = done(
        sdk,
        f"{request.node.name}/{{Count}}.jpg",
        TemplateId="S00000002-000011",
        OverwriteParams={"Time": 1000, "Interval": 3, "Count": 5},
    )
    numbers = [barcode.read(picture(fetched(url).content)) for url in made["SnapshotUrls"]]
    assert numbers == [film.number_at(ms) for ms in (1000, 4000, 7000, 10_000, 13_000)]
    assert (made["Type"], made["Count"]) == ("Normal", 5)


def test_sheets(sdk: SdkProcess, film: Clip, request: pytest.FixtureRequest) -> None:
    made = done(
        sdk,
        f"{request.node.name}/{{TileCount}}.jpg",
        TemplateId="S00000002-000021",
        OverwriteParams={
            "Interval": 2,
            "Count": 8,
            "SpriteSnapshotConfig": {"Columns": 3, "Lines": 2, "Padding": 4, "Margin": 2, "CellWidth": 192},
        },
    )
    sheets = [picture(fetched(url).content) for url in made["SnapshotUrls"]]
    numbers = [number for sheet in sheets for number in barcode.read_sheet(sheet, 3, 192, 108, 4, 2)]
    assert numbers == [*(film.number_at(2000 * cell) for cell in range(8)), None, None, None, None]
    assert (made["Type"], len(sheets)) == ("Sprite", 2)


@pytest.mark.parametrize("tiled", [True, False], ids=["sheets", "single pictures"])
def test_a_track(sdk: SdkProcess, film: Clip, request: pytest.FixtureRequest, tiled: bool) -> None:
    """What a player does: every cue names a picture by a link of its own, and a part of it."""
    made = done(
        sdk,
        f"a track/{request.node.name}.vtt",
        TemplateId="S00000002-000031",
        OverwriteParams={
            "Interval": 5,
            "Width": 192,
            "IsSptFrag": tiled,
            "SpriteSnapshotConfig": {"Columns": 2, "Lines": 2},
        },
    )
    track = fetched(made["WebVTTUrl"])
    assert track.headers["Content-Type"].startswith("text/vtt")
    cues = CUE.findall(track.text)
    assert [start for start, *_ in cues] == [f"00:00:{5 * k:02}.000" for k in range(5)]
    for k, (_, _, name, *box) in enumerate(cues):
        assert name in made["SnapshotUrls"]
        x, y, width, height = map(int, box)
        whole = picture(fetched(name).content)
        assert barcode.read(whole[y : y + height, x : x + width]) == film.number_at(5000 * k)
    assert len(made["SnapshotUrls"]) == (2 if tiled else 5)


def test_the_example_of_the_readme(server: Served, film: Clip, tmp_path: Path) -> None:
    """As it stands there, in a folder of its own; only endpoint and key come from outside."""
    examples = [
        block
        for block in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
        if "alibabacloud_ice20201109" in block
    ]
    assert len(examples) == 1
    script = tmp_path / "example.py"
    script.write_text(examples[0], encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    ran = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment
        | {
            "PYTHONPATH": str(INSTALL("ice6")),
            "STILLFRAME_ENDPOINT": server.endpoint,
            "STILLFRAME_ACCESS_KEY_ID": server.access_key_id,
            "STILLFRAME_ACCESS_KEY_SECRET": server.access_key_secret,
        },
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "5 pictures\n"), ran.stderr
    numbers = [barcode.read(picture(path.read_bytes())) for path in sorted(tmp_path.glob("*.jpg"))]
    # every fifth picture of the film is a keyframe, and 0, 5, ... 20 s are five of them
    assert numbers == [film.number_at(5000 * k) for k in range(5)]
