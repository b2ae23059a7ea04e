"""What all commands share: help, errors, interruption, closed pipes, progress."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from longtail_cli import __version__
from longtail_cli.cli import COMMANDS, main

LTCAL = [sys.executable, "-m", "longtail_cli.cli"]


def ltcal(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_help_names_every_command() -> None:
    result = ltcal("--help")
    assert result.exit_code == 0
    assert all(f"  {name}  " in result.stdout for name in COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    """So that it answers in under 0.2 s."""
    script = (
        "import sys; from longtail_cli.cli import main; main(['--help'], standalone_mode=False); "
        "print(*{name.split('.')[0] for name in sys.modules} & {'numpy', 'pandas', 'rich', 'msgspec'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_result_files_are_reported_without_torch_and_pandas() -> None:
    example = Path(__file__).parents[2] / "examples" / "digit_scenes"
    script = (
        "import sys; from longtail_cli.cli import main; "
        f"main(['report', {str(example / 'predictions.json')!r}, '--annotations', {str(example / 'val.json')!r}], "
        "standalone_mode=False); "
        "print(*{name.split('.')[0] for name in sys.modules} & {'torch', 'safetensors', 'pandas', 'matplotlib'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("arguments", [["report"], ["rescore", "--method=none", "-oo"]])
def test_missing_packages_for_logits(arguments: list[str]) -> None:
    script = "import sys; sys.modules['torch'] = None; from longtail_cli.cli import main; main()"
    command = [sys.executable, "-c", script, arguments[0], "logits.npz", *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "expected torch and safetensors, for logits, found no torch" in done.stderr
    assert "pip install 'ltcal[logits]'" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(command: str) -> None:
    result = ltcal(command, "-h")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {command} ")


def test_version() -> None:
    assert __version__ in ltcal("--version").stdout


@pytest.mark.parametrize(
    ("command", "hint"),
    [("rescor", "did you mean rescore?"), ("draw", "choose one of compute-freq, rescore, report, tune, methods")],
)
def test_an_unknown_command_gets_a_suggestion(command: str, hint: str) -> None:
    result = ltcal(command)
    assert result.exit_code == 2
    assert f"Error: no command {command!r}; {hint}\n" in result.stderr


def test_an_error_is_text_on_stderr() -> None:
    done = subprocess.run([*LTCAL, "compute-freq", "nowhere.json"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "Error: nowhere.json: file: expected a file that can be read, found No such file or directory\n"
        "Fix: check the path and its permissions\n"
    )


def test_an_os_error_has_no_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*LTCAL, "methods"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "Error: [Errno 28] No space left on device\n"


def test_a_closed_pipe_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*LTCAL, "methods"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == b""


def test_an_interruption_leaves_no_output(tmp_path: Path) -> None:
    """A named pipe blocks the command while it reads: opening it for writing waits for the reader."""
    source = tmp_path / "predictions.json"
    os.mkfifo(source)
    command = [*LTCAL, "rescore", str(source), "--method", "none", "-o", str(tmp_path / "out.json")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running, source.open("w"):
        running.send_signal(signal.SIGINT)
        _, message = running.communicate(timeout=20)
    assert running.returncode == 130
    assert message == "interrupted; no output was left half-written\n"
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, False), (1.5, True)])
def test_progress_is_shown_to_a_terminal_after_a_second(seconds: float, shown: bool) -> None:
    lines = ("import time", "from longtail_cli.cli.progress_bar import working",
             f"with working('reading'): time.sleep({seconds})")  # fmt: skip
    script = "\n".join(lines)
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", script], stderr=theirs, check=True)
    os.set_blocking(ours, False)
    message = os.read(ours, 10_000) if shown else b""
    if not shown:
        with pytest.raises(BlockingIOError):
            os.read(ours, 1)
    os.close(ours)
    os.close(theirs)
    assert (b"reading" in message) == shown


def test_no_progress_if_stderr_is_not_a_terminal() -> None:
    script = "import time\nfrom longtail_cli.cli.progress_bar import working\nwith working('reading'): time.sleep(1.2)"
    assert subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, check=True).stderr == b""
