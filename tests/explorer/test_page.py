"""The page as text: complete, closed to the network, safe against its own words."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable

import pytest

from threetconv.errors import InputError
from threetconv.explorer.page import explorer, script
from threetconv.explorer.variant import Variant

Make = Callable[..., Variant]
MODULE = re.compile(r'<script type="module">(.*?)</script>', re.DOTALL)


def test_the_policy_allows_this_script_and_nothing_else(make: Make) -> None:
    page = explorer([make()], title="T")
    (code,) = MODULE.findall(page)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert f"script-src 'sha256-{digest}'" in policy[1]
    assert "connect-src" not in policy[1]  # falls back to 'none'


def test_nothing_is_fetched(make: Make) -> None:
    page = explorer([make()], title="T")
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a namespace, not an address
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)


def test_the_modules_are_joined() -> None:
    code = script()
    assert not re.search(r"^(import|export)\b", code, re.MULTILINE)
    names = re.findall(r"^(?:const|function|class) (\w+)", code, re.MULTILINE)
    assert len(names) == len(set(names))


def test_hostile_words_stay_words(make: Make) -> None:
    nasty = "</script><script>alert(1)</script>"
    variant = make(key=nasty, classes=[nasty], images=make().images.assign(label=nasty))
    page = explorer([variant], title="a < b & c")
    assert "<script>alert" not in page
    assert "<title>a &lt; b &amp; c</title>" in page
    index = re.search(r'id="index">(.*?)</script>', page, re.DOTALL)
    assert index
    assert json.loads(index[1])["variants"][0]["key"] == nasty


def test_same_input_same_page(make: Make) -> None:
    assert explorer([make()], title="T") == explorer([make()], title="T")


def test_unknown_numbers_are_left_out(make: Make) -> None:
    page = explorer([make(noise_floor=float("nan"), accuracy={"val": float("nan")})], title="T")
    index = re.search(r'id="index">(.*?)</script>', page, re.DOTALL)
    assert index
    head = json.loads(index[1])["variants"][0]
    assert (head["noise"], head["accuracy"]) == (None, {})


def test_runs_must_be_there_and_differ(make: Make) -> None:
    with pytest.raises(InputError, match="no run"):
        explorer([], title="T")
    with pytest.raises(InputError, match="run 'run-1' twice"):
        explorer([make(), make()], title="T")
