"""The one exception that reaches a user as a single line. Must not know: anything of ours."""


class InputError(ValueError):
    """Something the user gave is wrong; the message names the thing, the value and the fix."""
