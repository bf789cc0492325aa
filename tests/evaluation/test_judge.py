"""benchmarks/quality/judge.py: which photographs it takes, and what it holds them to."""

from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.quality import judge, sets


def interval(mean, wide=0.0):
    return {"mean": mean, "low": mean - wide, "high": mean + wide}


def test_a_half_is_that_of_sets(tmp_path):
    names = [f"{group}/{number}.png" for group in ("animals", "people") for number in range(20)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def chosen(half, every, first=0):
        asked = Namespace(half=half, every=every, first=first, photos=tmp_path, held_out_of=None, held_out=None, names=None)
        return [names[place] for place in judge.chosen(asked, names)]

    for first in range(3):
        final = [truth.relative_to(tmp_path).as_posix() for truth, *_ in sets.pairs(str(tmp_path), "final", 3, first)]
        assert chosen("final", 3, first) == final and 3 < len(final) < 14
    assert sorted(chosen("choosing", 1) + chosen("final", 1)) == sorted(names)


def test_gains_are_to_the_grey_picture():
    """Rows: the network's values, then those of grey."""
    rows = [{"psnr": np.array([24.0, 22.0]), "delta_e": np.array([9.0, 11.0 + more])} for more in (0, 1)]
    table = judge.Judge.tables(SimpleNamespace(rows=rows), np.array([0, 1]), ("people", "scenery"))
    assert table["network"]["all"]["psnr_gain"]["mean"] == 2 and table["network"]["all"]["delta_e_gain"]["mean"] == 2.5
    assert table["network"]["scenery"]["delta_e_gain"]["mean"] == 3 and "psnr_gain" not in table["grey"]["all"]


def test_groups_are_to_reach_two_thirds_of_what_all_are_to_gain():
    of = {"psnr_gain": interval(1.2), "delta_e_gain": interval(1.2), "lpips_of_grey": interval(0.85)}
    told = judge.verdicts({"all": of, "people": of, "other": of}, {}, "unseen")
    assert not any(one["met"] for one in told["all"].values()) and "other" not in told
    assert [round(told["people"][name]["bounds"][end], 4) for name, end in zip(of, (0, 0, 1), strict=True)] == [
        1,
        1.3333,
        0.8667,
    ]
    assert [told["people"][name]["met"] for name in of] == [True, False, True]


def test_aims_of_vividness_of_plates_and_of_skin():
    table = {"all": {"psnr_gain": interval(2.0, 0.3), "colourfulness_ratio": interval(0.71, 0.02)}}
    skins = {name: {"error": interval(10.5)} for name in ("all", "dark")}
    told = judge.verdicts(table, skins, "unseen")
    assert told["all"]["psnr_gain"]["surely"]
    assert told["all"]["colourfulness_ratio"]["met"] and not told["all"]["colourfulness_ratio"]["surely"]
    assert not told["skin, all"]["error"]["met"] and told["skin, dark"]["error"]["met"]
    assert list(judge.verdicts(table, skins, "plates")["all"]) == ["psnr_gain"]
    assert not judge.verdicts(table, skins, "plates")["all"]["psnr_gain"]["met"]


@pytest.mark.parametrize(
    ("bounds", "words"), [((1.5, None), "at least 1.5"), ((None, 0.8), "at most 0.8"), ((0.7, 1.05), "0.7 to 1.05")]
)
def test_bounds_are_told_in_words(capsys, bounds, words):
    rows = {"network": {"all": {"pictures": 1}}, "grey": {"all": {"pictures": 1}}}
    judge.show({"rows": rows, "aims": {"all": {"psnr_gain": judge.verdict(interval(1.0), *bounds)}}, "skin": {}})
    assert f"| {words} | 1.00 [1.00, 1.00] |" in capsys.readouterr().out
