"""`jupyter train <verb>`: the functions of the API from a shell."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.config.commands import VERBS as COMMANDS
from jupyter_train.config.commands import parse_arguments
from jupyter_train.config.retrain import parse_parameter, retrain_options
from jupyter_train.config.synonyms import VERB_SYNONYMS
from jupyter_train.exceptions import JupyterTrainError, NotebookError, RepeatFailedError, StoreError, UsageError

if TYPE_CHECKING:
    from jupyter_train.handle import Run

#: Exit codes that a scheduler can act on.
EXIT_CODES = {"ok": 0, "started, and failed": 1, "cannot be run as typed": 2, "store": 3, "interrupted": 130}

#: A negative number, which is a value and no option.
_NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$|-(inf|nan|infinity)$", re.IGNORECASE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if hint := _verb_hint(words):
        return _fail(hint, EXIT_CODES["cannot be run as typed"])
    options = _parser().parse_args(words)
    try:
        return int(options.work(options) or 0)
    except RepeatFailedError as err:
        return _fail(err, EXIT_CODES["started, and failed"])
    except StoreError as err:
        return _fail(err, EXIT_CODES["store"])
    except (UsageError, NotebookError, JupyterTrainError) as err:
        return _fail(err, EXIT_CODES["cannot be run as typed"])
    except KeyboardInterrupt as err:
        return _fail(str(err) or "interrupted", EXIT_CODES["interrupted"])


def _verb_hint(words: list[str]) -> str:
    """What to type for another tool's verb, such as `runs delete`; empty for any other line."""
    known_verb = VERB_SYNONYMS.get(words[1].lower(), "") if words[:1] == ["runs"] and len(words) > 1 else ""
    if known_verb in ("", "attach"):
        return ""
    return f"`runs {words[1]}`: no such verb; write `jupyter train runs {' '.join([known_verb, *words[2:]])}`"


