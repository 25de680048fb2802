"""The second Python environment, in which MiniCPM-V 4.5's own code runs: build, check and inspect it."""

import fcntl
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import msgspec

import detector
from detector.errors import VerifierError
from detector.verify.vlm.local.environment_report import EnvironmentReport, environment_report
from detector.verify.vlm.local.models import own_folder

EXTRA = "minicpm45"
_STAMP = "lightning-detector.json"
# The code of 4.5 imports torchvision although nothing here uses it. A version that does not fit torch breaks
# transformers, too, so it is installed, tried, and removed if it cannot be imported.
_TRIED = "torchvision"


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment was built from; written last, so that an interrupted build has no stamp."""

    requirements: tuple[str, ...]
    added: tuple[str, ...] = ()
    python: str
    notes: tuple[str, ...] = ()


def environment_folder() -> Path:
    """Return the folder of the second environment, unless settings or the command line name another one."""
    return own_folder("XDG_DATA_HOME") / "minicpm45"


def trust_record() -> Path:
    """Return the file that records the trusted code."""
    return own_folder("XDG_STATE_HOME") / "trusted-code.json"


def lend_package(folder: Path) -> str:
    """Return a path for PYTHONPATH, inside `folder`, with this program's package alone.

    It is linked, not installed: the second environment must not see the first one's libraries.
    """
    (folder / "lent").mkdir()
    (folder / "lent" / "detector").symlink_to(Path(detector.__file__).parent)
    return str(folder / "lent")


def requirements() -> tuple[str, ...]:
    """Return the packages of the second environment: the extra `minicpm45`.

    Raises:
        VerifierError: the installed package has no such extra.
    """
    listed = metadata.requires("lightning-detector") or []
    wanted = re.compile(rf"""extra\s*==\s*['"]{EXTRA}['"]""")
    found = tuple(line.partition(";")[0].strip() for line in listed if wanted.search(line.partition(";")[2]))
    if not found:
        raise VerifierError(
            f"the installed lightning-detector does not know the extra '{EXTRA}'; install it again (make setup, or "
            "pip install --editable .)"
        )
    return found


