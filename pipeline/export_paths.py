"""Where an exported network goes, and what it must not write over."""

from pathlib import Path

from pipeline.errors import Mistake

ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}
"""Of the files, by format."""


def check_output(output: str | Path, *, format: str, overwrite: bool) -> Path:
    """The file that a network is exported to; nothing is made yet.

    Args:
        output: What a person typed as `output=`, or where it goes otherwise.
        format: `onnx` or `torch`.
        overwrite: Whether it may be there already.

    Raises:
        Mistake: The ending is that of another format, it is a folder, or it is there already.
    """
    path = Path(output).expanduser()
    if path.suffix != ENDINGS[format]:
        others = [f"or format={name}" for name, ending in ENDINGS.items() if ending == path.suffix]
        raise Mistake(
            " ".join(
                [f"output={output}: a file of format={format} ends in {ENDINGS[format]}; rename it", *others]
            )
        )
    for each in (path, facts_path(path)):
        if each.is_dir():
            raise Mistake(f"output={output}: {each} is a folder; give the name of a file")
        if each.exists() and not overwrite:
            raise Mistake(f"output={output}: {each} is there already; overwrite=true writes over it")
    return path


def facts_path(path: Path) -> Path:
    """The file beside an exported network that says what it is."""
    return path.with_name(f"{path.name}.json")
