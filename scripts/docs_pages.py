"""MkDocs hook: makes the pages of the Python API from its docstrings, and those of the operators from docs/ops.json.

Docstrings have the sections that the package uses: Args, Returns, Raises, Examples, Attributes.
"""

import importlib
import inspect
import json
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Modules that have a page.
PAGES = [
    "megalith", "megalith.functional", "megalith.module", "megalith.module.init", "megalith.module.qat",
    "megalith.module.quantized", "megalith.optimizer", "megalith.autodiff", "megalith.jit", "megalith.data",
    "megalith.data.dataset", "megalith.data.transform", "megalith.random", "megalith.quantization", "megalith.traced_module",
    "megalith.amp", "megalith.serialization", "megalith.device", "megalith.utils.rnn", "megalith.utils.network",
    "megalith.utils.network_node", "megalith.utils.comp_graph_tools", "megalith.utils.profiler", "megalith.utils.module_stats", "megalith.hub", "megalith.compat",
]  # fmt: skip
SECTION = re.compile(r"^(Args|Arguments|Returns|Raises|Examples?|Attributes|Note|Notes|Yields):\s*$")


def public_names(module):
    """Names of classes and functions that a page shows."""
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    found = []
    for name in names:
        value = getattr(module, name, None)
        home = getattr(value, "__module__", None) or ""
        if (inspect.isclass(value) or inspect.isroutine(value)) and home.startswith("megalith"):
            found.append((name, value))
    return sorted(found, key=lambda item: (not inspect.isclass(item[1]), item[0].lower()))


def signature(value):
    """What stands after a name."""
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return "(…)"
    text = re.sub(r"<(class|function|object) ?'?([\w.]*)[^>]*>", r"\2", text)
    return re.sub(r"\b(?:megalith|typing|collections\.abc|numpy)\.(?:\w+\.)*(?=\w)", "", text).replace(
        "NoneType", "None"
    )


