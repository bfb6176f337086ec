"""The error that the command line prints without a traceback."""


class InputError(ValueError):
    """Invalid input that the user can correct; the message says where and how."""
