"""Set-up's decisions, spark-submit.sh and the bundled data, without a JVM or a network.

Set-up runs for real, on a PATH that holds a few system tools and stubs only.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from clv_spark.java_home import use_chosen_java

ROOT = Path(__file__).resolve().parents[2]
TOOLS = "bash cat cksum dirname basename env fold grep head mkdir mktemp rm sed sleep tail timeout"


class Machine:
    """A folder with a copy of the project's scripts and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.project, self.bin, self.jvm = folder / "my project", folder / "bin", folder / "jvm"
        for path in (self.project / "clv_spark", self.bin, self.jvm):
            path.mkdir(parents=True)
        for name in ("setup.py", "constraints.txt", "clv_spark/__init__.py", "spark-submit.sh"):
            shutil.copy(ROOT / name, self.project / name)
        shutil.copytree(ROOT / "scripts", self.project / "scripts")
        shutil.copytree(ROOT / "jobs", self.project / "jobs")
        for tool in TOOLS.split():
            if found := shutil.which(tool):
                (self.bin / tool).symlink_to(found)
        self.stub("id", "echo 1000")

    def stub(self, name: str, text: str) -> None:
        script(self.bin / name, text)

    def java(self, path: Path, major: str) -> None:
        home = path.parent.parent
        text = f"echo {shlex.quote(f'    java.home = {home}')} >&2\n"
        text += f"echo '    java.specification.version = {major}' >&2"
        script(path, text)

    def python(self, version: str = "3.11", packages: str = "exit 0", jdk: str = "exit 1") -> None:
        """A python3.11 whose venv holds a python that plays pip, install-jdk and Spark."""
        inner = f"""case "$*" in
  *install-jdk*) exit 0 ;;
  *"pip install"*) echo pip >>"{self.project}/calls"; {packages} ;;
  *"import jdk"*) {jdk} ;;
  *resolve_jars*) echo jars >>"{self.project}/calls"; : >"$2.jar"; echo "$2.jar" >"$2" ;;
  -V) echo Python 3.11.9 ;;
esac"""
        self.stub(
            "python3.11",
            f"""case "$*" in
  *version_info*) echo {version} ;;
  *ensurepip*) ;;
  *venv*) mkdir -p "$4/bin"; cat >"$4/bin/python" <<'INNER'
#!{self.bin}/bash
{inner}
INNER
  {shutil.which("chmod")} +x "$4/bin/python" ;;
esac""",
        )

    def run(self, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "bash"), *command.split()],
            cwd=self.project,
            env={"PATH": str(self.bin), "JVM_FOLDERS": str(self.jvm), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def setup(self, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.run("scripts/setup.sh", **environ)

    @property
    def calls(self) -> str:
        path = self.project / "calls"
        return path.read_text() if path.exists() else ""

    @property
    def java_home(self) -> str:
        return (self.project / ".venv" / "clv_env").read_text()


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{shutil.which('bash')}\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def one_line(text: str, *words: str) -> None:
    assert len(text.strip().splitlines()) == 1, text
    for word in words:
        assert word in text


def test_no_python_ends_with_one_line(machine: Machine) -> None:
    done = machine.setup()
    assert done.returncode == 1
    one_line(done.stderr, "Python 3.11 is needed", "no python3 on PATH", "Install")


def test_old_python_ends_with_one_line(machine: Machine) -> None:
    machine.stub("python3", "echo 3.9")
    machine.stub("python3.11", "echo 'command not found in this version manager' >&2; exit 127")
    done = machine.setup()
    assert done.returncode == 1
    one_line(done.stderr, "python3 is 3.9", "Install Python 3.11")
    assert not (machine.project / ".venv").exists()


def test_python_without_venv_ends_with_one_line(machine: Machine) -> None:
    machine.stub("python3.11", 'case "$*" in *version_info*) echo 3.11 ;; *) exit 1 ;; esac')
    done = machine.setup()
    assert done.returncode == 1
    one_line(done.stderr, "python3.11-venv")


def test_java_home_wins_and_a_second_run_does_nothing(machine: Machine) -> None:
    machine.python()
    machine.java(machine.bin / "java", "21")
    machine.java(machine.jvm / "own" / "bin" / "java", "17")
    home = str(machine.jvm / "own")
    done = machine.setup(JAVA_HOME=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.java_home == f"export JAVA_HOME='{home}'\n"
    assert machine.calls == "pip\njars\n"
    again = machine.setup(JAVA_HOME=home)
    assert again.stdout == "setup: up to date\n"
    assert machine.calls == "pip\njars\n"


def test_a_java_with_a_quote_in_its_path_is_read_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", "")
    monkeypatch.delenv("JAVA_HOME")
    machine.python()
    home = machine.jvm / "it's mine & yours"
    machine.java(home / "bin" / "java", "17")
    done = machine.setup(JAVA_HOME=str(home))
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.setup(JAVA_HOME=str(home)).stdout == "setup: up to date\n"
    use_chosen_java(machine.project / ".venv")
    assert os.environ["JAVA_HOME"] == str(home)


@pytest.mark.parametrize("change", ["constraints.txt", "setup.py", "clv_spark/__init__.py"])
def test_changed_pins_are_installed(machine: Machine, change: str) -> None:
    machine.python()
    machine.java(machine.jvm / "a" / "bin" / "java", "17")
    machine.setup()
    with (machine.project / change).open("a") as file:
        file.write("# changed\n")
    assert machine.setup().returncode == 0
    assert machine.calls == "pip\njars\n" * 2


def test_other_java_first_on_path_is_passed_over(machine: Machine) -> None:
    machine.python()
    machine.java(machine.bin / "java", "25")
    machine.java(machine.jvm / "b-21" / "bin" / "java", "21")
    machine.java(machine.jvm / "a-11" / "bin" / "java", "11")
    done = machine.setup()
    assert done.returncode == 0
    assert "using Java 21" in done.stdout
    assert f"{machine.jvm}/b-21" in machine.java_home


def test_only_java_11_and_no_network_ends_with_one_line(machine: Machine) -> None:
    machine.python()
    machine.java(machine.jvm / "a-11" / "bin" / "java", "11")
    done = machine.setup()
    assert done.returncode == 1
    one_line(done.stderr, "only Java 11", "Install Java 17 or 21", "JAVA_HOME")
    assert machine.calls == ""
    assert not (machine.project / ".venv" / "clv_setup.key").exists()


def test_java_8_is_understood(machine: Machine) -> None:
    machine.python()
    machine.java(machine.bin / "java", "1.8")
    assert "only Java 8" in machine.setup().stderr


@pytest.mark.parametrize("package", ["openjdk-17-jre-headless", "openjdk-21-jre-headless"])
def test_root_on_debian_installs_with_apt(machine: Machine, package: str) -> None:
    machine.python()
    major = package.split("-")[1]
    machine.stub("id", "echo 0")
    machine.stub("apt-cache", f'[ "$2" = {package} ] && echo "  Candidate: 1" || echo "(none)"')
    java = machine.jvm / "apt" / "bin" / "java"
    text = f"echo '    java.home = {java.parent.parent}'; echo '    java.specification.version = "
    machine.stub(
        "apt-get",
        f"""echo "$*" >>"{machine.project}/calls"
[ "$2" != update ] && [ "$1" != update ] || exit 100
mkdir -p "{java.parent}"
cat >"{java}" <<'J'
#!{machine.bin}/bash
{text}{major}'
J
{shutil.which("chmod")} +x "{java}" """,
    )
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert f"apt-get install -y --no-install-recommends {package}" in done.stdout
    assert f"--no-install-recommends {package}" in machine.calls
    assert str(machine.jvm / "apt") in machine.java_home


def test_not_root_leaves_the_system_alone(machine: Machine) -> None:
    machine.stub("apt-get", f'echo apt >>"{machine.project}/calls"')
    machine.stub("apt-cache", "echo '  Candidate: 1'")
    java = machine.project / ".venv" / "jdk" / "jdk-17" / "bin" / "java"
    made = f"""mkdir -p "{java.parent}"; echo '#!{machine.bin}/bash' >"{java}"
    echo 'echo "    java.home = {java.parent.parent}"' >>"{java}"
    echo 'echo "    java.specification.version = 17"' >>"{java}"
    {shutil.which("chmod")} +x "{java}" """
    machine.python(jdk=made)
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert "the system stays as it is" in done.stdout
    assert "apt" not in machine.calls
    assert ".venv/jdk/jdk-17" in machine.java_home


def test_failed_install_shows_the_end_of_the_log(machine: Machine) -> None:
    machine.python(packages="echo no matching distribution; exit 1")
    machine.java(machine.bin / "java", "17")
    done = machine.setup()
    assert done.returncode == 1
    assert "no matching distribution" in done.stderr
    assert "could not be installed" in done.stderr.strip().splitlines()[-1]


# --- spark-submit.sh


@pytest.fixture
def submitter(machine: Machine) -> Machine:
    """A machine with a spark-submit that prints what it is given, one argument a line."""
    spark = machine.project / "spark"
    script(spark / "bin" / "spark-submit", 'printf "%s\\n" "$@"; exit 10')
    (machine.bin / "python3").symlink_to(sys.executable)
    (machine.project / "conf").mkdir()
    for name in ("prod.yml", "base.yml"):
        (machine.project / "conf" / name).write_text("{}\n")
    return machine


def submit(machine: Machine, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return machine.run(
        f"spark-submit.sh {command}",
        **{
            "SPARK_HOME": str(machine.project / "spark"),
            "CLV_SPARK_DELTA": "io.delta:delta-spark_4.1_2.13:4.4.0",
            **environ,
        },
    )


@pytest.mark.parametrize(
    ("command", "environ", "words"),
    [
        ("nonsense", {}, ("unknown job", "build-features")),
        ("../x --conf conf/prod.yml", {}, ("unknown job",)),
        ("run --as-of 2011-12-09", {}, ("--conf FILE is missing",)),
        ("run --conf nowhere.yml", {}, ("nowhere.yml", "no such file")),
        ("run --conf conf/prod.yml", {"SPARK_HOME": "/nowhere"}, ("SPARK_HOME is /nowhere",)),
        ("run --conf conf/prod.yml", {"SPARK_HOME": ""}, ("no spark-submit found", "make setup")),
        ("run --conf conf/prod.yml -- --files", {}, ("--files needs a value",)),
        (
            "run --conf conf/prod.yml -- --deploy-mode cluster",
            {"CLV_SPARK__VALUE__HORIZON_DAYS": "90"},
            ("CLV_SPARK__VALUE__HORIZON_DAYS", "--set"),
        ),
    ],
)
def test_wrong_command_line_says_what_to_do(
    submitter: Machine, command: str, environ: dict[str, str], words: tuple[str, ...]
) -> None:
    done = submit(submitter, command, **environ)
    assert done.returncode == 2
    one_line(done.stderr, *words)


def test_job_is_shipped_and_its_exit_code_returned(submitter: Machine) -> None:
    done = submit(
        submitter, "run --conf conf/prod.yml --as-of 2011-12-09 --set a.b=1 -- --master local[1]"
    )
    given = done.stdout.splitlines()
    assert done.returncode == 10
    assert given[:2] == ["--master", "local[1]"]
    assert "--packages" in given
    script_at = given.index(str(submitter.project / "jobs" / "run.py"))
    assert given[script_at + 1 :] == [
        *("--conf", "conf/prod.yml"),
        *("--as-of", "2011-12-09"),
        *("--set", "a.b=1"),
    ]
    zipped = Path(given[given.index("--py-files") + 1])
    assert zipped.name == "clv_spark.zip"
    assert not zipped.parent.exists()


@pytest.mark.parametrize(
    "mode",
    [
        "--deploy-mode cluster",
        "--deploy-mode=cluster",
        "--conf spark.submit.deployMode=cluster",
        "--conf=spark.submit.deployMode=cluster",
    ],
)
def test_cluster_mode_ships_the_configuration(submitter: Machine, mode: str) -> None:
    options = f"{mode} --files a.txt --packages x:y:1"
    done = submit(submitter, f"build-features --conf conf/prod.yml -- {options}")
    given = done.stdout.splitlines()
    assert given[given.index("--files") + 1] == "a.txt,conf/prod.yml,conf/base.yml"
    assert given[given.index("--packages") + 1] == "x:y:1,io.delta:delta-spark_4.1_2.13:4.4.0"
    assert given[-2:] == ["--conf", "prod.yml"]


def test_cluster_with_delta_gets_no_package(submitter: Machine) -> None:
    done = submit(submitter, "run --conf conf/prod.yml", CLV_SPARK_DELTA="provided")
    assert "--packages" not in done.stdout.splitlines()


def test_packed_zip_can_be_imported(tmp_path: Path) -> None:
    target = tmp_path / "p.zip"
    subprocess.run([sys.executable, ROOT / "scripts" / "pack.py", "zip", target], check=True)
    names = zipfile.ZipFile(target).namelist()
    assert "clv_spark/__init__.py" in names
    assert not [name for name in names if "__pycache__" in name]


def test_every_job_script_names_its_own_job() -> None:
    for path in (ROOT / "jobs").glob("*.py"):
        name = path.stem.replace("_", "-")
        assert f'main(["{name}", *sys.argv[1:]])' in path.read_text(encoding="utf-8")


# --- The check of a fresh clone


@pytest.mark.parametrize("tools", ["dirname bash", "dirname bash timeout"])
def test_a_check_runs_with_and_without_a_limit(tmp_path: Path, tools: str) -> None:
    """macOS has no timeout command."""
    for tool in tools.split():
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    script(tmp_path / "make", 'echo "make $*"')
    done = subprocess.run(
        [str(tmp_path / "bash"), str(ROOT / ".ci" / "run")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "make test test-slow\n", "")


# --- Bundled data


def test_bundled_data_agrees_with_its_readme() -> None:
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` \| [\d,]+ \| ([\d,]+) \| `([0-9a-f]{64})` \|$", text, re.M)
    assert len(rows) == 3
    for name, size, digest in rows:
        content = (ROOT / "data" / name).read_bytes()
        assert f"{len(content):,}" == size
        assert hashlib.sha256(content).hexdigest() == digest
    assert (ROOT / "data" / "online_retail_ii.parquet").stat().st_size < 5_000_000