def prose(text):
    """A docstring's text as Markdown: roles as code, doubled backquotes as single ones."""
    text = re.sub(r":(?:class|func|meth|mod|attr):`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def documented(doc):
    """A docstring as Markdown."""
    lines, out, i = inspect.cleandoc(doc or "").splitlines(), [], 0
    while i < len(lines):
        match = SECTION.match(lines[i])
        if not match:
            if lines[i].lstrip().startswith(">>>"):
                block = []
                while i < len(lines) and lines[i].strip():
                    block.append(lines[i])
                    i += 1
                out += ["", "```pycon", *textwrap.dedent("\n".join(block)).splitlines(), "```", ""]
            else:
                out.append(prose(lines[i]))
                i += 1
            continue
        body, i = [], i + 1
        while i < len(lines) and (not lines[i].strip() or lines[i].startswith(" ")):
            body.append(lines[i])
            i += 1
        out += [
            "",
            f"**{match[1]}**",
            "",
            *section(match[1], textwrap.dedent("\n".join(body)).strip().splitlines()),
            "",
        ]
    return "\n".join(out).strip()


def section(title, lines):
    """The inside of a section."""
    if title.startswith("Example"):
        text = "\n".join(line.replace("  # doctest: +NORMALIZE_WHITESPACE", "") for line in lines)
        return ["```pycon", *text.splitlines(), "```"]
    if title in ("Returns", "Note", "Notes", "Yields"):
        return [prose(" ".join(line.strip() for line in lines))]
    items = []
    for line in lines:
        match = re.match(r"^([\w*`., ]+?)(?: \([^)]*\))?:(?: (.*))?$", line) if not line.startswith(" ") else None
        if match:
            items.append(f"- `{match[1].strip('`')}`: {match[2] or ''}")
        elif items:
            items[-1] += " " + line.strip()
        else:
            items.append(line)
    return [prose(item) for item in items]


def entry(name, value, level):
    """A class or function."""
    mark = "#" * level
    kind = "class " if inspect.isclass(value) else ""
    parts = [
        f"{mark} {kind}{name}",
        "",
        "```python",
        f"{name}{signature(value)}",
        "```",
        "",
        documented(inspect.getdoc(value)),
        "",
    ]
    if inspect.isclass(value):
        for member, one in vars(value).items():
            function = one.__func__ if isinstance(one, (classmethod, staticmethod)) else one
            if member.startswith("_") or not (inspect.isfunction(function) or isinstance(one, property)):
                continue
            if not inspect.getdoc(one):
                continue
            shown = member if isinstance(one, property) else f"{member}{signature(function)}"
            parts += [
                f"{mark}# {name}.{member}",
                "",
                "```python",
                shown,
                "```",
                "",
                documented(inspect.getdoc(one)),
                "",
            ]
    return "\n".join(parts)


def api_pages():
    """(path, text) of the API's pages."""
    index = ["# Python API", "", "Made from the docstrings; the examples are run by the tests. [What MegEngine has](../python-api.md)",
             "counts what is there of MegEngine's API.", "", "| module | what |", "| --- | --- |"]  # fmt: skip
    for module_name in PAGES:
        module = importlib.import_module(module_name)
        short = module_name.removeprefix("megalith.")
        page = short.removeprefix("utils.").replace(".", "-")
        first = (inspect.getdoc(module) or "").splitlines()[0]
        index.append(f"| [`{module_name}`]({page}.md) | {first} |")
        text = [f"# {module_name}", "", documented(inspect.getdoc(module)), ""]
        text += [entry(name, value, 2) for name, value in public_names(module)]
        yield f"api/{page}.md", "\n".join(text)
    yield "api/index.md", "\n".join(index) + "\n"


def op_pages():
    """(path, text) of the operators' pages."""
    ops = json.loads((ROOT / "docs/ops.json").read_text())["ops"]
    index = [
        "# Parameters of operators",
        "",
        "Made from the registry. [The table](../ops.md) tells kernels and file names.",
        "",
    ]
    for op in ops:
        name = op["name"]
        page = name.replace("::", "-")
        index.append(f"- [{name}]({page}.md): {op['doc']}")
        inputs = op["min_inputs"] if op["min_inputs"] == op["max_inputs"] else f"{op['min_inputs']} or more"
        text = [
            f"# {name}",
            "",
            op["doc"],
            "",
            f"- inputs: {inputs}",
            f"- gradient: {'yes' if op['has_gradient'] else 'no'}",
        ]
        if op["kernels"]:
            text.append(f"- kernels: {', '.join(dict.fromkeys(op['kernels']))}")
        if op.get("mge"):
            text.append(f"- stored in `.mge` as `{op['mge'].get('v1_name', name)}`")
        fields = (op.get("params") or {}).get("fields", [])
        if fields:
            text += [
                "",
                f"Parameters (table `{op['params']['table']}`):",
                "",
                "| name | type | default | what |",
                "| --- | --- | --- | --- |",
            ]
            for f in fields:
                values = f" One of {', '.join(f['values'])}." if f.get("values") else ""
                text.append(
                    f"| `{f['name']}` | {f['type']} | `{f['default']}` | {f['doc']}{values} |".replace("||", r"\|\|")
                )
        if name.isidentifier():
            text += ["", "From Python, without checks and conversions of `functional`:", "", "```python",
                     f"from megalith import _ops\n_ops.{name}(…)", "```"]  # fmt: skip
        yield f"op/{page}.md", "\n".join(text) + "\n"
    yield "op/index.md", "\n".join(index) + "\n"


def decisions():
    """The menu of docs/decisions: title and page of each."""
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    return [{page.read_text().splitlines()[0].lstrip("# "): f"decisions/{page.name}"} for page in pages]


def on_config(config):
    """Puts the decisions into the menu."""
    config["nav"].append({"Decisions": decisions()})
    return config


def on_files(files, config):
    """Adds the pages that are made."""
    from mkdocs.structure.files import File

    for path, text in (*api_pages(), *op_pages()):
        files.append(File.generated(config, path, content=text))
    return files


if __name__ == "__main__":  # what the pages would be, to look at
    for path, text in (*api_pages(), *op_pages()):
        if len(sys.argv) < 2 or sys.argv[1] in path:
            print(f"=== {path}\n{text}")
