"""Stores the encodings of people's images in a gallery, and forgets people."""

import hashlib
from pathlib import Path
from typing import Literal

from rich.markup import escape

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import EXIT_FAILURE, Mistake
from pipeline.panels import shown_path
from pipeline.remote_runs import find_or_fetch
from pipeline.validate import nearest
from pipeline.work.files import tell_broken
from pipeline.work.gallery import Gallery, joined, of_several, without
from pipeline.work.gallery_file import check_model, gallery_path, locked, read_gallery, write_gallery
from pipeline.work.people import People, find_people, named
from pipeline.work.verifying import Encoded, encode, load_verifier, model_id

_DIGITS = 32  # hexadecimal ones, of a file's digest


def run(
    *,
    composed: Composed,
    input: str | None = None,
    gallery: str | None = None,
    identity: str | None = None,
    remove: str | None = None,
    run: str = "latest",
    checkpoint: str | None = None,
    task_name: str | None = None,
    batch_size: int | None = None,
    num_workers: int = 0,
    accelerator: Literal["auto", "cpu", "gpu", "cuda"] = "auto",
) -> int:
    """Add people to a gallery, with a run's kept weights or a checkpoint file, or remove one.

    Args:
        composed: The whole configuration.
        input: A folder with a folder for each identity; with `identity` also a file, a folder or a glob.
        gallery: Parquet file, added to where it exists; None: the run's gallery.parquet.
        identity: Whom all images of `input` show.
        remove: Whom to forget; without `input`.
        run: `latest`, a run id, or the beginning of one.
        checkpoint: A checkpoint file instead of a run.
        task_name: The task whose latest run is meant; typed as `task=`.
        batch_size: Images at a time; None: as trained.
        num_workers: Processes that read images.
        accelerator: Lightning's name of the device; `cpu`, `gpu` or `auto`.

    Returns:
        0, or 1 where a file could not be read or a folder was empty.
    """
    if input is None:
        assert remove is not None, "the light half wants one of them"
        folder = _folder(composed.root, run=run, checkpoint=checkpoint, task=task_name, gallery=gallery)
        _forget(gallery_path(gallery, folder=folder), remove)
        return 0
    people = find_people(input, identity=identity)
    trained = load_verifier(root=composed.root, run=run, checkpoint=checkpoint, task=task_name)
    path, model = gallery_path(gallery, folder=trained.folder), model_id(trained.task)
    with locked(path):  # refused before hours of work, not after them
        _gallery_before(path, model=model, run_id=trained.run_id)
    encoded = encode(
        trained,
        list(people.images),
        batch_size=batch_size,
        num_workers=num_workers,
        accelerator=accelerator,
        doing="enrolling",
    )
    if encoded.files:
        _add(_new(encoded, people=people, model=model, run_id=trained.run_id), path)
    _tell_missing(encoded, people=people)
    return EXIT_FAILURE if encoded.broken or people.empty else 0


def _folder(root: Path, *, run: str, checkpoint: str | None, task: str | None, gallery: str | None) -> Path:
    """Where the gallery of a run or checkpoint lies; to forget somebody needs no network."""
    if gallery is not None:
        return Path()
    if checkpoint is not None:
        return Path(checkpoint).expanduser().resolve().parent
    return find_or_fetch(root=root, name=run, task=task).folder


def _forget(path: Path, identity: str) -> None:
    _removed(read_gallery(path), identity, path=path)  # refused before a lock is left beside nothing
    with locked(path):
        before = read_gallery(path)
        after = _removed(before, identity, path=path)
        write_gallery(after, path)
    console.print(
        f"forgot   {escape(identity)}, {len(before) - len(after)} of {len(before)} encodings; what make "
        "identify wrote stays as it is",
        soft_wrap=True,
    )
    _tell_gallery(after, path)


def _removed(gallery: Gallery, identity: str, *, path: Path) -> Gallery:
    """The gallery without somebody.

    Raises:
        Mistake: Nobody of this name is in it.
    """
    name = named(identity, key=f"remove={identity}")
    if name not in gallery.names:
        close = nearest(name, gallery.names)
        more = ", ..." if len(gallery.names) > 5 else ""
        known = f"did you mean '{close}'?" if close else f"there are: {', '.join(gallery.names[:5])}{more}"
        raise Mistake(f"remove={identity}: gallery={path} has nobody of this name; {known}")
    return without(gallery, name)


def _gallery_before(path: Path, *, model: str, run_id: str) -> Gallery | None:
    """What is there already; None where nothing is.

    Raises:
        Mistake: It is not to be added to.
    """
    if not path.exists():
        return None
    gallery = read_gallery(path)
    check_model(gallery, path, model=model, run_id=run_id)
    return gallery


def _new(encoded: Encoded, *, people: People, model: str, run_id: str) -> Gallery:
    return Gallery(
        model=model,
        run_id=run_id,
        identities=[people.images[file] for file in encoded.files],
        files=[str(file.resolve()) for file in encoded.files],
        contents=[_digest(file) for file in encoded.files],
        encodings=encoded.encodings,
    )


def _add(new: Gallery, path: Path) -> None:
    """Add to what is there by now, for another process may have added to it meanwhile."""
    with locked(path):
        before = _gallery_before(path, model=new.model, run_id=new.run_id) or new.only([])
        after = joined(before, new)
        write_gallery(after, path)
    console.print(f"encoded  {new} with run {new.run_id[:8]}, {len(after) - len(before)} of them new")
    _tell_gallery(after, path)
    for file, names in of_several(after, contents=new.contents).items():
        console.print(
            f"[yellow]enrolled as several[/yellow] {escape(file)}: {escape(', '.join(names))}; make enroll "
            "remove=NAME forgets one",
            soft_wrap=True,
        )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]


def _tell_gallery(gallery: Gallery, path: Path) -> None:
    console.print(
        f"gallery  {escape(shown_path(path))} ({gallery}, model {gallery.model})",
        soft_wrap=True,
    )


def _tell_missing(encoded: Encoded, *, people: People) -> None:
    tell_broken(encoded.broken)
    have_one = {people.images[file] for file in encoded.files}
    for name in sorted(set(people.images.values()) - have_one):
        console.print(
            f"[red]not enrolled[/red] {escape(name)}: none of the images could be read", soft_wrap=True
        )
    for name in people.empty:
        console.print(f"[red]not enrolled[/red] {escape(name)}: no images in this folder", soft_wrap=True)
