"""Titles: which of their words say how much is in a pack, and not what."""

import re

_NUMBER = r"\d*[.,]?\d+(?:[/-]\d+)?(?:\s\d/\d)?"
_UNITS = (
    "fl oz|oz|lbs?|kg|mg|gr?|gm|ml|cl|dl|l|ltr|lit(?:er|re)s?|pts?|pints?|qts?|quarts?|gal?|gallons?|cc|in|inch(?:es)?|"
    "cm|mm|m|ft|yds?|sq ft|ct|count|pcs?|pieces?|pks?|packs?|rolls?|sheets?|loads?|uses|dz|dozen|cups?|kit|ea|each"
)
# Amounts ("12 x 330 ml", "12 oz/4 pk", "3/4 in"), packs ("set of 6", "twin pack"), clothing sizes, a unit alone.
_SIZE = re.compile(
    rf"\b(?:{_NUMBER}\s*[x\u00d7]\s*)?{_NUMBER}\s*-?(?:{_UNITS})\b|"
    r"(?<![\w.])\.\d+\s*(?:oz|lbs?|l|kg)\b|"
    r"\b(?:set|pack|box|case|bag) of \d+\b|"
    r"\b(?:family|value|party|travel|trial|single|twin|multi|bonus)[ -]?(?:size|pack|pk)\b|"
    r"\bsize\s+[\w.]+|\b(?:small|medium|large|x{1,3}[sl])\b|"
    rf"\bhalf gal\b|,\s*(?:{_UNITS}|ctn)(?=\s*(?:,|$))"
)
# Numbers that a shop gives its articles tell rows of the catalogue apart, but no person knows them.
_ARTICLE = re.compile(r"\b(?:no|nr|art|sku|item|plu)\.?\s*#?\d+\b")
_GAPS = re.compile(r"[\W_]+")


def split_title(title: str) -> tuple[str, str, str]:
    """Return a title's name, stem and size, in lower case.

    The *name* is the whole title; two products with one name (and brand and category) are the same twice. The *stem*
    is the title without sizes and article numbers, the *size* what tells of the size: products with one stem and
    different sizes are one product in several packs. A title of nothing but a size is its own stem.
    """
    name = " ".join(title.lower().split())
    rest = _ARTICLE.sub(" ", name)
    size = " ".join(found.strip(", ") for found in _SIZE.findall(rest))
    stem = _GAPS.sub(" ", _SIZE.sub(" ", rest)).strip()
    return name, stem or name, size
