"""A decoded frame -> an upright, square-pixel, SDR picture of the asked size.

The order is fixed: deinterlace, scale in the decoder's own kind of pixels, convert colour, turn upright.
Scaling comes before conversion, so that a 160 px cell of a 4K film costs a cell's work.
"""

from __future__ import annotations

from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from PIL import Image

from stillframe.media.colour import Colour, colour_of, hdr_peak_nits
from stillframe.media.deinterlace import deinterlaced
from stillframe.media.geometry import Placement
from stillframe.media.orientation import Orientation, orientation_of
from stillframe.media.picture import Picture, picture_of

_PRECISE = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
#: from this reduction on, averaging the covered area is as good as a longer filter, and twice as fast
_AREA_FROM = 2.0


class Developer:
    """Develops frames of one video, one after another; keeps the converters it has made. One per thread.

    With `full_colour` off, the pictures will be written with one colour for every four pixels.
    """

    def __init__(
        self, placement: Placement, background: tuple[int, int, int], *, full_colour: bool = True
    ) -> None:
        self._placement = placement
        self._full_colour = full_colour
        self._background = background
        self._scaler = VideoReformatter()
        self._converter = VideoReformatter()

    def develop(self, frame: VideoFrame) -> Picture:
        """The finished picture of a frame, as large as the placement's canvas."""
        orientation = orientation_of(frame)
        # the tags are read first: filters and scalers do not keep all of them
        colour, peak = colour_of(frame), hdr_peak_nits(frame)
        picture_box = self._placement.picture
        width, height = picture_box.width, picture_box.height
        if orientation.transpose:
            width, height = height, width
        if frame.interlaced_frame:
            frame = deinterlaced(frame, height)
        return self._place(_upright(self._rgb(frame, width, height, colour, peak), orientation))

    def _rgb(self, frame: VideoFrame, width: int, height: int, colour: Colour, peak_nits: float) -> Picture:
        form = frame.format
        has_alpha = any(component.is_alpha for component in form.components) or form.has_palette
        if form.is_rgb or form.has_palette:
            small = self._scale(frame, width, height, "rgba" if has_alpha else "rgb24", colour)
            return self._over_background(small)
        bits = form.components[0].bits
        if colour.kind in ("pq", "hlg") and bits >= 8:
            small = self._scale(frame, width, height, _planar(bits, alpha=False), colour)
            from stillframe.media.tone_map import hdr_to_sdr

            return hdr_to_sdr(small, colour, peak_nits)
        full_j = form.name.startswith("yuvj")
        between = "yuvj444p" if full_j else _planar(bits, alpha=has_alpha)
        precise = _PRECISE
        if (frame.width, frame.height) != (width, height):
            frame = self._scale(frame, width, height, between, colour)
        elif not self._full_colour:
            # repeating a colour for its four pixels, which JPEG then averages, loses nothing and is 15 times faster
            precise = Interpolation.BITEXACT
        rgb = self._converter.reformat(
            frame,
            format="rgba" if has_alpha else "rgb24",
            src_colorspace=colour.matrix,
            src_color_range=ColorRange.JPEG if colour.full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BICUBIC | precise,
            threads=1,
        )
        picture = self._over_background(rgb)
        if colour.kind == "sdr-2020":
            from stillframe.media.tone_map import sdr_2020_to_709

            return sdr_2020_to_709(picture)
        return picture

    def _scale(self, frame: VideoFrame, width: int, height: int, form: str, colour: Colour) -> VideoFrame:
        reduction = min(frame.width / width, frame.height / height)
        method = Interpolation.AREA if reduction >= _AREA_FROM else Interpolation.BICUBIC
        color_range = ColorRange.JPEG if colour.full_range else ColorRange.MPEG
        is_rgb = frame.format.is_rgb or frame.format.has_palette
        matrix = None if is_rgb else colour.matrix
        if is_rgb:
            color_range = ColorRange.JPEG
        return self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format=form,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=color_range,
            dst_color_range=color_range,
            interpolation=method | _PRECISE,
            threads=1,
        )

    def _over_background(self, frame: VideoFrame) -> Picture:
        if frame.format.name != "rgba":
            return picture_of(frame, "RGB")
        picture = picture_of(frame, "RGBA")
        whole = Image.new("RGB", picture.size, self._background)
        whole.paste(picture, mask=picture)
        return whole

    def _place(self, picture: Picture) -> Picture:
        canvas, box = self._placement.canvas, self._placement.picture
        if (box.x, box.y, box.width, box.height) == (0, 0, canvas.width, canvas.height):
            return picture
        whole = Image.new("RGB", (canvas.width, canvas.height), self._background)
        # what lies outside of the canvas is cut off
        whole.paste(picture, (box.x, box.y))
        return whole


def _upright(picture: Picture, orientation: Orientation) -> Picture:
    turn = _TURNS[orientation]
    return picture if turn is None else picture.transpose(turn)


_TURNS = {
    Orientation(transpose=False, flip_x=False, flip_y=False): None,
    Orientation(transpose=False, flip_x=True, flip_y=False): Image.Transpose.FLIP_LEFT_RIGHT,
    Orientation(transpose=False, flip_x=False, flip_y=True): Image.Transpose.FLIP_TOP_BOTTOM,
    Orientation(transpose=False, flip_x=True, flip_y=True): Image.Transpose.ROTATE_180,
    Orientation(transpose=True, flip_x=False, flip_y=False): Image.Transpose.TRANSPOSE,
    # Pillow turns counter-clockwise
    Orientation(transpose=True, flip_x=True, flip_y=False): Image.Transpose.ROTATE_270,
    Orientation(transpose=True, flip_x=False, flip_y=True): Image.Transpose.ROTATE_90,
    Orientation(transpose=True, flip_x=True, flip_y=True): Image.Transpose.TRANSVERSE,
}


def _planar(bits: int, *, alpha: bool) -> str:
    """The 4:4:4 pixel format of a depth, with alpha or without."""
    name = "yuva444p" if alpha else "yuv444p"
    if bits <= 8:
        return name
    known = (9, 10, 12, 16) if alpha else (9, 10, 12, 14, 16)
    return f"{name}{next(depth for depth in known if depth >= bits)}le"
