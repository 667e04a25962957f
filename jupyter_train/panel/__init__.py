"""What a run looks like: a bounded snapshot, drawn as HTML, SVG and text, kept live while it trains."""
