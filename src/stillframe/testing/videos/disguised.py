"""Files that are no video, and are called .mp4."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Literal, get_args

from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.streams import jpeg

__all__ = ["DISGUISES", "Disguise", "disguised"]

Disguise = Literal["empty", "text", "html", "zip", "jpeg", "pdf", "ffconcat", "sdp", "m3u8", "mpd"]

DISGUISES: tuple[Disguise, ...] = get_args(Disguise)


def disguised(folder: Path, kind: Disguise, target: str = "file:///etc/hostname", port: int = 9) -> Clip:
    """Write ``<kind>.mp4``, which is no video.

    The playlists (ffconcat, m3u8, mpd) name ``target``, and the SDP names the UDP ``port`` on loopback: give
    them a honey file or a listener of your own, to prove that nobody opens it.
    """
    path = folder / f"{kind}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_content(kind, target, port))
    return Clip(path)


def _content(kind: Disguise, target: str, port: int) -> bytes:
    match kind:
        case "empty":
            return b""
        case "text":
            return b"This is not a video.\n" * 200
        case "html":
            return (
                b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>No such video.</body></html>\n"
            )
        case "zip":
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(zipfile.ZipInfo("movie.txt"), "This is not a video.\n" * 200)
            return packed.getvalue()
        case "jpeg":
            return jpeg(1)
        case "pdf":
            return b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
        case "ffconcat":
            return f"ffconcat version 1.0\nfile '{target}'\n".encode()
        case "sdp":
            lines = ("v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=none", "c=IN IP4 127.0.0.1", "t=0 0")
            media = (f"m=video {port} RTP/AVP 96", "a=rtpmap:96 H264/90000")
            return ("\r\n".join((*lines, *media)) + "\r\n").encode()
        case "m3u8":
            return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n".encode()
        case "mpd":
            return (
                '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
                'mediaPresentationDuration="PT10S"><Period><AdaptationSet mimeType="video/mp4">'
                f'<Representation id="1"><BaseURL>{target}</BaseURL></Representation>'
                "</AdaptationSet></Period></MPD>\n"
            ).encode()
