"""The page and the tables of a comparison: whole, without a network, and safe whatever a value holds."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.bootstrap import Interval
from pipeline.comparing.contest import Contest, contest
from pipeline.comparing.files import write
from pipeline.comparing.folders import new_folder
from pipeline.comparing.report import Report, report
from pipeline.comparing.telling import next_commands
from pipeline.comparing.verdict import Paired, Verdict
from pipeline.errors import Mistake
from tests.pipeline.compared import board, made_run

NASTY = "</script><script>alert(1)</script> & \"quoted\" 'word'"
_EMPTY = {"meta", "br"}


class Tags(HTMLParser):
    """Fails where a tag is not closed; keeps what a table holds."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.ranks: list[str | None] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag == "td":
            self.ranks.append(dict(attributes).get("data-rank"))
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(4):
        made_run(
            tmp_path,
            number,
            model=f"model{number // 2}",
            seed=number % 2,
            measures={"test/top1": 0.9 + 0.01 * number, "val/top1": 0.9, "test/loss": 0.1 * number},
            history=(0.5, 0.6, 0.7 + 0.1 * number),
            config={"optimizer": {"lr": NASTY if number < 2 else "plain"}},
            parameters=1000 * (1 + number // 2),
        )
    return tmp_path


def report_of(root: Path, *, verdict: Verdict | None = None, **which: object) -> Report:
    found = board(root, **which)
    commands = next_commands(found, asked=["task_name=classification"], was_paired=False)
    return report(found, verdict=verdict, commands=commands, top=20)


def test_the_page_is_whole_and_needs_no_network(root: Path) -> None:
    page = write(report_of(root), new_folder(root=root, output=None))[0].read_text()
    tags = Tags()
    tags.feed(page)
    assert (
        tags.open == [] and tags.counts["tr"] == 3 and tags.counts["svg"] == 3 and tags.counts["script"] == 1
    )
    assert not re.search(r"(src|href)=\"?https?:|url\(http|@import", page)
    assert "prefers-color-scheme:dark" in page
    assert NASTY not in page and "&lt;script&gt;alert(1)" in page
    assert "0.9250 ± 0.0071" in page and "0.925" in {rank[:5] for rank in tags.ranks if rank}
    for text in (
        "val/top1 by epoch",
        "test/top1: mean ± deviation",
        "test/top1 over parameters of the network",
    ):
        assert text in page
    assert "currentColor" in page and "#22303c" not in page.partition("</style>")[2]
    assert "make compare task=classification paired=true" in page


def test_two_runs_on_the_same_images_have_intervals(root: Path) -> None:
    names = [f"{number:08x}" for number in (0, 2)]
    found = board(root, runs=names)
    ids = [group.first.run.run_id for group in found.groups]
    ends = [Interval(value=value, low=value - 0.05, high=value + 0.05) for value in (0.92, 0.9)]
    one = Paired(
        name="test/top1", first=ends[0], second=ends[1], gain=Interval(value=0.02, low=0.01, high=0.03)
    )
    verdict = Verdict(runs=(ids[0], ids[1]), images=359, draws=1000, measures=[one], discordant=None)
    made = report(found, verdict=verdict, commands={}, top=20)
    assert "by 2.0 points" in made.findings[0] and "several seeds each would tell" in made.findings[1]
    assert "test/top1: 95% intervals" in "".join(made.drawings)


def test_trainings_are_compared_beside(root: Path) -> None:
    made = report_of(root)
    assert made.seeds is not None and made.seeds.counts == (2, 2)
    assert "in the mean of 2 and 2 trainings" in made.findings[0]


def test_the_tables_hold_every_row_and_measure(root: Path) -> None:
    made_run(root, 9, model="model9", measures={"val/top1": 0.5, "test/top1": None})
    paths = write(report_of(root), new_folder(root=root, output=None))
    assert [path.name for path in paths] == ["compare.html", "leaderboard.csv", "compare.json"]
    with paths[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["count"] for row in rows] == ["2", "2", "1"]
    assert float(rows[0]["test/top1"]) == pytest.approx(0.925)
    assert float(rows[0]["test/top1 deviation"]) == pytest.approx(0.00707, abs=1e-5)
    assert rows[0]["optimizer.lr"] == "plain" and rows[1]["optimizer.lr"] == NASTY
    found = json.loads(paths[2].read_text(), parse_constant=pytest.fail)
    assert found["better"] == "max" and len(found["rows"]) == 3
    assert found["rows"][0]["measures"]["test/top1"]["n"] == 2
    assert found["rows"][2]["measures"]["val/top1"]["deviation"] is None
    assert found["between_seeds"]["counts"] == [2, 2] and found["paired"] is None


def test_a_folder_of_its_own_or_the_named_one(root: Path, tmp_path: Path) -> None:
    first, second = (new_folder(root=root, output=None) for _ in range(2))
    assert first != second and first.parent == root / "outputs" / "comparisons"
    assert first.stat().st_mode & 0o044  # others may read it
    named = new_folder(root=root, output=str(tmp_path / "a" / "b"))
    assert named == tmp_path / "a" / "b" and named.is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(Mistake, match="is a file"):
        new_folder(root=root, output=str(tmp_path / "file"))


def test_a_single_row_has_a_page_too(tmp_path: Path) -> None:
    made_run(tmp_path, 0, measures={"val/loss": 0.5}, config={"task": {"monitor": "val/loss", "mode": "min"}})
    made = report_of(tmp_path)
    assert made.findings == [] and len(made.drawings) == 1
    assert "less is better" in write(made, new_folder(root=tmp_path, output=None))[0].read_text()


def checkpoint(root: Path, number: int) -> None:
    (folder,) = root.glob(f"outputs/*/*/*_{number:08x}")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"")


