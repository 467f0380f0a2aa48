"""Which runs paint pictures, and whether they must be shown a style; read as text, without torch."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import Mistake
from pipeline.fitting import HOMES
from pipeline.image_files import is_image
from pipeline.runs import WHOLE_ID, Run, all_runs, find_run
from pipeline.sources import Definition, find_module, resolve

TASK = "style_transfer"

_ONE_PICTURE, _NEEDS_STYLE = "is_one_picture", "needs_style"  # of a Stylizer


def needs_style(config: Mapping[str, Any]) -> bool:
    """Whether the model of a configuration must be shown a style before it paints."""
    return _says(config, _NEEDS_STYLE)


def paints_others(config: Mapping[str, Any]) -> bool:
    """Whether the model of a configuration paints other pictures than those it was trained with."""
    target = str(config["model"]["_target_"])
    return target.startswith(f"{HOMES['model']}.{TASK}.") and not _says(config, _ONE_PICTURE)


def style_list(style: str | Sequence[str] | None) -> list[str]:
    """What a person typed as `style=`, as a list; empty for none."""
    if isinstance(style, str) and style.startswith("[") and style.endswith("]"):
        return [word.strip() for word in style[1:-1].split(",")]  # as it arrives with a name such as Łukasz
    return [style] if isinstance(style, str) else list(style or [])


def check_styles(styles: Sequence[str], *, blend: Sequence[float] | None) -> None:
    """Miss a style's file, or the weight of a style, before anything heavy is imported.

    Args:
        styles: Files, or names of embedded photographs.
        blend: Weight of each; None: all alike.

    Raises:
        Mistake: A file is not there, or there are not as many weights as styles.
    """
    for word in styles:
        if is_image(Path(word)) and not Path(word).expanduser().is_file():
            raise Mistake(
                f"style={word} is not there; give an image file, or the name of an embedded photograph"
            )
    if blend is not None and len(blend) != len(styles):
        raise Mistake(
            f"style_blend={list(blend)} has {len(blend)} weights, and style= {len(styles)} pictures; give as "
            "many weights as styles, or null to blend them alike"
        )
    if blend is not None and not (min(blend) >= 0 and sum(blend) > 0):
        raise Mistake(f"style_blend={list(blend)} must be at least 0 each, and one of them above 0")


def check_painter(*, root: Path, settings: Mapping[str, Any]) -> None:
    """Miss a style that a run needs, and refuse one that it cannot take; nothing to say of other tasks.

    A whole id may still be known to the MLflow server; that is looked up, as a checkpoint is read, later.

    Args:
        root: The project's root folder.
        settings: Of a verb with `run`, `checkpoint` and `task_name`, and maybe `style`.

    Raises:
        Mistake: No run is meant, it paints no other picture, or style and run do not go together.
    """
    if settings["checkpoint"] is not None or WHOLE_ID.fullmatch(settings["run"]):
        return
    run = find_run(root=root, name=settings["run"], task=settings["task_name"], trained=True)
    if run.task != TASK:
        return
    styles, name = style_list(settings.get("style")), run.run_id[:8]
    if not paints_others(run.config):
        raise Mistake(_is_one_picture(run, others=_painters(root)))
    if styles and not needs_style(run.config):
        raise Mistake(f"style={styles[0]}: run {name} learnt its style, and takes no other; leave style= out")
    if needs_style(run.config) and not styles:
        raise Mistake(
            f"run {name} paints in any style, and was shown none; give one: "
            f"make stylize run={name} input=FOLDER style=PICTURE"
        )


def _is_one_picture(run: Run, *, others: Sequence[Run]) -> str:
    way = "train a network that paints any picture with make train task=style_transfer model=fast_style"
    if others:
        way = f"run={others[-1].run_id[:8]} paints others"
    return (
        f"run {run.run_id[:8]} is one picture, figures/result.png in its folder, and paints no other; train "
        f"again with data.content= the other picture, or {way}"
    )


def _painters(root: Path) -> list[Run]:
    runs = all_runs(root=root, task=TASK)
    return [run for run in runs if (run.folder / "config.yaml").is_file() and paints_others(run.config)]


def _says(config: Mapping[str, Any], name: str) -> bool:
    """Whether the class that the model's builder returns has this attribute set to True."""
    module, _, builder = str(config["model"]["_target_"]).rpartition(".")
    source = find_module(module)
    function = source.bindings.get(builder) if source else None
    if source is None or not isinstance(function, ast.FunctionDef) or function.returns is None:
        return False
    found = resolve(source, function.returns)
    body = found.node.body if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef) else []
    return any(_is_true(statement, name) for statement in body)


def _is_true(statement: ast.stmt, name: str) -> bool:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=found)], value=ast.Constant(value=True))
            | ast.AnnAssign(target=ast.Name(id=found), value=ast.Constant(value=True))
        ):
            return found == name
    return False
