"""What the user can mend, in one line."""


class InputError(ValueError):
    """A file, a folder or an option is not what was asked for; says where and what to do."""
