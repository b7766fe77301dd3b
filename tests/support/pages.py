"""What a page holds, as a browser's parser finds it."""

from html.parser import HTMLParser

__all__ = ["HOSTILE", "Page", "hostile_content"]

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>`|[x](javascript:alert(3))\u2028</script><!--'


class Page(HTMLParser):
    """Elements of a page; `scripts` are those that run, `links` what it would load, `handlers` attributes that run."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.scripts, self.data, self.links, self.handlers, self.tags, self.policy = [], [], [], [], [], None
        self.texts = []
        self._inside = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self._inside = None
        if tag == "script":
            self._inside = self.data if "json" in values.get("type", "") else self.scripts
        elif tag == "style":
            self._inside = []
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        self.handlers += [name for name in values if name.startswith("on")]
        self.links += [value for name, value in attributes if name in ("src", "srcset", "data") and value]
        if tag == "link":
            self.links.append(values.get("href"))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, text):
        (self.texts if self._inside is None else self._inside).append(text)


def hostile_content(value):
    """The same with every text replaced, but for pictures and the words that templates ask for."""
    known = {"shown", "refuted", "not yet shown", "procedure", "recall", "overkill_rate", "roc", "precision-recall"}
    known |= {"escape_rate", "auroc", "image", "object", "fail", "warn", "caution", "good", "defective", "defect type"}
    if isinstance(value, dict):
        return {key: hostile_content(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [hostile_content(item) for item in value]
    if isinstance(value, str) and value not in known and not value.startswith("data:image/"):
        return HOSTILE
    return value
