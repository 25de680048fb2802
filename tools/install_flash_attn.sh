#!/usr/bin/env bash
# Install the flash-attn wheel that matches this Python, torch and CUDA, or explain why none fits.
#
#   tools/install_flash_attn.sh [--python PYTHON] [--dry-run] [--for "TAG TORCH CUDA ABI PLATFORM"]
#
# --dry-run only says which wheel it would install. --for looks for another machine's wheel and installs nothing, e.g.
# --for "cp311 2.8 12 TRUE linux_x86_64". FLASH_ATTN_RELEASES may name a mirror of the project's release folder.
# MiniCPM-V runs without flash-attn: --attn sdpa is what is shipped.
set -euo pipefail

releases=${FLASH_ATTN_RELEASES:-https://github.com/Dao-AILab/flash-attention/releases/download}
versions="2.8.3 2.8.2 2.8.1 2.8.0.post2 2.7.4.post1 2.7.3"
python=.venv/bin/python
[ -x "$python" ] || python=python3
dry_run=no
facts=

say() { printf '%s\n' "$*" >&2; }
fail() { say "install_flash_attn: $*"; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --python) python=${2:?--python needs a path}; shift 2 ;;
    --for) facts=${2:?--for needs five words}; dry_run=yes; shift 2 ;;
    --dry-run) dry_run=yes; shift ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) say "install_flash_attn: unknown option $1; see --help"; exit 2 ;;
  esac
done

if [ -z "$facts" ]; then
  facts=$("$python" - <<'PYTHON'
import sys, sysconfig
try:
    import torch
except Exception as error:
    sys.exit(f"install_flash_attn: torch does not work in {sys.executable} ({error}); install it first")
if torch.version.cuda is None:
    sys.exit(f"install_flash_attn: torch {torch.__version__} is built without CUDA, and flash-attn runs on CUDA only; "
             "install a torch for this machine's driver from pytorch.org first")
tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
number = ".".join(torch.__version__.split("+")[0].split(".")[:2])
abi = "TRUE" if torch.compiled_with_cxx11_abi() else "FALSE"
print(tag, number, torch.version.cuda.split(".")[0], abi, sysconfig.get_platform().replace("-", "_"))
PYTHON
  ) || exit 1
fi

read -r tag torch cuda abi platform rest <<<"$facts"
[ -n "${platform:-}" ] && [ -z "${rest:-}" ] || fail "--for needs five words, as in --for \"cp311 2.8 12 TRUE linux_x86_64\""
case $platform in
  linux_x86_64 | linux_aarch64) ;;
  *) fail "there are wheels for linux_x86_64 and linux_aarch64 only, this is $platform; use --attn sdpa" ;;
esac
command -v curl >/dev/null || fail "curl is needed to look for wheels; install it"

for version in $versions; do
  wheel="flash_attn-$version+cu${cuda}torch${torch}cxx11abi${abi}-$tag-$tag-$platform.whl"
  url="$releases/v$version/${wheel/+/%2B}"
  status=$(curl --silent --head --location --max-time 30 --output /dev/null --write-out '%{http_code}' "$url") || status=000
  case $status in
    200) found=$url; break ;;
    000) fail "cannot reach $releases; is there a network? FLASH_ATTN_RELEASES may name a mirror" ;;
  esac
done

if [ -z "${found:-}" ]; then
  say "install_flash_attn: no release has a wheel for Python $tag, torch $torch, CUDA $cuda, C++11 ABI $abi, $platform."
  say "Looked for the versions $versions."
  say "What can be done:"
  say "  - use --attn sdpa: nothing to install; the vision attention is batched there already"
  say "  - take the torch version for which the newest release has wheels (its page lists them), then run this again"
  say "  - build it: $python -m pip install --no-build-isolation flash-attn (needs nvcc of CUDA $cuda, takes long)"
  exit 1
fi

printf '%s\n' "$found"
[ "$dry_run" = yes ] && exit 0
"$python" -m pip install --no-deps einops "$found"
"$python" -c 'import flash_attn; print("flash-attn", flash_attn.__version__, "works")' ||
  fail "the wheel was installed and cannot be imported: torch, CUDA and wheel do not match; remove it with: $python -m pip uninstall flash-attn"
