"""What ships, what imports what, and that `import tilewright` stays light.

Links in `src/tilewright`, the wheel's map of folders, the wheel itself, the direction of imports,
the declared dependencies and the public names must all tell the same story.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tilewright

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "tilewright"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
CODE_FOLDERS = ("ir", "codegen_cpu", "codegen_wgsl", "codegen_glsl", "runtime_web", "compiler")

# Which of our packages each package may import. Only the driver, and the runtime that owns every
# device, may know several back ends.
MAY_IMPORT = {
    "ir": {"ir"},
    "codegen_cpu": {"ir", "codegen_cpu"},
    "codegen_wgsl": {"ir", "codegen_wgsl"},
    "codegen_glsl": {"ir", "codegen_glsl"},
    # Runs what both of them make.
    "runtime_web": {"ir", "codegen_wgsl", "codegen_glsl", "runtime_web"},
    "compiler": {*CODE_FOLDERS, "__version__"},
}


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported_modules(file: Path) -> Iterator[tuple[str, int]]:
    """Absolute names that `file` imports, at any depth and for type checkers too, with the line.

    `from a import b` yields `a.b`: whether b is a module or an object, `a` is its prefix.
    """
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from ((f"{dots}{node.module}.{a.name}", node.lineno) for a in node.names)


def in_fresh_python(code: str) -> object:
    """What `code` prints as JSON in a new process."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- folders, links and the wheel ---


def test_every_wheel_folder_is_linked_and_every_link_ships() -> None:
    links = {
        entry.name: entry.resolve().relative_to(ROOT.resolve()).as_posix()
        for entry in PACKAGE.iterdir()
        if entry.is_symlink()
    }
    wheel_map = {
        package.removeprefix("tilewright/"): folder
        for folder, package in WHEEL["sources"].items()
        if package != "tilewright"
    }
    assert links == wheel_map
    assert sorted(WHEEL["only-include"]) == sorted(WHEEL["sources"])
    assert all((PACKAGE / name).is_dir() for name in links), "a link leads nowhere"


def test_src_holds_no_code() -> None:
    real = {entry.name for entry in PACKAGE.iterdir() if not entry.is_symlink()}
    assert real - {"__pycache__"} == {"__init__.py", "py.typed"}


def test_wheel_holds_exactly_the_sources(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    shipped = {name for name in names if ".dist-info/" not in name}
    sources = {
        f"tilewright/{file.relative_to(ROOT).as_posix()}"
        for folder in WHEEL["sources"]
        if not folder.startswith("src/")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and not {"__pycache__", "node_modules"} & {*file.parts}
    }
    assert shipped == sources | {"tilewright/__init__.py", "tilewright/py.typed"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


# --- who imports whom ---


@pytest.mark.parametrize("folder", CODE_FOLDERS)
def test_imports_go_one_way(folder: str) -> None:
    wrong = []
    for file in python_files(folder):
        for name, line in imported_modules(file):
            root, *rest = name.split(".")
            where = f"{file.relative_to(ROOT)}:{line} imports {name}"
            if root == "" or root in CODE_FOLDERS:
                wrong.append(f"{where}: write tilewright.…")
            elif root == "tilewright" and not {*rest[:1]} & MAY_IMPORT[folder]:
                wrong.append(where)
    assert not wrong, "\n".join(wrong)


def test_only_the_driver_knows_every_back_end() -> None:
    for file in python_files("compiler"):
        back_ends = {
            name.split(".")[1]
            for name, _ in imported_modules(file)
            if name.startswith("tilewright.codegen_")
        }
        assert len(back_ends) <= 1 or file.name in ("driver.py", "runtime.py"), (
            f"{file} imports {back_ends}"
        )


def test_every_third_party_import_is_declared() -> None:
    groups = [PROJECT["project"]["dependencies"]]
    groups += PROJECT["project"]["optional-dependencies"].values()
    declared = {normalised(requirement) for group in groups for requirement in group}
    distributions = packages_distributions()
    undeclared = {
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for folder in CODE_FOLDERS
        for file in python_files(folder)
        for name, line in imported_modules(file)
        if (root := name.split(".")[0]) not in sys.stdlib_module_names | {"tilewright"}
        and not declared & {normalised(d) for d in distributions.get(root, [root])}
    }
    assert not undeclared


def normalised(requirement: str) -> str:
    """The name in a requirement, as package indexes spell it."""
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


# --- the public names ---


def typed_names() -> dict[str, str]:
    """Public name -> module, as the block for type checkers states it."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    names: dict[str, str] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        assert node.module is not None
        for alias in node.names:
            assert alias.asname == alias.name, "`as` is what makes a re-export explicit"
            is_module = node.module.count(".") == 1  # from tilewright.compiler import testing
            names[alias.name] = f"{node.module}.{alias.name}" if is_module else node.module
    return names


def test_type_checkers_and_users_see_the_same_names() -> None:
    assert typed_names() == vars(tilewright)["_HOME_OF"]
    assert set(dir(tilewright)) == {*typed_names(), "__version__"}


@pytest.mark.parametrize("module", ["compiler/functions", "compiler/index_form", "ir/errors"])
def test_all_of_a_public_module_is_public(module: str) -> None:
    home = f"tilewright.{module.replace('/', '.')}"
    body = ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8")).body
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    public = {name for name in defined if not name.startswith("_")}
    assert public == {name for name, where in typed_names().items() if where == home}


@pytest.mark.parametrize("name", sorted(typed_names()))
def test_public_name_resolves(name: str) -> None:
    assert getattr(tilewright, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    said = "module 'tilewright' has no attribute 'kernle'"
    with pytest.raises(AttributeError, match=said) as caught:
        tilewright.kernle  # type: ignore[attr-defined]  # noqa: B018
    # Of which Python itself makes "Did you mean: 'kernel'?".
    assert (caught.value.name, caught.value.obj) == ("kernle", tilewright)


def test_import_is_light() -> None:
    """No clock here: the time is in what gets imported, and that can be named exactly."""
    loaded = in_fresh_python(
        "import sys, json, numpy; before = set(sys.modules); import tilewright;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert loaded == ["tilewright"]


@pytest.mark.parametrize("name", ["f32", "ShapeError", "sigmoid", "kernel"])
def test_first_use_of_a_name_imports_no_back_end(name: str) -> None:
    """Declaring a kernel must not cost what compiling one does."""
    loaded = in_fresh_python(
        f"import sys, json, tilewright; tilewright.{name};"
        "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    assert isinstance(loaded, list)
    heavy = {"llvmlite", "wgpu", "moderngl", "wasmtime", "playwright", "rich", "click", "scipy"}
    assert not heavy & set(loaded)


def test_version_is_one_string() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", tilewright.__version__)
    assert f"## [{tilewright.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
