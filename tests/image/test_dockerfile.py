"""What must hold of the Dockerfile whatever the image is for."""

from __future__ import annotations

import json
import re

from tests.image.dockerfile import ROOT, ours, stages


def test_the_parser_joins_lines_drops_comments_and_puts_defaults_in() -> None:
    text = "ARG BASE=a:1\n# no\nFROM ${BASE} AS x\nRUN one \\\n    # between\n    && two\n"
    text += 'FROM b:2\nENV A="1 2" \\\n  B=3\n'
    first, second = stages(text)
    assert (first.base, first.name, first.one("RUN").value) == ("a:1", "x", "one && two")
    assert second.pairs("ENV") == {"A": "1 2", "B": "3"}


def test_it_has_a_build_stage_and_a_last_stage_on_the_same_pinned_base() -> None:
    build, last = ours()
    assert build.name == "build"
    assert last.name == ""
    assert build.base == last.base
    assert re.fullmatch(r"[a-z]+:[\w.-]*bookworm[\w.-]*(@sha256:[0-9a-f]{64})?", last.base)


def test_it_runs_as_a_number_that_is_not_root() -> None:
    user, group = ours()[-1].one("USER").value.split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_nothing_after_the_user_writes_the_root_file_system() -> None:
    names = [instruction.name for instruction in ours()[-1].instructions]
    assert not {"RUN", "COPY", "ADD"} & set(names[names.index("USER") :])
    assert "VOLUME" not in names  # would be writable, whatever the pod says


def test_nothing_is_fetched_but_debian_packages_and_what_the_lock_names_by_hash() -> None:
    for stage in ours():
        assert not stage.all("ADD")  # takes addresses
        for run in stage.all("RUN"):
            assert not re.search(r"\b(curl|wget|git|http|https|ftp)\b", run.value), run.value
            for install in re.findall(r"pip install [^&]*", run.value):
                assert "--require-hashes" in install
                assert "--no-deps" in install


def test_the_last_stage_takes_no_builder_and_no_installer() -> None:
    last = ours()[-1]
    for run in last.all("RUN"):
        assert not re.search(r"\b(pip|venv|gcc|make|python3\.11-venv|build-essential)\b", run.value), run.value
    copied = [instruction.words for instruction in last.all("COPY")]
    assert copied == [["--from=build", "/dependencies/", "/"], ["--from=build", "/code/", "/"]]


def test_no_package_lists_stay_in_a_layer() -> None:
    runs = [run.value for stage in ours() for run in stage.all("RUN") if "apt-get" in run.value]
    assert runs
    for run in runs:
        assert "apt-get update &&" in run
        assert "--no-install-recommends" in run
        assert "rm -rf /var/lib/apt/lists/*" in run


def test_our_code_comes_after_what_changes_seldom() -> None:
    build, last = ours()
    order = [instruction.value for instruction in build.instructions]
    dependencies = next(index for index, value in enumerate(order) if value.endswith(" dependencies /dependencies"))
    code = next(index for index, value in enumerate(order) if value == "services/ services/")
    assert dependencies < code
    assert [words.words[1] for words in last.all("COPY")] == ["/dependencies/", "/code/"]


def test_it_stops_by_sigterm_and_leaves_probes_to_kubernetes() -> None:
    last = ours()[-1]
    assert last.one("STOPSIGNAL").value == "SIGTERM"
    assert last.one("HEALTHCHECK").value == "NONE"


def test_no_shell_stands_between_the_signal_and_the_program() -> None:
    last = ours()[-1]
    assert not last.all("ENTRYPOINT")  # the chart's commands are whole
    command = json.loads(last.one("CMD").value)
    assert isinstance(command, list)
    assert not last.all("SHELL")


def test_no_secret_is_given_by_argument_or_variable() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^ARG (\w+)", text, re.MULTILINE) == ["BASE", "VERSION"]
    assert not [name for name in ours()[-1].pairs("ENV") if re.search("KEY|SECRET|TOKEN|PASSWORD", name)]
