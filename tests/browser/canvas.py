"""What a chart's canvas shows: its labels as they were written, and where which colour lies."""

from __future__ import annotations

from typing import Any

#: Run before the page's own scripts: every canvas keeps the texts it was given since it was last cleared.
RECORDER = """
const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.clearRect = function (...place) {
  this.canvas.labels = [];
  return clearRect.apply(this, place);
};
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const at = this.getTransform().transformPoint({ x, y });
  const width = this.measureText(text).width;
  const left = { right: at.x - width, end: at.x - width, center: at.x - width / 2 }[this.textAlign] ?? at.x;
  this.canvas.labels ??= [];
  const { textAlign: align, font, fillStyle: colour } = this;
  this.canvas.labels.push({ text, left, right: left + width, align, font, colour });
  return fillText.call(this, text, x, y);
};
"""
_LABELS = "canvas => ({ labels: canvas.labels, width: canvas.width })"
#: Pixels that are nearly of a colour: how many, and the first and last column as parts of the canvas's width.
_FOUND = """(canvas, colour) => {
  const probe = document.createElement('span');
  probe.style.color = colour;
  document.body.append(probe);
  const [r, g, b] = getComputedStyle(probe).color.match(/[0-9]+/g).map(Number);
  probe.remove();
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  let [count, first, last] = [0, width, 0];
  for (let at = 0; at < data.length; at += 4) {
    const apart = Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b);
    if (data[at + 3] > 200 && apart < 12) {
      count++;
      first = Math.min(first, (at / 4) % width);
      last = Math.max(last, (at / 4) % width);
    }
  }
  return { count, first: first / width, last: last / width };
}"""
_CHART = ".jt-Chart:has(.jt-ChartTitle:text-is('{title}')) canvas"


def labels(place: Any, title: str) -> tuple[list[dict[str, Any]], float]:
    """The labels of the chart of that title, and the canvas's width."""
    found = place.locator(_CHART.format(title=title)).first.evaluate(_LABELS)
    return found["labels"], found["width"]


def pixels(place: Any, title: str, colour: str) -> dict[str, float]:
    """Where a chart shows a colour: `count`, and `first` and `last` column as parts of its width."""
    return place.locator(_CHART.format(title=title)).first.evaluate(_FOUND, colour)


def variable(place: Any, name: str) -> str:
    """A colour of the theme as it holds there."""
    return str(place.evaluate("(node, name) => getComputedStyle(node).getPropertyValue(name).trim()", name))