def contested(
    root: Path, *, named: bool, paired: bool | None, typed: bool = False, **which: object
) -> object:
    return contest(board(root, **which), named=named, paired=paired, typed=typed)


def test_two_named_runs_are_measured_and_the_best_two_rows_where_asked(root: Path) -> None:
    names = [f"{number:08x}" for number in (0, 3)]
    both = {"named": True, "runs": names}
    assert "has kept no checkpoint" in str(contested(root, paired=None, **both))
    with pytest.raises(Mistake, match="paired=true: run 00000003 has kept no checkpoint"):
        contested(root, paired=True, **both)
    for number in range(4):
        checkpoint(root, number)
    found = contested(root, paired=None, **both)
    assert isinstance(found, Contest) and found.first.name == "00000003"
    assert found.names == ["test/top1", "test/loss"]
    assert contested(root, named=False, paired=None) is None
    assert contested(root, paired=False, **both) is None
    assert isinstance(contested(root, named=False, paired=True), Contest)
    with pytest.raises(Mistake, match="is a single row"):
        contested(root, named=False, paired=True, task_name=_single(root))
    made_run(root, 9, model="model9", measures={"test/top1": 1.0}, data={"digest": "x"})
    made_run(root, 10, model="model8", measures={"test/top1": 1.0}, data={"digest": "y"})
    checkpoint(root, 9)
    checkpoint(root, 10)
    with pytest.raises(Mistake, match="cannot be measured on the same images: .*digest"):
        contested(root, named=False, paired=True, task_name="classification")


def _single(root: Path) -> str:
    made_run(root, 20, task="detection", measures={"test/map": 0.5}, config={"measures": {"map": "max"}})
    return "detection"


def test_of_average_precisions_the_first_is_enough(tmp_path: Path) -> None:
    config = {"measures": {"map": "max", "map_50": "max"}, "task": {"monitor": "val/map", "mode": "max"}}
    for number in range(2):
        values = {"test/map": 0.5 + 0.1 * number, "test/map_50": 0.5, "val/map": 0.1}
        made_run(tmp_path, number, lr=number, measures=values, config=config)
        checkpoint(tmp_path, number)
    for typed, names in ((False, ["test/map"]), (True, ["test/map", "test/map_50"])):
        found = contested(tmp_path, named=False, paired=True, typed=typed)
        assert isinstance(found, Contest) and list(found.names) == names
