"""The one exception that reaches a user as a single line. Must not know: anything of ours."""


class InputError(ValueError):
    """Something the user gave is wrong; the message names the thing, the value and the fix."""


class LocalError(InputError):
    """One that this process may be alone with, of several that train together."""
