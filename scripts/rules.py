"""Our own rules: what neither compiler nor clang-tidy knows. Each message names what to write instead.

    python3 scripts/rules.py            checks the tree
    python3 scripts/rules.py --self     checks the rules: each must find its planted breach
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = 700
COLUMNS_MAX = 100

# (name, pattern, where it counts, where it is allowed, what to do instead)
BANNED = [
    ("clock", r"\b(system_clock|high_resolution_clock)::now\b|\b(std::time|gettimeofday|clock_gettime)\(",
     r"^(libs|apps)/", r"^libs/world/|_(test|bench)\.cpp$|/testing(_[a-z]+)?\.hpp$", "take the time as an argument, or world::Clock"),
    # A port's own deadlines are not the time of day: nothing that it says or stores depends on them.
    ("steady clock", r"\bsteady_clock::now\b", r"^(libs|apps)/", r"^libs/(world|net|bus)/|_(test|bench)\.cpp$|/testing(_[a-z]+)?\.hpp$",
     "take the time as an argument, or world::Clock"),
    ("sleep", r"\bsleep_for\b|\bsleep_until\b|\busleep\(|\bnanosleep\(", r"^(libs|apps)/", r"$^",
     "wait on a condition with a deadline"),
    ("console", r"\bstd::(cout|cerr|clog)\b|\bprintf\(", r"^libs/", r"^libs/base/src/(base|log)\.cpp$|_(test|bench|fuzz|reject)\.cpp$",
     "pass in a Log, or return an Error"),
    ("std format", r"\bstd::(format|expected)\b", r"^(libs|apps)/", r"$^", "fmt::format, tapir::Result"),
    ("raw new", r"(?m)^(?!.*(unique_ptr|Ptr)).*(?<![\w.])new\s+[A-Za-z_:]+[({;]", r"^(libs|apps)/", r"_(test|bench)\.cpp$", "std::make_unique, or a value"),
    ("chance", r"\bstd::(random_device|mt19937\w*|rand)\b|\bRAND_bytes\b|\bgetrandom\b", r"^(libs|apps)/",
     r"^libs/world/|_(test|bench|fuzz)\.cpp$|/testing(_[a-z]+)?\.[ch]pp$", "take chance as an argument, or world::Chance"),
    ("unfinished", r"\bTODO(?!\(#\d+\))|\bFIXME\b|\bXXX\b", r"^(libs|apps|lab|scripts)/", r"^scripts/rules\.py$",
     "TODO(#issue), or do it"),
]

# The door (DESIGN.md, The release gate): nothing but the gate makes a Released, nothing but the outlet sends.
DOOR = [
    ("second outlet", r'#include "tapir/(net|mqtt|bus)/', r"^libs/edge/(src|include)/",
     r"^libs/edge/src/outlet\.cpp$|^libs/edge/src/[a-z_]*(input|metrics)[a-z_]*\.cpp$|_test\.cpp$",
     "send through the functions of outlet.cpp: only it may include a client"),
    ("outlet's header", r'#include "tapir/(net|mqtt|bus)/', r"^libs/edge/src/.*\.hpp$", r"$^", "keep clients inside outlet.cpp"),
    ("http client", r"http_client\.hpp", r"^(libs|apps)/(edge|aggregation)/", r"^libs/edge/src/outlet\.cpp$|_test\.cpp$|/testing_rig\.hpp$", "use outlet.hpp"),
    ("mint", r"\bclass\s+Mint\s*(final\s*)?\{|\bstruct\s+Mint\b|\bMint\s*[({]", r"^(libs|apps)/", r"^libs/privacy/src/gate\.cpp$|_reject\.cpp$",
     "only the gate mints"),
    ("friend of the gate", r"\bfriend\b(?!.*operator)", r"^libs/(privacy|client)/", r"$^", "no friend: it would be a second door"),
    ("cast to the gate", r"(reinterpret_cast|bit_cast|const_cast)<[^>]*(Released|Mint|ClientAddress|AddressKey)", r"^(libs|apps)/", r"$^",
     "no cast: it would be a second door"),
    ("address key", r"\bclass\s+AddressKey\s*(final\s*)?\{|\bstruct\s+AddressKey\b", r"^(libs|apps)/", r"^libs/client/src/",
     "only libs/client opens an address"),
]


def without_comments(text):
    """The text with comments blanked, line numbers kept. Strings stay: what they hold is code too."""
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    return re.sub(r'(?m)(?<![:"])//.*$', "", text)


def breaches_of(path, text):
    code = without_comments(text)
    for name, pattern, where, allowed, instead in BANNED + DOOR:
        if not re.search(where, path) or re.search(allowed, path):
            continue
        source = text if name == "unfinished" else code
        for match in re.finditer(pattern, source):
            line = source.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {name}: '{match.group().strip()}': {instead}"


def shape_of(path, text):
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield f"{path}: {lines} lines: at most {LINES_MAX}: is it one idea?"
    if re.search(r"\.[ch]pp$", path):
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > COLUMNS_MAX and "http" not in line and '"' not in line:
                yield f"{path}:{number}: {len(line)} columns: at most {COLUMNS_MAX}"


def tree():
    """Breaches of what a whole folder owes."""
    for library in sorted((ROOT / "libs").iterdir()):
        if not (library / "CMakeLists.txt").exists():
            continue
        name = f"libs/{library.name}"
        if not (library / "README.md").exists():
            yield f"{name}: no README.md: one screen: purpose, law, which header first"
        for header in sorted(library.glob("include/tapir/*/*.hpp")):
            text = header.read_text()
            if not text.startswith("//"):
                yield f"{header.relative_to(ROOT)}:1: a header is a manual: begin with what it is for"
            if "#pragma once" not in text:
                yield f"{header.relative_to(ROOT)}: no #pragma once"
        for fuzzer in sorted(library.glob("src/*_fuzz.cpp")):
            subject = fuzzer.stem.removesuffix("_fuzz")
            if not any((library / "corpus" / subject).glob("*")):
                yield f"{fuzzer.relative_to(ROOT)}: no corpus in {name}/corpus/{subject}"
        golden = library / "golden"
        if any(p.is_file() for p in golden.rglob("*")) and not any(golden.rglob("SOURCE.txt")):
            yield f"{name}/golden: no SOURCE.txt"


def check():
    found = list(tree())
    for folder in ("libs", "apps", "lab", "scripts", "cmake"):
        for file in sorted((ROOT / folder).rglob("*")):
            path = str(file.relative_to(ROOT))
            if file.is_file() and re.search(r"\.(cpp|hpp|py|cmake)$", path) and "/golden/" not in path:
                text = file.read_text()
                found += breaches_of(path, text)
                found += shape_of(path, text)
    print(*found, sep="\n")
    return 1 if found else 0


def check_rules():
    """Canaries: each rule finds its breach, and leaves alone what is allowed."""
    planted = {
        "clock": ("libs/dns/src/a.cpp", "auto t = std::chrono::system_clock::now();"),
        "steady clock": ("libs/dns/src/a.cpp", "auto t = std::chrono::steady_clock::now();"),
        "sleep": ("libs/net/src/a.cpp", "std::this_thread::sleep_for(1s);"),
        "console": ("libs/dns/src/a.cpp", "std::cout << 1;"),
        "std format": ("apps/edge/main.cpp", "std::format(\"x\")"),
        "raw new": ("libs/dns/src/a.cpp", "auto* p = new Thing();"),
        "chance": ("libs/privacy/src/a.cpp", "std::mt19937 g;"),
        "unfinished": ("libs/dns/src/a.cpp", "// TODO later"),
        "second outlet": ("libs/edge/src/pipeline.cpp", '#include "tapir/net/http.hpp"'),
        "outlet's header": ("libs/edge/src/outlet.hpp", '#include "tapir/net/http.hpp"'),
        "http client": ("apps/edge/main.cpp", '#include "tapir/net/http_client.hpp"'),
        "mint": ("libs/edge/src/a.cpp", "privacy::Mint{}"),
        "friend of the gate": ("libs/privacy/include/tapir/privacy/released.hpp", "friend class Edge;"),
        "cast to the gate": ("libs/edge/src/a.cpp", "reinterpret_cast<Released<int>*>(p)"),
        "address key": ("libs/edge/src/a.cpp", "class AddressKey {};"),
    }
    failed = [name for name, (path, text) in planted.items()
              if not any(f": {name}:" in breach for breach in breaches_of(path, text))]
    missing = [rule[0] for rule in BANNED + DOOR if rule[0] not in planted]
    quiet = list(breaches_of("libs/world/src/clock.cpp", "std::chrono::system_clock::now(); // sleep_for"))
    for name in failed + missing:
        print(f"rule '{name}' does not find its breach")
    print(*quiet, sep="\n", end="\n" if quiet else "")
    return 1 if failed or missing or quiet else 0


if __name__ == "__main__":
    sys.exit(check_rules() if "--self" in sys.argv else check_rules() or check())
