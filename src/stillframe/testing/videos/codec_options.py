"""The options that make each encoder do as asked: quickly, and with keyframes where they were ordered."""

from __future__ import annotations

__all__ = ["options_for"]


def options_for(
    codec: str, *, gop: int, bframes: int, open_gop: bool, field_order: str | None
) -> dict[str, str]:
    """libav options for ``codec``: a keyframe every ``gop`` pictures, ``bframes`` between two references.

    One thread, since the pictures are tiny, and so that the same call makes the same bytes everywhere.
    """
    general = {"threads": "1", "g": str(gop), "bf": str(bframes)}
    if codec in ("libx264", "libx264rgb"):
        x264: dict[str, object] = {
            "keyint": gop,
            # With an open GOP x264 wants some room between the two.
            "min-keyint": max(1, gop // 2) if open_gop else gop,
            "scenecut": 0,
            "bframes": bframes,
            "b-adapt": 0,
            "b-pyramid": "normal" if bframes > 1 else "none",
            "open-gop": int(open_gop),
        }
        if field_order:
            x264 |= {field_order: 1, "weightp": 0}
        return general | {"preset": "veryfast", "crf": "18", "x264-params": _joined(x264)}
    if codec == "libx265":
        x265: dict[str, object] = {
            "keyint": gop,
            "min-keyint": gop,
            "scenecut": 0,
            "bframes": bframes,
            "b-adapt": 0,
            "b-pyramid": int(bframes > 1),
            "open-gop": int(open_gop),
            "log-level": "error",
            "pools": "none",
            "frame-threads": 1,
        }
        return general | {"preset": "ultrafast", "crf": "18", "x265-params": _joined(x265)}
    if codec in ("libvpx", "libvpx-vp9"):
        speed = {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "1M"}
        # No invisible reference pictures: vp8 refuses them together with transparency.
        return {"threads": "1", "g": str(gop), "keyint_min": str(gop), "auto-alt-ref": "0"} | speed
    if codec == "libsvtav1":
        svt: dict[str, object] = {"keyint": gop, "lp": 1, "scd": 0}
        return {"preset": "9", "crf": "25", "svtav1-params": _joined(svt)}
    if codec in ("mpeg1video", "mpeg2video", "mpeg4"):
        # A picture every block of which is new looks like a scene cut, which would set a keyframe of its own.
        quality = {"qmin": "2", "qmax": "6", "b": "4M", "sc_threshold": "1000000000"}
        flags = ("" if open_gop else "+cgop") + ("+ildct+ilme" if field_order else "")
        return general | quality | ({"flags": flags} if flags else {})
    return {"threads": "1"}


def _joined(pairs: dict[str, object]) -> str:
    return ":".join(f"{key}={value}" for key, value in pairs.items())
