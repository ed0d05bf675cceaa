"""Which files of a directory are read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from correlator.adapters.documents import read_text, yaml_files


def test_a_pipe_in_a_directory_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("a: 1\n", encoding="utf-8")
    os.mkfifo(tmp_path / "b.yml")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "c.yml"))
        assert [path.name for path in yaml_files(tmp_path)] == ["a.yml"]


def test_names_may_end_in_capitals_and_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    for name in ("A.YML", "b.Yaml", "c.txt", "d.yml.old"):
        (tmp_path / name).touch()
    (tmp_path / "e.yml").symlink_to("nowhere")
    (tmp_path / "f.yml").mkdir()
    assert [path.name for path in yaml_files(tmp_path)] == ["A.YML", "b.Yaml", "e.yml", "f.yml"]
    assert [read_text(tmp_path / name)[1][0].message for name in ("e.yml", "f.yml")] == [
        "there is no such file",
        "cannot be read: Is a directory",
    ]
