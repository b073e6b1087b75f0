"""Sprite sheets: stills pasted into their cells as they come, in any order and from any thread."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable

from PIL import Image

from stillframe.media.geometry import SheetGeometry
from stillframe.media.picture import Picture

#: what is done with a complete sheet: its index (from 1) and its picture
OnSheet = Callable[[int, Picture], None]


class Sheets:
    """The sheets that are being filled.

    Only one of them is spread out, however many there are: the few stills of later ones that come before it
    is done wait beside it. A later one that is complete before it is put together at once.
    """

    def __init__(self, geometry: SheetGeometry, color: tuple[int, int, int], shots: int) -> None:
        self._geometry = geometry
        self._color = color
        self._shots = shots
        self._came: Counter[int] = Counter()
        self._spread: tuple[int, Picture] | None = None
        self._waiting: defaultdict[int, list[tuple[int, Picture]]] = defaultdict(list)
        self._lock = threading.Lock()

    def paste(self, position: int, picture: Picture | None, on_sheet: OnSheet) -> None:
        """Put the still of the shot at `position` (from 0) into its cell; None leaves the cell empty.

        Where that completes a sheet which holds any still, `on_sheet` is called; what it raises is raised.
        """
        number, cell = divmod(position, self._geometry.cells)
        with self._lock:
            if picture is not None:
                self._keep(number, cell, picture)
            self._came[number] += 1
            if self._came[number] < min(self._geometry.cells, self._shots - number * self._geometry.cells):
                return
            sheet = self._complete(number)
        if sheet is not None:
            on_sheet(number + 1, sheet)
        del sheet
        with self._lock:
            if self._spread is not None and self._spread[0] == number:
                self._spread = None
                if self._waiting:
                    self._spread_out(min(self._waiting))

    def _keep(self, number: int, cell: int, picture: Picture) -> None:
        if self._spread is None:
            self._spread_out(number)
        if self._spread is not None and self._spread[0] == number:
            self._put(self._spread[1], cell, picture)
        else:
            self._waiting[number].append((cell, picture))

    def _complete(self, number: int) -> Picture | None:
        """The sheet's picture; None when nothing was kept for it."""
        if self._spread is not None and self._spread[0] == number:
            return self._spread[1]
        return self._put_together(number) if number in self._waiting else None

    def _spread_out(self, number: int) -> None:
        self._spread = (number, self._put_together(number))

    def _put_together(self, number: int) -> Picture:
        size = (self._geometry.width_px, self._geometry.height_px)
        sheet = Image.new("RGB", size, self._color)
        for cell, picture in self._waiting.pop(number, ()):
            self._put(sheet, cell, picture)
        return sheet

    def _put(self, sheet: Picture, cell: int, picture: Picture) -> None:
        box = self._geometry.cell(cell)
        sheet.paste(picture, (box.x, box.y))
