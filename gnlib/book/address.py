"""The repository's one address, and everything that follows from it: the site, Colab, edit and issue links.

It is, in this order: the environment variable ``GNLIB_REPOSITORY``; the setting ``book_repository`` in
``_config.yml``; git's remote ``origin``, where that is on GitHub. So a fork's book leads to the fork. ``none`` means:
no address, even with a remote. Without an address no page holds a link that would be dead."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.errors import ConfigError

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

VARIABLE = "GNLIB_REPOSITORY"
PAGES_BRANCH = "gh-pages"  # the workflow publishes the built site there, notebooks included
# https://github.com/o/r(.git), with a name and a token in front or not; ssh://git@github.com/o/r; git@github.com:o/r
GITHUB = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^/@]+@)?|[\w.-]+@)?(?:www\.)?github\.com(?::\d+)?[/:]"
    r"(?P<owner>[A-Za-z0-9-]+)/(?P<name>[\w.-]+?)(?:\.git)?/?"
)


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub."""

    owner: str
    name: str

    @classmethod
    def parse(cls, address: str) -> Repository | None:
        """Return the repository that ``address`` names; None where it is not on GitHub."""
        match = GITHUB.fullmatch(address.strip())
        return cls(match["owner"], match["name"]) if match else None

    @property
    def url(self) -> str:
        """The repository."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def site(self) -> str:
        """The published book, with a slash at its end."""
        host = f"{self.owner.lower()}.github.io"
        return f"https://{host}/" if self.name.lower() == host else f"https://{host}/{self.name}/"

    def colab(self, stem: str) -> str:
        """The notebook ``stem``, opened in Colab."""
        return f"https://colab.research.google.com/github/{self.owner}/{self.name}/blob/{PAGES_BRANCH}/notebooks/{stem}.ipynb"

    def wheel(self, filename: str) -> str:
        """The library's wheel, beside the published book."""
        return f"{self.site}dist/{filename}"


def find(setting: str, folder: Path, environment: Mapping[str, str] = os.environ) -> Repository | None:
    """Return the address that holds for the book in ``folder``, or None.

    Raises:
        ConfigError: the variable or the setting holds something that is no address on GitHub.
    """
    for source, given in ((VARIABLE, environment.get(VARIABLE, "")), ("book_repository", setting)):
        if given.strip().lower() == "none":
            return None
        if given.strip():
            repository = Repository.parse(given)
            if repository is None:
                raise ConfigError(
                    f"{source} must be an address on GitHub (Colab opens no other): got {given!r}; "
                    "https://github.com/OWNER/REPOSITORY would do, or none"
                )
            return repository
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "remote", "get-url", "origin"], capture_output=True, text=True, check=False
        )
    except OSError:  # no git: an unpacked archive
        return None
    return Repository.parse(done.stdout) if done.returncode == 0 else None


def on_config(app: Sphinx, config: Config) -> None:
    """Tell the theme and Sphinx where the repository is, or that there is none."""
    repository = find(config.book_repository, Path(app.confdir))
    config.book_address = None if repository is None else (repository.owner, repository.name)
    config.html_baseurl = repository.site if repository else ""
    config.html_theme_options = {
        **config.html_theme_options,
        "repository_url": repository.url if repository else "",
        "repository_branch": "main",
        "use_repository_button": repository is not None,
        "use_edit_page_button": repository is not None,
        "use_issues_button": repository is not None,
    }


def of(config: Config) -> Repository | None:
    """Return the address that ``on_config`` found."""
    return Repository(*config.book_address) if config.book_address else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the setting ``book_repository``."""
    app.add_config_value("book_repository", "", "html", str)
    app.add_config_value("book_address", None, "html", (tuple, type(None)))  # derived; a change writes every page again
    app.connect("config-inited", on_config, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
