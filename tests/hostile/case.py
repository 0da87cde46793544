"""What a hostile case is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

FIFO = "fifo"
"""Stands for a pipe in place of the content of a file: whoever opens it waits for ever."""


@dataclass(frozen=True)
class Case:
    """A hostile file, and a command that must refuse it.

    Attributes:
        name: Name of the case.
        file: Name of the hostile file.
        content: Content of the file, or `FIFO`.
        command: The command; `{file}` stands for the file, and other names in braces for the sound
            files of `test_hostile.sound`.
        sentence: What the error message must contain.
        beside: Further files in the same folder; the command may open them only if `may_open` says
            so.
        may_open: Whether the command may open the files in `beside`.
    """

    name: str
    file: str
    content: bytes | str
    command: str
    sentence: str = "{file}"
    beside: dict[str, bytes | str] = field(default_factory=dict)
    may_open: bool = False

    def write(self, folder: Path) -> Path:
        """Write the files of the case into a new folder, and return the path of the hostile one."""
        import os

        for name, content in {self.file: self.content, **self.beside}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content == FIFO:
                os.mkfifo(path)
            else:
                assert isinstance(content, bytes)
                path.write_bytes(content)
        return folder / self.file
