"""HTML that cannot be written unescaped: text stays text, markup is a type of its own."""

from base64 import b64encode
from html import escape

from streamchar_ref.core.names import visible_lines


class Html(str):
    """Markup; any other string is text and is escaped when it goes into an element."""

    __slots__ = ()


Child = str | Html | None
_VOID = frozenset({"meta", "img", "br", "hr", "input"})


def el(tag: str, /, *children: Child, **attributes: str | bool | int | None) -> Html:
    """Builds an element.

    Args:
        tag: Name of the element.
        *children: Text is escaped, `Html` is not, ``None`` is nothing.
        **attributes: ``class_`` is ``class``, other underscores are hyphens; ``True`` is an
            attribute without value, ``False`` and ``None`` leave it out.

    Returns:
        The element as markup.
    """
    opening = tag + "".join(_attribute(key, value) for key, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{opening}>")
    return Html(f"<{opening}>{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Puts pieces one after the other, text escaped."""
    return Html("".join(_markup(child) for child in children if child is not None))


def data_uri(content: bytes, kind: str) -> str:
    """Returns bytes as an address that needs no request, e.g. of kind ``image/png``."""
    return f"data:{kind};base64,{b64encode(content).decode()}"


def _markup(child: str) -> str:
    return child if isinstance(child, Html) else escape(visible_lines(child))


def _attribute(key: str, value: str | bool | int | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(visible_lines(str(value)))}"'
