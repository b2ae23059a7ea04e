"""What all commands share: help, errors, interruption, closed pipes, progress."""

import gzip
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import longtail_cli
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


def test_a_map_of_scores_is_fitted_without_torch(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "digit_scenes"
    (tmp_path / "freq.csv").write_text(ltcal("compute-freq", str(example / "train.json")).stdout)
    arguments = ["fit", "predictions.json", "--annotations", "val.json", "--method", "platt"]
    arguments = [str(example / one) if one.endswith(".json") else one for one in arguments]
    arguments += ["--freq", str(tmp_path / "freq.csv"), "-o", str(tmp_path / "fit.npz")]
    script = (
        f"import sys; from longtail_cli.cli import main; main({arguments!r}, standalone_mode=False); "
        "print(*{name.split('.')[0] for name in sys.modules} & {'torch', 'scipy', 'sklearn', 'pandas', 'matplotlib'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
    assert (tmp_path / "fit.npz").exists()


@pytest.mark.parametrize(
    "arguments", [["report"], ["rescore", "--method=none", "-oo"], ["fit", "--method=bcts", "-oo"]]
)
def test_missing_packages_for_logits(arguments: list[str]) -> None:
    logits = Path(__file__).parents[2] / "examples" / "digit_scenes" / "logits.npz"
    script = "import sys; sys.modules['torch'] = None; from longtail_cli.cli import main; main()"
    command = [sys.executable, "-c", script, arguments[0], str(logits), *arguments[1:]]
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
    [
        ("rescor", "did you mean rescore?"),
        ("draw", "choose one of inspect, compute-freq, rescore, report, tune, fit, methods"),
    ],
)
def test_an_unknown_command_gets_a_suggestion(command: str, hint: str) -> None:
    result = ltcal(command)
    assert result.exit_code == 2
    assert f"Error: no command {command!r}; {hint}\n" in result.stderr


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--ann", "; did you mean --annotations?"),
        ("--max-dr", "; did you mean --max-drop?"),
        ("--no-g", "; did you mean --no-gate?"),
        ("--per", "; did you mean --per-category or --per-image?"),
        ("--anotations=val.json", "; did you mean --annotations?"),
        ("--zzz", ""),
    ],
)
def test_an_unknown_option_gets_suggestions(option: str, hint: str) -> None:
    result = ltcal("report", "predictions.json", option)
    assert result.exit_code == 2
    assert f"Error: no option {option.partition('=')[0]!r}{hint}\n" in result.stderr


def test_an_unknown_option_before_the_command_gets_a_suggestion() -> None:
    assert "Error: no option '--vers'; did you mean --version?\n" in ltcal("--vers").stderr


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
    message = (
        "stdout or a temporary file: file: expected one that can be read and written, found No space left on device"
    )
    assert done.stderr.startswith(f"Error: {message}\nFix: check ")


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


SIGNALS = (signal.SIGINT, signal.SIGTERM)
ENTRY = "from longtail_cli.cli.__main__ import run\nrun()"


def interrupted(script: str, *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """A process that runs the command line after `script`, with a folder for temporary files of its own."""
    temporary = folder / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-c", f"import os, signal, sys\n{script}\n{ENTRY}", *map(str, arguments)]
    own = {"PYTHONPATH": str(Path(longtail_cli.__file__).parents[1]), "TMPDIR": str(temporary)}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own}, cwd=folder)
    assert list(temporary.iterdir()) == []
    return done


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    "module",
    ["longtail_cli.cli.commands", "click", "longtail_cli.files.results.file", "numpy", "numpy.linalg", "msgspec"],
)
def test_an_interruption_of_an_import_has_no_traceback(tmp_path: Path, module: str, number: signal.Signals) -> None:
    (tmp_path / "in.json").write_text("[]")
    script = f"""
def imported(event, names):
    if event == "import" and names[0] == {module!r}:
        os.kill(os.getpid(), {int(number)})
sys.addaudithook(imported)
"""
    done = interrupted(script, "rescore", "in.json", "--method", "none", "-o", "out.json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (130, "interrupted; no output was left half-written\n")
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_at_exit_changes_nothing(tmp_path: Path, number: signal.Signals) -> None:
    script = f"import atexit; atexit.register(lambda: os.kill(os.getpid(), {int(number)}))"
    done = interrupted(script, "methods", "none", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("none\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interruption_in_a_destructor_is_not_lost(tmp_path: Path, number: signal.Signals) -> None:
    """Python drops exceptions there, after it printed them."""
    (tmp_path / "in.json").write_text("[]")
    script = f"""
class Signalling:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})
        for _ in range(1000): pass
from longtail_cli.files.results.file import ResultFile
def read(*_):
    Signalling()
    while True: pass
ResultFile.read = read
"""
    done = interrupted(script, "rescore", "in.json", "--method", "none", "-o", "out.json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (130, "interrupted; no output was left half-written\n")


def test_an_interruption_that_pyarrow_would_drop_is_not_lost(tmp_path: Path) -> None:
    """It imports pandas from C++ when it first converts values, and drops every exception of that."""
    (tmp_path / "in.json").write_text("[]")
    script = f"""
def imported(event, names):
    if event == "import" and names[0] == "pandas.core.api":
        os.kill(os.getpid(), {int(signal.SIGINT)})
from longtail_cli.files.results.file import ResultFile
def read(*_):
    import pyarrow
    sys.addaudithook(imported)
    pyarrow.nulls(1).to_numpy(zero_copy_only=False)
    for _ in range(100_000_000): pass
ResultFile.read = read
"""
    done = interrupted(script, "rescore", "in.json", "--method", "none", "-o", "out.json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (130, "interrupted; no output was left half-written\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_unpacked_inputs_are_removed_after_an_interruption(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "labels.txt.gz").write_bytes(gzip.compress(b"a.png 0\n" * 1000))
    script = f"""
import longtail_cli.files.labels as labels
def text_labels(plain, *_, **__):
    assert str(plain).startswith(os.environ["TMPDIR"])
    os.kill(os.getpid(), {int(number)})
    for _ in range(1000): pass
labels._of_text = text_labels
"""
    done = interrupted(script, "compute-freq", "labels.txt.gz", "-o", "freq.csv", folder=tmp_path)
    assert (done.returncode, done.stderr) == (130, "interrupted; no output was left half-written\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.txt.gz", "tmp"]


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
