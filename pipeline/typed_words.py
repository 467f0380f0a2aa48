"""Words as a person types them, made ready for Hydra's grammar."""

import re
from collections.abc import Collection, Sequence

from pipeline.features import spelt_out

_NUMBER_LIKE = re.compile(r"\d[\w.]*")

# In quotes, because an id such as 12345678 or 1e5 is no number.
_START_FROM = r'hydra.sweeper.start_from="\1"'

# Groups of a sweep's settings whose keys are anybody's; Hydra wants a sign that they are meant.
_FREE_KEYS = r"^(hydra\.sweeper\.(objectives|repeat|params)[.=])"

NETWORK = "model@model.network"
"""How Hydra calls the choice of the network inside a model; people type `network=`."""


def in_full(words: Sequence[str]) -> list[str]:
    """`network=resnet18`, `features=run:1a2b3c4d` and a sweep's `from=latest` as Hydra calls them.

    Args:
        words: As a person types them.
    """
    short = {"^network=": f"{NETWORK}=", "^from=(.*)$": _START_FROM, _FREE_KEYS: r"++\1"}
    named = list(words)
    for pattern, full in short.items():
        named = [re.sub(pattern, full, word) for word in named]
    return [full for word in named for full in spelt_out(word)]


def with_quotes(word: str, *, texts: Collection[str]) -> str:
    """A name or path that Hydra cannot read as it stands, in quotes: `identity=Łukasz`, `input=O'Brien`.

    Args:
        word: As typed.
        texts: Keys whose values are texts.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, _, value = word.partition("=")
    if key not in texts:
        return word
    try:
        parsed = OverridesParser.create().parse_override(word)
    except HydraException:
        parsed = None
    # A comma with a blank behind it is part of a sentence, and stands between no values.
    is_sentence = parsed is not None and parsed.is_sweep_override() and ", " in value
    return '{}="{}"'.format(key, value.replace('"', '\\"')) if parsed is None or is_sentence else word


def with_quotes_inside(word: str, *, lists: Collection[str]) -> str:
    """Each text of a list in quotes: `runs=[12345678,1e567890,my file.ckpt]` holds no numbers.

    Args:
        word: As typed.
        lists: Keys whose values are lists of texts.
    """
    key, _, value = word.partition("=")
    texts = [text.strip() for text in value[1:-1].split(",")]
    is_list = value.startswith("[") and value.endswith("]") and not re.search(r"""[\[\]'"]""", value[1:-1])
    if key not in lists or not is_list:
        return word
    return "{}=[{}]".format(key, ",".join(f'"{text}"' for text in texts if text))


def text_settings(verb: str, of: str = "str") -> frozenset[str]:
    """Keys of a verb whose values are texts, or of another kind.

    Args:
        verb: Name of the command.
        of: What stands in the annotation of its `run`.
    """
    from pipeline.signatures import find_signature

    parameters = find_signature(f"pipeline.work.{verb}.run").parameters
    return frozenset(key for key, parameter in parameters.items() if of in parameter.annotation_text)


def overrides_last(words: list[str]) -> list[str]:
    """The same words with those for the configuration together: argparse refuses `a=1 --multirun b=2`."""
    return sorted(words, key=lambda word: re.match(r"~|[^-].*=", word) is not None)


def texts_as_typed(*, verb: str, overrides: list[str]) -> dict[str, str]:
    """Settings that are texts, as they were typed: the run id 12345678 is no number, nor is 1e5."""
    typed = dict(override.split("=", 1) for override in overrides if "=" in override)
    is_text = typed.keys() & text_settings(verb)
    # Texts in quotes are Hydra's affair, and null is none.
    return {key: typed[key] for key in is_text if _NUMBER_LIKE.fullmatch(typed[key])}
