"""What the command tells a person instead of a trace. The text says what failed and what to do."""


class CommandError(Exception):
    """The command could not do what it was asked for; it ends with 1."""


class UsageError(CommandError):
    """The command line does not say what to do; it ends with 2."""
