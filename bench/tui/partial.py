"""A partial repaint that renders what has changed and nothing else.

Textual renders every widget within the rectangle around all that has changed: with a line of steps at the top left and
a curve at the bottom right that is the whole page, ten times a second, and most of what the screens cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class PartialCompositor(Compositor):
    """Renders, of each widget, the rows that have changed."""

    _changed: tuple[Region, ...] = ()

    def render_partial_update(self) -> ChopsUpdate | None:
        """Render what has changed since the last time; None when nothing has."""
        self._changed = tuple(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changed = ()

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if not self._changed:
            yield from super()._get_renders(crop)
            return
        left = list(self._changed)
        for widget, (region, clip) in self.visible_widgets.items():  # from the front to the back
            visible = region.intersection(clip)
            hit = [part for part in left if visible.overlaps(part)]
            for top, bottom in _bands(visible, hit):
                band = Region(visible.x, top, visible.width, bottom - top)
                yield region, band, widget.render_lines(band.translate((-region.x, -region.y)))
            # What is behind a widget that covers all of a change is not seen.
            if hit and not (left := [part for part in left if not visible.contains_region(part)]):
                return


def _bands(visible: Region, hit: Iterable[Region]) -> Iterator[tuple[int, int]]:
    """Yield the rows (first, behind the last) of a region that changes overlap, from the top down."""
    found = sorted((max(visible.y, part.y), min(visible.bottom, part.bottom)) for part in hit)
    while found:
        top, bottom = found.pop(0)
        while found and found[0][0] <= bottom:
            bottom = max(bottom, found.pop(0)[1])
        yield top, bottom
