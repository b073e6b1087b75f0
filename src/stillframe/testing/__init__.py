"""For those who test against Stillframe: small videos that know which picture is the right one at any time.

Each picture carries its number as a bar code of black and white blocks (:mod:`stillframe.testing.barcode`),
which is still readable in a thumbnail. :mod:`stillframe.testing.videos` makes files of every awkward kind
with such pictures::

    from PIL import Image
    import numpy as np
    import stillframe
    from stillframe.testing import barcode, videos

    def test_the_cover_is_the_picture_at_one_second(tmp_path):
        clip = videos.h264_open_gop(tmp_path)
        config = stillframe.SnapshotConfig(type="Normal", frame_type="normal", count=1, time=1000)
        stillframe.shoot(clip.path, tmp_path / "cover.jpg", config)
        picture = np.asarray(Image.open(tmp_path / "cover.jpg"))
        assert barcode.read(picture) == clip.number_at(1000) == 25

What has no recipe is made with :func:`videos.make`, or cut out of an MP4 with
:mod:`stillframe.testing.boxes_edit`. Everything here needs numpy and PyAV, and neither ffmpeg nor pytest.
"""

from stillframe.testing import barcode, boxes_edit, videos
from stillframe.testing.barcode import Unreadable
from stillframe.testing.videos import Clip

__all__ = ["Clip", "Unreadable", "barcode", "boxes_edit", "videos"]
