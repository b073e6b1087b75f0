"""Sprite sheets: stills pasted into their cells as they come, in any order and from any thread."""

from __future__ import annotations

import threading

import numpy as np

from stillframe.media.develop import Picture
from stillframe.media.geometry import SheetGeometry


class Sheets:
    """The sheets that are being filled. A sheet is given away when its last still has come."""

    def __init__(self, geometry: SheetGeometry, color: tuple[int, int, int], shots: int) -> None:
        self._geometry = geometry
        self._color = color
        self._shots = shots
        self._open: dict[int, Picture] = {}
        self._left: dict[int, int] = {}
        self._taken: dict[int, int] = {}
        self._lock = threading.Lock()

    def paste(self, position: int, picture: Picture | None) -> tuple[int, Picture] | None:
        """Put the still of the shot at `position` (from 0) into its cell; None leaves the cell empty.

        Returns the sheet's index (from 1) and picture when it is complete and holds any still.
        """
        number, cell = divmod(position, self._geometry.cells)
        with self._lock:
            sheet = self._open.get(number)
            if sheet is None:
                sheet = self._open[number] = self._blank()
                self._left[number] = min(self._geometry.cells, self._shots - number * self._geometry.cells)
                self._taken[number] = 0
        if picture is not None:
            box = self._geometry.cell(cell)
            sheet[box.y : box.y + box.height, box.x : box.x + box.width] = picture
        with self._lock:
            self._left[number] -= 1
            self._taken[number] += picture is not None
            if self._left[number]:
                return None
            del self._open[number]
            return (number + 1, sheet) if self._taken[number] else None

    def _blank(self) -> Picture:
        sheet = np.empty((self._geometry.height_px, self._geometry.width_px, 3), np.uint8)
        sheet[:] = self._color
        return sheet
