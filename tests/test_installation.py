"""What installs the program, as far as a machine without PyTorch's index, conda or a container engine shows it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import venv
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from checkout import ROOT, Checkout
from intermezzo.core.errors import UserError
from intermezzo.execution import containers, startup, trackers

PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)


def make(*arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "TORCH"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def wheel(folder: Path, version: str) -> Path:
    """A wheel of a package `torch` that has nothing but its metadata, and needs another package as torch does."""
    folder.mkdir(parents=True, exist_ok=True)
    path, info = folder / f"torch-{version}-py3-none-any.whl", f"torch-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\nRequires-Dist: package-of-another-index\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path):
    """(folder, URL) of an index in the layout of PyTorch's: wheels beside the pages, addresses from the root."""
    folder = tmp_path / "site" / "whl" / "cpu"
    folder.mkdir(parents=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    handler.func.log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/whl/cpu"
    server.shutdown()
    server.server_close()


def publish(folder: Path, version: str) -> None:
    path = wheel(folder, version)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    page = folder / "torch" / "index.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text(f'<a href="/whl/cpu/{quote(path.name)}#sha256={digest}">{path.name}</a><br/>')


def install_torch(place: Path, url: str) -> subprocess.CompletedProcess:
    """Run the command by which `make env TORCH=cpu` installs torch, in a new environment without packages."""
    venv.create(place)
    script = f'#!/bin/sh\nexec {sys.executable} -m pip --python {place}/bin/python "$@"\n'
    (place / "bin" / "pip").write_text(script)
    (place / "bin" / "pip").chmod(0o755)
    lines = make("-n", "-B", "env", "TORCH=cpu", f"venv={place}", f"TORCH_INDEX={url}").stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if "install --quiet torch" in line)
    command = "\n".join(lines[start : start + 2])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_torch_without_a_gpu_comes_from_its_index_alone_and_satisfies_the_pinned_version(index, tmp_path):
    folder, url = index
    publish(folder, f"{PINNED['torch']}+cpu")
    done = install_torch(tmp_path / "env", url)
    assert done.returncode == 0, done.stderr
    installed = {path.name for path in (tmp_path / "env").glob("lib/python*/site-packages/*.dist-info")}
    assert installed == {f"torch-{PINNED['torch']}+cpu.dist-info"}


@pytest.mark.slow
def test_an_index_without_the_pinned_version_ends_the_installation(index, tmp_path):
    folder, url = index
    publish(folder, "2.0.0+cpu")
    done = install_torch(tmp_path / "env", url)
    assert done.returncode and f"the torch of constraints.txt was not installed from {url}" in done.stderr
    assert not list((tmp_path / "env").glob("lib/python*/site-packages/torch*"))


def test_make_env_takes_torch_from_pypi_unless_told_and_remembers_which(tmp_path):
    def commands(*arguments: str) -> list[str]:
        shown = make("-n", "-B", *arguments).stdout
        return re.findall(r"^\S+/pip install --quiet (.*?)(?: *\|\| \\)?$", shown, flags=re.MULTILINE)

    packages = "-e '.[test,real]' -c constraints.txt"
    cpu = "torch -c constraints.txt --no-deps --index-url https://download.pytorch.org/whl/cpu"
    place = f"venv={tmp_path}"
    assert commands("env", place) == ["torch -c constraints.txt", packages]
    assert commands("env", place, "TORCH=cpu") == [cpu, packages]
    (tmp_path / ".made").write_text("cpu\n")
    assert commands("env", place) == [cpu, packages]
    for build in ("", "cu130"):
        done = make("env", place, f"TORCH={build}", "PYTHON=true")
        assert done.returncode == 2 and "another build of torch" in done.stderr
    done = make("env", f"venv={tmp_path / 'none'}", "TORCH=cu130")
    assert done.returncode == 2 and "TORCH=cu130: give cpu" in done.stderr and not (tmp_path / "none").exists()


# -- containers --------------------------------------------------------------------------------------------------------

ENGINE = """#!{python}
import json, os, sys
if sys.argv[1] == "--version":
    print("apptainer version 1.3.4")
    raise SystemExit
image = next(number for number, argument in enumerate(sys.argv) if argument.endswith(".sif"))
with open("engine.jsonl", "a") as file:
    file.write(json.dumps([sys.argv[image], os.environ["PYTHONPATH"]]) + "\\n")
os.execvp(sys.argv[image + 1], sys.argv[image + 1 :])
"""


