"""What a notebook shows."""

from __future__ import annotations

from html import escape


class Page:
    """A page of HTML that stands for itself: a notebook shows it, `save` writes it."""

    def __init__(self, html: str):
        self.html = html

    def save(self, path) -> None:
        """Writes the page."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.html)

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{escape(self.html, quote=True)}" style="width:100%;height:40em;border:0"></iframe>'


def layers_table(facts: dict) -> str:
    """A model's layers and sizes as a table."""
    rows = "".join(
        f"<tr><td>{op['index']}</td><td>{escape(op['name'])}</td><td>{escape(op['op'] or '')}</td>"
        f"<td>{escape(' '.join('×'.join(map(str, shape)) for shape in op['outputs']))}</td>"
        f"<td style='text-align:right'>{op['macs']:,}</td><td style='text-align:right'>{op['constant_bytes']:,}</td></tr>"
        for op in facts["ops"]
    )
    return (
        f"<p><b>{escape(facts['name'] or 'model')}</b>: {facts['model_bytes']:,} bytes of flash, "
        f"{facts['arena_bytes']:,} of RAM, {facts['macs']:,} multiply-accumulates</p>"
        "<table><tr><th>#</th><th>layer</th><th>operator</th><th>gives</th><th>MACs</th><th>constants, bytes</th></tr>"
        f"{rows}</table>"
    )
