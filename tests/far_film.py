"""A film whose pictures are large: what is read of it for its index, and for each picture, tells apart."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from stillframe.testing import barcode, videos


@cache
def far_film(ending: str = ".mp4", frames: int = 100, first_number: int = 0) -> bytes:
    """Five pictures a second, a keyframe each second; some 25 KB each."""
    chance = np.random.default_rng(1)

    def draw(number: int, width_px: int, height_px: int) -> np.ndarray:
        picture = barcode.draw(number, width_px, height_px)
        # noise around the number
        noisy = chance.integers(0, 256, picture.shape, dtype=np.uint8)
        x, y = width_px // 8, height_px // 8
        noisy[y:-y, x:-x] = picture[y:-y, x:-x]
        return noisy

    with TemporaryDirectory() as folder:
        clip = videos.make(
            Path(folder) / f"film{ending}",
            frames=frames,
            fps=5,
            gop=5,
            width=320,
            height=180,
            draw=draw,
            codec_options={"qp": "12"},
            first_number=first_number,
        )
        return clip.path.read_bytes()
