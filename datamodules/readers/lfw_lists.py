"""Lists of pairs of Labeled Faces in the Wild (http://vis-www.cs.umass.edu/lfw/, README).

A list begins with the number of folds, left out where it is one, and the number of matching pairs in each,
behind which as many others follow. ``Name 1 4`` are two pictures of one person, ``Name 1 Other_Name 2`` of
two people.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from datamodules.readers.listing import OnError
from datamodules.readers.pair_lists import ListedPair, impossible, once, repeated
from datamodules.readers.problems import BrokenRecords, Place, Problem

WHERE = "http://vis-www.cs.umass.edu/lfw/"
_GET = f"get it from {WHERE}, or set data.pairs_dir to the folder that has it"
_WAY_OUT = (
    "correct them, or get the list anew (data.on_error=skip leaves out only pairs that are listed before, "
    "and pairs whose pictures are not there)"
)
_MATCH, _OTHER = "Name 1 4, for two pictures of one person", "Name 1 Other_Name 2, for two people"


def read_lfw_list(
    path: Path, *, pictures: Mapping[str, str], on_error: OnError, missing: OnError
) -> list[ListedPair]:
    """Read a list of pairs; those of a list with one fold have none.

    Args:
        path: The file.
        pictures: Path of each picture by its name without ending, such as ``Aaron_Peirsol_0001``.
        on_error: With ``skip`` pairs that are listed before in their fold are left out.
        missing: With ``skip`` pairs whose pictures are not there are left out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If lines are wrong, or more or fewer than the first one says (`BrokenRecords`).
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} ({path.resolve()}) is no file; {_GET}")
    lines = [line.split() for line in path.read_text(encoding="utf-8-sig").rstrip().split("\n")]
    folds, each = _head(path, lines)
    pairs: list[ListedPair] = []
    wrong: list[Problem] = []
    spare: list[Problem] = []
    for number, words in enumerate(lines[1:]):
        place = Place(str(path), number + 2, "")
        fold, within = divmod(number, 2 * each)
        texts = _wrong_words(words, is_match=within < each)
        wrong += [Problem(place, text) for text in texts]
        names = [] if texts else _names(words)
        absent = [name for name in names if name not in pictures]
        if missing == "raise":
            spare += [Problem(place, f"there is no picture {name} in data.data_dir") for name in absent]
        if names and not absent:
            first, second = (pictures[name] for name in names)
            own = fold if folds > 1 else -1
            pairs.append(ListedPair(place, first, second, same=within < each, split="", fold=own))
    if on_error == "skip":
        pairs = once(pairs, where=path)
    wrong += impossible(pairs)
    spare += repeated(pairs)
    if wrong or spare:
        raise BrokenRecords([*wrong, *spare], title=str(path), way_out=_WAY_OUT, skip_helps=not wrong)
    return pairs


def _head(path: Path, lines: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Number of folds and of pairs of each kind in one.

    Raises:
        ValueError: If the first line does not say them, or the number of lines is another.
    """
    words = lines[0]
    numbers = [int(word) for word in words if word.isdecimal()]
    if len(numbers) != len(words) or len(words) not in (1, 2) or min(numbers) < 1:
        raise ValueError(
            f"{path}:1: {' '.join(words)!r} must be the number of folds and that of matching pairs in each, "
            "such as 10 300, or that of matching pairs alone"
        )
    folds, each = numbers if len(numbers) == 2 else (1, *numbers)
    expected, found = 2 * each * folds, len(lines) - 1
    if found != expected:
        # Which kind a line must be follows from its number, so that the others cannot be judged.
        raise ValueError(
            f"{path}:1: {folds} x ({each} + {each}) pairs are {expected} lines, but {found} follow; correct "
            "the first line, or get the list anew"
        )
    return folds, each


def _wrong_words(words: Sequence[str], *, is_match: bool) -> list[str]:
    """What is wrong with the words of a line."""
    if len(words) != (3 if is_match else 4):
        return [f"has {len(words)} words, but {_MATCH if is_match else _OTHER}, is expected here"]
    wrong = [word for word in (words[1:] if is_match else words[1::2]) if not word.isdecimal()]
    if wrong:
        return [f"{word!r} is no number of a picture" for word in wrong]
    if not is_match and words[0] == words[2]:
        return [f"names {words[0]} twice, but {_OTHER}, is expected here"]
    return []


def _names(words: Sequence[str]) -> list[str]:
    """Names of both pictures, without ending."""
    person, number, *other = words
    second = (person, *other) if len(other) == 1 else other
    return [f"{name}_{int(count):04d}" for name, count in ((person, number), second)]
