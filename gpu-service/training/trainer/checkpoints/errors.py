"""The one error of this package that a user can cause."""


class CheckpointError(Exception):
    """A source that cannot be converted, or a folder that cannot be written; the text says what, where and why."""
