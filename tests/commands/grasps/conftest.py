"""The `grasp` command, run in this process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from grasp import cli
from pcdiff import console


@pytest.fixture
def run(capsys):
    """Runs the command in this process; its exit code, standard output and standard error."""

    def command(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            console.run(cli.app, [str(argument) for argument in arguments])
        return SimpleNamespace(code=end.value.code, **capsys.readouterr()._asdict())

    return command
