"""tools/compare_vllm.py: `minicpm` gives a real vLLM's answers about the same images, on a small random snapshot."""

from typing import Any

import pytest

from helpers import ROOT

VLLM = ROOT / ".venvvllm" / "bin" / "vllm"

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not VLLM.exists(), reason="make vllm installs it"),
]


@pytest.fixture(scope="module", params=["4.6", "4.7"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the comparison finds."""
    from compare_vllm import compare, make, serving  # noqa: PLC0415 - needs torch

    folder = make(tmp_path_factory.mktemp("vllm") / "snapshot", request.param)
    with serving(VLLM, folder) as endpoint:
        return compare(folder, endpoint, "bf16")


def test_a_prompt_has_as_many_tokens_in_vllm_its_images_numbered_alike(found: dict[str, Any]) -> None:
    assert found["tokens, minicpm"] == found["tokens, vLLM"] > 900


def test_vllm_puts_24_candidates_in_the_same_order_and_differs_by_3_percent_of_their_spread(
    found: dict[str, Any],
) -> None:
    assert found["spread"] >= 2
    assert found["rank correlation"] >= 0.99
    assert found["largest difference, of the spread"] <= 0.03
    assert found["largest difference of the answer mass, relative"] <= 0.05


def test_swapping_two_images_changes_both_alike(found: dict[str, Any]) -> None:
    assert found["median change by a swap, minicpm"] > 5 * found["batch less single, minicpm"]
    own, other = (found[f"median change by a swap, {name}"] for name in ("minicpm", "vLLM"))
    assert other == pytest.approx(own, abs=0.01 * found["spread"])
    assert found["correlation of these changes"] >= 0.9


def test_a_candidate_in_a_batch_is_answered_as_alone(found: dict[str, Any]) -> None:
    assert found["batch less single, minicpm"] <= 1e-4
