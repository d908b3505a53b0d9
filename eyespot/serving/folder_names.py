"""Names of folders for names of classes, which may be any text."""

import json
from http import HTTPStatus

from eyespot.serving.problems import Refusal

CLASS_NAMES = "class-names.json"
LONGEST = 255  # bytes of a file's name
UNSAFE = frozenset('/\\:*?"<>|%')
RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
)
MACHINE_MADE = frozenset({"__macosx", "thumbs.db", "desktop.ini", CLASS_NAMES})  # which `train` leaves out


def folder_name(label: str) -> str:
    """The folder for a class: its name, with what no folder may have on some system percent-encoded, as in addresses.

    Encoded are separators and wildcards, control characters, a dot or space at either end, the first letter of names
    that Windows or `train` take for something else, and what is not in Unicode's composed form.

    Raises:
        Refusal: it is empty, or too long.
    """
    last = len(label) - 1
    parts = [
        _encoded(sign) if _is_unsafe(sign) or (sign in ". " and index in {0, last}) else sign
        for index, sign in enumerate(label)
    ]
    if _means_something_else(label):
        parts[0] = _encoded(label[0])
    from eyespot.data.formats.listing import plain  # what a first prediction does not need

    name = "".join(parts)
    if plain(name) != name:
        name = "".join(sign if sign.isascii() else _encoded(sign) for sign in name)
    if not name or len(name.encode("utf-8", "surrogatepass")) > LONGEST:
        detail = f"The class {label[:40]!r} cannot name a folder: such a name has 1 to {LONGEST} bytes."
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "label", detail)
    return name


def names_file(class_names: tuple[str, ...]) -> str:
    """What each folder is called, as `eyespot train --class-names` reads it."""
    names = {}
    for label in class_names:
        try:
            names[folder_name(label)] = label
        except Refusal:
            continue  # it has no folder
    return json.dumps(names, ensure_ascii=False, indent=2) + "\n"


def _means_something_else(label: str) -> bool:
    from eyespot.data.formats.listing import split_named

    stem = label.partition(".")[0].strip().upper()
    return stem in RESERVED or split_named(label) is not None or label.lower() in MACHINE_MADE


def _is_unsafe(sign: str) -> bool:
    return sign in UNSAFE or not sign.isprintable()


def _encoded(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))
