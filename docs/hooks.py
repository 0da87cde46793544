"""Takes the pictures of `experiments/results` into the site.

The pages link to them by the path in the repository, so that the links also work where the pages
are read as files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

RESULTS = "../experiments/results/"


def on_files(files: Any, config: Any) -> Any:
    """Add every picture of a result to the site."""
    folder = Path(config.docs_dir, RESULTS).resolve()
    for path in sorted(folder.glob("*.png")):
        name = f"results/{path.name}"
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point the links of a page at the site's own copies."""
    return markdown.replace(f"]({RESULTS}", "](results/")