def _fail(err: object, code: int) -> int:
    print(f"jupyter train: {err}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jupyter train",
        description="Notebook-native training for PyTorch Lightning.",
        epilog="exit codes: " + ", ".join(f"{code} {meaning}" for meaning, code in EXIT_CODES.items()),
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    demo = verbs.add_parser("demo", help="train a model on handwritten digits, from a notebook, in under a minute")
    demo.add_argument("-o", "--output", default="jupyter-train-demo", help="folder for the notebook and its copies")
    demo.set_defaults(work=_demo)

    retrain = verbs.add_parser("retrain", help="repeat a notebook with papermill, recorded")
    retrain._negative_number_matcher = _NEGATIVE  # its own takes `-1e-3` for an option
    retrain.add_argument("notebook")
    retrain.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    for option in retrain_options():
        flags = [flag for flag in (option.short, option.flag) if flag]
        how: dict[str, Any] = {"dest": option.name, "default": option.default, "help": option.help}
        value = {"type": option.takes[0], "metavar": option.metavar or None}
        retrain.add_argument(*flags, **how, **({"action": "store_true"} if option.is_flag else value))
    retrain.set_defaults(work=_retrain)

    doctor = verbs.add_parser("doctor", help="check the machine, the run store and the run folders")
    doctor.add_argument("--fix", action="store_true", help="fix what can be fixed")
    doctor.add_argument("--adopt", default="", metavar="FOLDER", help="add a run folder to the run store again")
    doctor.add_argument("--trust", action="store_true", help="with --adopt: allow unpickling from that folder")
    doctor.add_argument("--full", action="store_true", help="check every run folder, however long it takes")
    doctor.set_defaults(work=_doctor)

    runs = verbs.add_parser("runs", help="list, show, compare, steer, note and remove runs")
    _add_runs_verbs(runs)
    return parser


def _add_runs_verbs(runs: argparse.ArgumentParser) -> None:
    verbs = runs.add_subparsers(dest="runs_verb", metavar="VERB")
    runs.set_defaults(work=_list, limit=50)
    listed = verbs.add_parser("list", help="the newest runs")
    listed.add_argument("-n", "--limit", type=int, default=50)
    listed.set_defaults(work=_list)
    table: list[tuple[str, str, dict[str, Any], Callable[[argparse.Namespace], int | None]]] = [
        ("show", "one run", {}, _show),
        ("rm", "delete runs and their files", {"nargs": "+"}, _remove),
    ]
    for name, summary, more, handler in table:
        verb = verbs.add_parser(name, help=summary)
        verb.add_argument("run", **more)
        verb.set_defaults(work=handler)
    compare = verbs.add_parser("compare", help="options that differ, and best values")
    compare.add_argument("run", nargs="+")
    compare.add_argument("-o", "--output", default="", help="also draw the curves: .svg or .png")
    compare.set_defaults(work=_compare)
    note = verbs.add_parser("note", help="keep a note with a run")
    note.add_argument("run")
    note.add_argument("text", nargs="+")
    note.set_defaults(work=_note)
    for declared in COMMANDS.values():
        if declared.name == "resume":
            continue  # added below: it also resumes a run that has ended
        command = verbs.add_parser(declared.name, help=declared.help)
        command.add_argument("run")
        command.set_defaults(work=_send, command=declared.name, argument=[])
        if declared.arguments:
            command.add_argument(
                "argument", nargs="+", help=" or ".join(f"{name}=VALUE" for name in declared.arguments)
            )
    resume = verbs.add_parser("resume", help="resume after a pause, or resume a run that has ended or died")
    resume.add_argument("run")
    resume.add_argument("option", nargs="*", help="OPTION=VALUE, such as epochs=30 or from=best")
    resume.set_defaults(work=_resume)
    verbs.add_parser("gc", help="remove what dead runs left behind").set_defaults(work=_collect_garbage)


def _retrain(options: argparse.Namespace) -> int:
    from jupyter_train.api.retrain import retrain

    parameters = {name: parse_parameter(text) for name, text in options.parameter}
    run = retrain(
        options.notebook, parameters, **{option.name: getattr(options, option.name) for option in retrain_options()}
    )
    _print_repeated_run(run)
    return 0


def _print_repeated_run(run: Run) -> None:
    print(f"{run.ref} {run.status}")
    for child in run.children:
        best = child.best
        shown = f"  best {best['metric']} {best['value']:.4g} (epoch {best['epoch']})" if best else ""
        print(f"  {child.ref} {child.status}{shown}")
    print(f"  notebook  {run.record.summary['output']}")


def _doctor(options: argparse.Namespace) -> int:
    from jupyter_train import doctor

    if options.adopt:
        record = doctor.adopt(options.adopt, options.trust)
        print(f"`{record.ref}` is in the run store again ({record.status}): `jupyter train runs show {record.ref}`")
        if not options.trust:
            print("nothing in its folder is unpickled or resumed, unless you add `--trust`")
        return 0
    if options.trust:
        raise UsageError("`--trust` needs its folder: `jupyter train doctor --adopt FOLDER --trust`")
    is_bad = False
    for finding in doctor.diagnose(limit_s=None if options.full else doctor.TIMEOUT_S):
        is_fixed = options.fix and finding.fix is not None
        if is_fixed:
            assert finding.fix is not None
            finding.fix()
        hint = "  (fixed)" if is_fixed else "  (`jupyter train doctor --fix`)" if finding.fix is not None else ""
        print(f"{finding.level:4}  {finding.message}{hint}")
        is_bad = is_bad or (finding.level is doctor.Level.BAD and not is_fixed)
    print("something is wrong" if is_bad else "all is well")
    return EXIT_CODES["store"] if is_bad else 0


def _demo(options: argparse.Namespace) -> int:
    from jupyter_train.api.retrain import retrain

    began = time.monotonic()
    folder = Path(options.output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    notebook = folder / "quickstart.ipynb"
    shutil.copyfile(quickstart(), notebook)
    print(f"repeating {notebook.name} on scikit-learn's handwritten digits …", file=sys.stderr)
    run = retrain(notebook, {}, folder / "quickstart-executed.ipynb", html=True)
    children = run.children
    accuracy = max((child.metrics["val_acc"].max() for child in children if "val_acc" in child.metrics), default=0.0)
    output = Path(run.record.summary["output"])
    print(f"validation accuracy  {accuracy:.3f}")
    refs = ", ".join(child.ref for child in children)
    print(f"run                  {refs}  (`jupyter train runs show {refs}`)")
    print(f"notebook             {output}")
    print(f"HTML                 {output.with_suffix('.html')}")
    print(f"duration             {time.monotonic() - began:.0f} s")
    return 0 if accuracy >= 0.95 else 1


def quickstart() -> Path:
    """The quickstart notebook: inside the installed package, or beside it in a source tree."""
    package = Path(__file__).parent
    candidates = (package / "notebooks" / "quickstart.ipynb", package.parent / "notebooks" / "quickstart.ipynb")
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise NotebookError(f"the quickstart notebook is missing; expected it at `{candidates[0]}`")


def _list(options: argparse.Namespace) -> None:
    from jupyter_train.api import runs

    print(runs.runs(options.limit))


def _show(options: argparse.Namespace) -> None:
    from jupyter_train.api import runs

    print(runs.get_run(options.run))


def _compare(options: argparse.Namespace) -> None:
    from jupyter_train.api import runs

    comparison = runs.compare(*options.run)
    print(comparison)
    if options.output:
        print(comparison.save_curves(options.output))


def _note(options: argparse.Namespace) -> None:
    from jupyter_train.api import runs

    runs.get_run(options.run).notes = " ".join(options.text)


def _remove(options: argparse.Namespace) -> None:
    from jupyter_train.api import runs

    print("removed " + ", ".join(runs.remove(*options.run)))


def _send(options: argparse.Namespace) -> None:
    from jupyter_train.api import runs

    arguments = parse_arguments(options.command, options.argument)
    print(runs.get_run(options.run).send(options.command, source="command line", **arguments))


def _resume(options: argparse.Namespace) -> None:
    from jupyter_train.api import runs

    result = runs.resume_as_typed(options.run, options.option)
    print(
        result
        if isinstance(result, str)
        else f"{result.ref} resumes in its own process (attempt {result.record.attempt})"
    )


def _collect_garbage(_options: argparse.Namespace) -> None:
    from jupyter_train.api import runs

    freed = runs.collect_garbage()
    print(f"{freed['files']} leftover files ({freed['bytes']:,} bytes) and {freed['rows']} empty rows removed")


if __name__ == "__main__":
    sys.exit(main())
