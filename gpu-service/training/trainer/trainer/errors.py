"""The one error that a user can cause: its text says what is wrong and where."""


class TrainerError(Exception):
    pass
