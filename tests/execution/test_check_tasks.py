"""30 programming tasks with hidden tests, answered rightly on the k-th try: nothing wrong is handed over as passed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.front import environment, front
from tests.vendors import vendor_server

# name | arguments | right | wrong | hidden test
_TASKS = """
add|a, b|a + b|a - b|add(2, 3) == 5
triple|x|x * 3|x ** 3|triple(4) == 12
is_even|n|n % 2 == 0|n % 2 == 1|is_even(4) and not is_even(7)
reverse|s|s[::-1]|s|reverse("abc") == "cba"
vowels|s|sum(c in "aeiou" for c in s.lower())|sum(c in "aeiou" for c in s)|vowels("AbE") == 2
last|xs|xs[-1]|xs[0]|last([1, 2, 3]) == 3
unique|xs|list(dict.fromkeys(xs))|list(xs)|unique([1, 1, 2]) == [1, 2]
clamp|x, lo, hi|max(lo, min(x, hi))|min(lo, max(x, hi))|clamp(5, 0, 3) == 3 and clamp(-1, 0, 3) == 0
flatten|xss|[x for xs in xss for x in xs]|xss|flatten([[1], [2]]) == [1, 2]
palindrome|s|s == s[::-1]|s[0] == s[-1]|palindrome("aba") and not palindrome("abca")
words|s|len(s.split())|s.count(" ") + 1|words("a  b") == 2
squares|n|[i * i for i in range(1, n + 1)]|[i * i for i in range(n)]|squares(3) == [1, 4, 9]
second|xs|sorted(set(xs))[-2]|sorted(xs)[-2]|second([3, 3, 1]) == 1
initials|s|"".join(w[0].upper() for w in s.split())|s[:2].upper()|initials("ada king") == "AK"
digits|n|sum(int(d) for d in str(abs(n)))|sum(int(d) for d in str(n) if d > "1")|digits(-121) == 4
factorial|n|1 if n < 2 else n * factorial(n - 1)|n * (n - 1)|factorial(5) == 120
gcd|a, b|a if b == 0 else gcd(b, a % b)|min(a, b)|gcd(12, 18) == 6
fibonacci|n|n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)|n * 2|fibonacci(10) == 55
invert|d|{v: k for k, v in d.items()}|dict(d)|invert({"a": 1}) == {1: "a"}
chunks|xs, n|[xs[i : i + n] for i in range(0, len(xs), n)]|[xs[:n], xs[n:]]|chunks([1, 2, 3], 1) == [[1], [2], [3]]
mean|xs|sum(xs) / len(xs)|sum(xs) // len(xs)|mean([1, 2]) == 1.5
transpose|m|[list(r) for r in zip(*m)]|m[::-1]|transpose([[1, 2], [3, 4]]) == [[1, 3], [2, 4]]
leap|y|y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)|y % 4 == 0|leap(2000) and not leap(1900)
caesar|s|"".join(chr((ord(c) - 96) % 26 + 97) for c in s)|"".join(chr(ord(c) + 1) for c in s)|caesar("az") == "ba"
common|a, b|sorted(set(a) & set(b))|sorted(set(a).union(b))|common([1, 2], [2, 3]) == [2]
product|xs|__import__("math").prod(xs)|sum(xs)|product([2, 3, 4]) == 24
binary|n|format(n, "b")|str(n)|binary(5) == "101"
longest|ws|max(ws, key=len)|max(ws)|longest(["z", "abc"]) == "abc"
rotate|xs, k|xs[k % len(xs) :] + xs[: k % len(xs)]|xs[k:] + xs[:k]|rotate([1, 2, 3], 4) == [2, 3, 1]
anagram|a, b|sorted(a) == sorted(b)|set(a) == set(b)|anagram("aab", "aba") and not anagram("aab", "abb")
"""
_RUN = "import pathlib,sys\ncode = pathlib.Path(sys.argv[1]).read_text()\nspace = {}\nexec(code, space)\n"
_MAX_TRY = 6
_NEVER = 5
"""Each fifth task is never answered rightly."""


async def test_wrong_answers_never_pass_and_every_try_is_recorded(tmp_path: Path) -> None:
    tasks = [line.split("|") for line in _TASKS.strip().split("\n")]
    tests = {name: test for name, *_, test in tasks}
    (tmp_path / "hidden.json").write_text(json.dumps(tests))
    code = (
        f"{_RUN}import json\ntests = json.load(open({str(tmp_path / 'hidden.json')!r}))\n"
        "name = next(one for one in tests if one in space)\n"
        "sys.exit(0 if eval(tests[name], space) else f'hidden test of {name} failed')"
    )
    config = f'[checks.hidden]\ncommand = [{json.dumps(sys.executable)}, "-c", {json.dumps(code)}, "{{file}}"]\n'
    seen = {"passed": 0, "refused": 0}
    async with vendor_server() as vendors:
        keys = ("groq", "openai", "deepseek", "qwen", "mistral")
        async with front(tmp_path, environment(vendors, *keys), config) as house:
            for number, (name, parameters, right, wrong, test) in enumerate(tasks):
                correct, faulty = (f"def {name}({parameters}):\n    return {one}\n" for one in (right, wrong))
                kth = number % _MAX_TRY + 1
                never = number % _NEVER == _NEVER - 1
                # Wrong in turn: by value, by syntax, with a crash, without the function.
                bad = [faulty, f"def {name}(:\n", f"raise ValueError('{name}')\n", "pass\n", faulty, faulty]
                vendors.says_next(*bad[: kth - 1], *(bad * 4 if never else [correct]))
                before = sum(len(vendors.requests(key)) for key in keys)
                result = await house.client.call_tool(
                    "generate",
                    {"prompt": f"Write {name}.", "use_case": "code_generation", "budget_tier": "standard"}
                    | {"save_to": f"{name}.py", "check": "hidden"},
                )
                sent = sum(len(vendors.requests(key)) for key in keys) - before
                rows = await house.app.ledger.read_recent(sent)
                assert len({row.call_id for row in rows}) == 1, name
                assert len(rows) == sent, name
                saved = tmp_path / f"{name}.py"
                if result.is_error:
                    seen["refused"] += 1
                    assert never or sent < kth, (name, kth, sent)
                    assert not saved.exists(), name
                    assert all(row.outcome == "failed" for row in rows), name
                    continue
                seen["passed"] += 1
                assert result.structured_content["checked"] == "hidden"
                assert (saved.read_text(), sent) == (correct, kth), name
                assert sorted(row.outcome for row in rows) == ["answered", *["failed"] * (kth - 1)], name
                space: dict[str, object] = {}
                exec(saved.read_text(), space)  # noqa: S102 - the answers are of this file
                assert eval(test, space), name  # noqa: S307 - the tests are of this file
    assert seen["refused"] >= len(tasks) // _NEVER
    assert seen["passed"] >= len(tasks) // 2
