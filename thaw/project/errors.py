"""A mistake of the user, which the edge of the program prints in one line."""


class UserError(Exception):
    """A mistake that the user can fix. The text says what is wrong, where, and what to do.

    key: of `file` ("section.key") where the mistake is, or None. hint: what to do, where `problem`
    does not say it.
    """

    def __init__(
        self, problem: str, key: str | None = None, hint: str | None = None,
        file: str = "params.yaml",
    ):  # fmt: skip
        super().__init__(problem)
        self.problem, self.key, self.hint, self.file = problem, key, hint, file

    def __str__(self) -> str:
        where = f"{self.file} [{self.key}]: " if self.key else ""
        return f"{where}{self.problem}{f'; {self.hint}' if self.hint else ''}"
