"""The one exception that reaches a user as a single line. Must not know: anything of ours."""


def printable(text: str) -> str:
    """Text that keeps to its line: control characters, bytes that are no text and invisible signs as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class InputError(ValueError):
    """Something the user gave is wrong; the message names the thing, the value and the fix."""

    def __str__(self) -> str:
        return printable(super().__str__())  # names of files may hold anything


class LocalError(InputError):
    """One that this process may be alone with, of several that train together."""