class Environment:
    """A virtual environment at `folder`, separate from that of this program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.python = self.folder / "bin" / "python"

    def problem(self, added: Sequence[str] = ()) -> str | None:
        """Return why this environment cannot be used as it is, or None if it is up to date."""
        if not (self.folder / "pyvenv.cfg").is_file() or not self.python.exists():
            return "it has not been made"
        stamp = self.stamp()
        if stamp is None:
            return "making it was interrupted"
        missing = [one for one in (*requirements(), *added) if one not in (*stamp.requirements, *stamp.added)]
        if missing:
            return f"it was made without {', '.join(missing)}"
        if stamp.python != _python_series():
            return f"it was made for Python {stamp.python}, and this is {_python_series()}"
        return None

    def require(self) -> None:
        """Raise VerifierError unless the environment is up to date.

        Raises:
            VerifierError: it is not up to date; the message names the command that builds it.
        """
        problem = self.problem()
        if problem:
            raise VerifierError(
                f"{self.folder}: MiniCPM-V 4.5's environment is not ready: {problem}; make it with: "
                f"lightning-detector setup-45 --environment {self.folder}"
            )

    def stamp(self) -> Stamp | None:
        """Return what the environment was built from, if the build was finished."""
        try:
            return msgspec.json.decode((self.folder / _STAMP).read_bytes(), type=Stamp)
        except (OSError, msgspec.DecodeError):
            return None

    def make(self, added: Sequence[str] = (), *, again: bool = False) -> bool:
        """Build the environment if it is not up to date, or if `again` is set.

        pip's own settings (PIP_INDEX_URL, pip.conf) apply. Its output goes to stderr.

        Returns:
            whether there was anything to do.

        Raises:
            VerifierError: the folder is not ours, or venv or pip failed, whose output is on stderr.
        """
        # Packages requested once stay: a later plain `setup-45` must not remove them.
        stamp = self.stamp()
        added = tuple(dict.fromkeys([*(stamp.added if stamp else ()), *added]))
        if not again and self.problem(added) is None:
            return False
        with self._alone():
            if again or self.problem(added) is not None:
                self._build(added)
        return True

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the environment from being rebuilt while a process runs from it."""
        lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the environment for a change, and wait for another setup to end; raise if a server runs from it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise VerifierError(
                f"{self.folder}: cannot be made: {error.strerror}; name another with --environment"
            ) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self.stamp():  # which a setup writes last
                    raise VerifierError(f"{self.folder}: a serve-45 is running from it; stop that first") from None
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._refuse_a_folder_of_others()
            yield
        finally:
            os.close(lock)

    def _build(self, added: Sequence[str]) -> None:
        (self.folder / _STAMP).unlink(missing_ok=True)
        self._run([sys.executable, "-m", "venv", "--clear", str(self.folder)], "python -m venv (python3-venv)")
        tried = [one for one in requirements() if _name(one) == _TRIED]
        wanted = [*(one for one in requirements() if one not in tried), *added]
        self._run([*self._pip("install"), *wanted], ", ".join(wanted))
        notes = self._try(tried)
        done = Stamp(requirements=requirements(), added=tuple(added), python=_python_series(), notes=notes)
        (self.folder / _STAMP).write_bytes(msgspec.json.format(msgspec.json.encode(done)))

    def probe(self, modules: Sequence[str] = ()) -> EnvironmentReport:
        """Ask the environment's own Python for its content, and which of `modules` it cannot import; takes seconds.

        Returns:
            the content of the environment.

        Raises:
            VerifierError: its Python does not answer, or torch cannot be imported there.
        """
        advice = f"make it again: lightning-detector setup-45 --again --environment {self.folder}"
        with tempfile.TemporaryDirectory(prefix="lightning-45-") as folder:
            # torch leaves a folder where its temporary files go.
            variables = os.environ | {"PYTHONPATH": lend_package(Path(folder)), "TMPDIR": folder}
            try:
                report = environment_report((str(self.python), "-P", "-s"), modules, variables)
            except VerifierError as error:
                raise VerifierError(f"{self.folder}: its Python does not answer: {error}; {advice}") from error
        if report.torch_error:
            raise VerifierError(f"{self.folder}: torch cannot be imported there: {report.torch_error}; {advice}")
        return report

    def _refuse_a_folder_of_others(self) -> None:
        ours = (self.folder / "pyvenv.cfg").is_file()
        if self.folder.exists() and not ours and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise VerifierError(
                f"{self.folder}: not an empty folder and not an environment; name another with --environment"
            )
        if self.folder.resolve() == Path(sys.prefix).resolve():
            raise VerifierError(f"{self.folder}: this program itself runs there; name another with --environment")

    def _try(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Install packages that may not fit, remove them if they cannot be imported, and return notes about them."""
        if not wanted:
            return ()
        if subprocess.run([*self._pip("install"), *wanted], stdout=sys.stderr, check=False).returncode != 0:
            return (f"{', '.join(wanted)} could not be installed: code that imports {_TRIED} will not run here",)
        reason = self.probe([_TRIED]).broken.get(_TRIED)
        if reason is None:
            return ()
        self._run([*self._pip("uninstall"), "--yes", _TRIED], _TRIED)
        what = f"{', '.join(wanted)} does not fit this torch ({reason}) and was taken out"
        return (f"{what}; code that imports it cannot run here",)

    def _pip(self, verb: str) -> list[str]:
        return [str(self.python), "-m", "pip", verb, "--disable-pip-version-check", "--quiet"]

    def _run(self, command: Sequence[str], what: str) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
        code = subprocess.run(command, stdout=sys.stderr, env=environment, check=False).returncode
        if code != 0:
            raise VerifierError(
                f"{self.folder}: could not install {what} (exit code {code}); the reason stands above. "
                "Is the network there, and does the package index offer these versions?"
            )


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


def _python_series() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
