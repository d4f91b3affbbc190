"""The errors that a person meets: one line that says what is wrong and what to do, exit code 2."""

from __future__ import annotations


class CadCoderError(Exception):
    """Base of every error that cadcoder raises on purpose; its text is one line for a person."""

    exit_code = 2


class ConfigError(CadCoderError):
    """A faulty configuration; the text names every fault with its key."""


class MissingDependency(CadCoderError):
    """A package of an extra is not installed; the text says which extra to install."""


class InputError(CadCoderError):
    """A picture, script, solid or program that cannot be used; the text says why."""


class SandboxUnavailable(CadCoderError):
    """The sandbox cannot be set up on this machine; the text says which layer is missing."""


class NoValidScript(CadCoderError):
    """No candidate ran in the executor; the text holds the reasons."""

    exit_code = 3