@pytest.mark.workflow
def test_jobs_run_in_the_image_with_the_code_of_the_snakefile_when_containers_are_asked_for(tmp_path, monkeypatch):
    """An engine that says what it was asked for, and runs it where it is."""
    checkout = Checkout.fresh(tmp_path / "project")
    engine = tmp_path / "bin" / "apptainer"
    engine.parent.mkdir()
    engine.write_text(ENGINE.format(python=sys.executable))
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{engine.parent}{os.pathsep}{os.environ['PATH']}")
    target = "results/data/world/nli/en/dev.parquet"
    image = checkout.folder / "containers" / "intermezzo.sif"
    image.parent.mkdir()
    image.touch()
    checkout.run(target, "--sdm", "apptainer")
    (call,) = map(json.loads, (checkout.folder / "engine.jsonl").read_text().splitlines())
    assert call[0] == str(image) and call[1].split(os.pathsep)[0] == str(checkout.folder / "src")
    assert (checkout.folder / target).is_file()


def test_what_containers_need_is_said_before_the_first_job(tmp_path, monkeypatch):
    monkeypatch.setenv(containers.IMAGE, "docker://registry.example.org/intermezzo:latest")
    assert containers.image() == "docker://registry.example.org/intermezzo:latest"
    monkeypatch.setattr(containers, "PROJECT", Path("/a/clone"))
    monkeypatch.chdir(tmp_path)
    containers.check(set(), "")
    containers.check({"conda"}, "")
    containers.check({"apptainer"}, "--nv --bind /a/clone")
    for methods, message in (
        ({"apptainer", "conda"}, "not both"),
        ({"apptainer"}, "add --apptainer-args '--bind /a/clone'"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            containers.check(methods, "--nv")
    monkeypatch.setenv("APPTAINER_BIND", "/a/clone")
    containers.check({"apptainer"}, "--nv")
    monkeypatch.delenv(containers.IMAGE)
    with pytest.raises(UserError, match="no such image; build it"):
        containers.check({"apptainer"}, "")
    monkeypatch.setattr(containers, "PROJECT", Path("/a clone"))
    assert containers.for_snakemake() is None, "Snakemake refuses blanks, also without containers"
    with pytest.raises(UserError, match="takes no image whose name has blanks"):
        containers.check({"apptainer"}, "")


def test_a_run_without_its_image_or_tracker_ends_before_its_first_job(tmp_path, monkeypatch, capsys):
    settings = SimpleNamespace(deployment_method={"apptainer"}, apptainer_args="")
    workflow = SimpleNamespace(deployment_settings=settings, executor_plugin=None)
    monkeypatch.setenv(containers.IMAGE, str(tmp_path / "none.sif"))
    for value, message in (("", "none.sif: there is no such image"), ("comet", "there is no tracker 'comet'")):
        monkeypatch.setenv(trackers.TRACKERS, value)
        with pytest.raises(SystemExit) as end:
            startup.begin(workflow, (), {})
        assert end.value.code == 2 and message in capsys.readouterr().err


def test_both_recipes_start_from_the_same_image_copy_the_same_files_and_run_the_same_steps():
    docker = (ROOT / "containers/Dockerfile").read_text().replace("\\\n", " ")
    apptainer = (ROOT / "containers/intermezzo.def").read_text()
    base = re.search(r"^FROM (.*)$", docker, flags=re.MULTILINE)[1]
    assert re.search(r"^From: (.*)$", apptainer, flags=re.MULTILINE)[1] == base
    assert tuple(map(int, re.search(r":(\d+)\.(\d+)-", base).groups())) >= (3, 11)
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", docker, flags=re.MULTILINE) for name in line.split()}
    section = re.search(r"^%files\n(.*?)\n\n", apptainer, flags=re.MULTILINE | re.DOTALL)[1]
    pairs = [line.split() for line in section.splitlines()]
    assert {source for source, _ in pairs} == copied and all((ROOT / name).is_file() for name in copied)
    assert {place.removeprefix("/opt/build/") for _, place in pairs} == {
        name.removeprefix("containers/") for name in copied
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied and "*" in ignored
    for step in ("apt-get install --yes --no-install-recommends git", "sh install.sh", "rm -rf /opt/build"):
        assert step in docker and step in apptainer


@pytest.mark.parametrize("torch", ["", "cpu", "cu130"])
def test_images_get_what_make_env_installs(tmp_path, torch):
    """A `pip` that says what it was asked for."""
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\necho "$@"\n')
    pip.chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TORCH": torch}
    command = ["sh", str(ROOT / "containers/install.sh")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    if torch == "cu130":
        assert done.returncode == 1 and not done.stdout and "TORCH=cu130: give cpu" in done.stderr
        return
    lines = make("-n", "-B", "env", f"venv={tmp_path / 'env'}", f"TORCH={torch}").stdout.splitlines()
    (made,) = [line.partition("--quiet ")[2].split(" ||")[0].strip() for line in lines if "--quiet torch" in line]
    steps = [line.replace("install --no-cache-dir ", "") for line in done.stdout.splitlines()]
    assert steps == [made, ".[real,cluster] -c constraints.txt", "uninstall --yes intermezzo"]
