"""Find listed files on disk although copies of the data set spell their names differently.

Copies of a dataset differ from its lists in case (``HandStandPushups``, ``.AVI``), in the Unicode
form of accents (a disk written by macOS holds NFD, lists hold NFC) and in the container that
clips were transcoded to. Files found by such a rule are logged; two files that match one name are
an error.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from threetconv.data.adapters.disk import fault, refuse, scan
from threetconv.data.table import VIDEO_SUFFIXES, few, nfc
from threetconv.errors import InputError

__all__ = ["Listing", "class_folders", "find_folder", "locate", "same_name", "tell"]

log = logging.getLogger(__name__)


def same_name(name: str) -> str:
    """A key that is equal for names that differ in case or Unicode form only."""
    # NFC again, as case folding may decompose characters
    return nfc(nfc(name).casefold())


class Listing:
    """The files, or the folders, directly in a folder; hidden ones are left out.

    A link to nothing, or in a circle, may stand for either; asking for it by name is an error.

    Attributes:
        folder: the folder.
        names: names on disk.
        faults: those of them that cannot be looked at -> why.
        respelled: listed name -> name on disk, where case or Unicode form differed.
        transcoded: listed name -> name on disk, where the video suffix differed.
    """

    def __init__(self, folder: Path, *, folders: bool = False) -> None:
        self.folder, self.faults = folder, dict[str, str]()
        self.names: set[str] = set()
        for entry in scan(folder):
            why = fault(entry.path) if entry.is_symlink() else ""
            if why:
                self.faults[entry.name] = why
            # a dead link may have been either, so it is kept under its name until asked for
            if why or entry.is_dir() == folders:
                self.names.add(entry.name)
        self.respelled: dict[str, str] = {}
        self.transcoded: dict[str, str] = {}
        self._same: dict[str, list[str]] = {}
        self._stems: dict[str, list[str]] = {}
        for name in sorted(self.names):
            self._same.setdefault(same_name(name), []).append(name)
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in VIDEO_SUFFIXES:
                self._stems.setdefault(same_name(stem), []).append(name)

    def find(self, name: str) -> Path | None:
        """Where `name` is: as spelled, else the one entry that differs in case or Unicode form.

        Raises:
            InputError: several entries do, or it cannot be looked at.
        """
        if name in self.names:
            return self._place(name)
        # an exact match has come first: on a disk that respects case, two spellings may both exist
        found = self._only(name, self._same.get(same_name(name), []))
        if found is None:
            return None
        self.respelled[name] = found
        return self._place(found)

    def find_video(self, name: str) -> Path | None:
        """As `find`, else the one video of the same stem with another video suffix."""
        path = self.find(name)
        if path is not None:
            return path
        found = self._only(name, self._stems.get(same_name(os.path.splitext(name)[0]), []))
        if found is None:
            return None
        self.transcoded[name] = found
        return self._place(found)

    def has_video(self) -> bool:
        """Whether a video is in the folder."""
        return bool(self._stems)

    def _place(self, name: str) -> Path:
        if name in self.faults:
            # all faults of the folder, not this one alone: they mostly have one cause
            refuse(self.folder, self.faults)
        return self.folder / name

    def _only(self, name: str, found: list[str]) -> str | None:
        if len(found) > 1:
            raise InputError(
                self.folder,
                found=f"{' and '.join(map(repr, found))}, any of which may be the listed {name!r}",
                expected="one entry of that name",
                remedy=f"rename the right one to {name!r}, or remove the other",
            )
        return found[0] if found else None


def find_folder(places: Iterable[Path]) -> Path | None:
    """The first of the places that is a folder, whatever the case of its last part."""
    for place in places:
        if not fault(place) and place.is_dir():
            return place
        if place.parent.is_dir():
            # another case, such as ucf-101 for UCF-101
            found = Listing(place.parent, folders=True).find(place.name)
            if found is not None:
                return found
    return None


def class_folders(root: Path, labels: Sequence[str], *, files: str) -> dict[str, Listing]:
    """Label -> the files in its folder below `root`; each must hold a video.

    Args:
        root: the folder of the class folders.
        labels: names of the folders, up to case and Unicode form.
        files: what the videos are called, for messages.

    Raises:
        InputError: a folder is missing, holds no video or answers to two names.
    """
    places = Listing(root, folders=True)
    found = {label: places.find(label) for label in labels}
    missing = [label for label, place in found.items() if place is None]
    if missing:
        raise InputError(
            root,
            found=f"{len(missing)} of {len(labels)} class folders are missing: {few(missing)}",
            expected="one folder for every class",
            remedy="extract the whole archive, or name the classes to use with classes=",
        )
    tell(root, [places])
    folders = {label: Listing(place) for label, place in found.items() if place is not None}
    for label, listing in folders.items():
        if not listing.has_video():
            raise InputError(
                listing.folder,
                found="a class folder without a video",
                expected=f"files {files}",
                remedy=f"extract the archive again, or leave {label} out with classes=",
            )
    return folders


def locate(
    entries: Iterable[tuple[str, str]],
    folders: Mapping[str, Listing],
    *,
    where: Path,
    source: str,
) -> list[tuple[str, str, str]]:
    """Listed videos as (clip_id, path, label), the id being the listed name without its suffix.

    Args:
        entries: (label, file name); labels that are not in `folders` are passed over.
        folders: label -> the files in its folder.
        where: the folder of the class folders, for messages.
        source: name of the list, for messages.

    Raises:
        InputError: a listed video is not on disk.
    """
    chosen = [(label, file) for label, file in entries if label in folders]
    found = [(label, file, folders[label].find_video(file)) for label, file in chosen]
    missing = [f"{label}/{file}" for label, file, path in found if path is None]
    if missing:
        raise InputError(
            where,
            found=f"{len(missing)} of {len(chosen)} clips listed in {source} are missing: "
            f"{few(missing)}",
            expected="every listed clip on disk",
            remedy="extract all parts of the archive, or take these clips out of the list",
        )
    # the id is the listed name, so that it does not depend on how a copy spells its files
    return [(Path(file).stem, str(path), label) for label, file, path in found]


def tell(where: Path, listings: Iterable[Listing]) -> None:
    """Say in the log how many listed names were found under another spelling or suffix."""
    respelled: dict[str, str] = {}
    transcoded: dict[str, str] = {}
    for listing in listings:
        respelled |= listing.respelled
        transcoded |= listing.transcoded
    for names, how in (
        (respelled, "in another case or Unicode form"),
        (transcoded, "with another video suffix"),
    ):
        if names:
            listed, found = next(iter(names.items()))
            log.warning(
                "%s: %d listed names are on disk %s, as %r for %r; these files are used",
                where,
                len(names),
                how,
                found,
                listed,
            )
