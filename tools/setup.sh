#!/usr/bin/env bash
# Sets up this checkout: Debian packages (as root or with sudo) and Python packages in .venv.
# usage: tools/setup.sh demo|dev|fuzz   demo: what `make demo` runs; dev: also compilers and linters;
#                                       fuzz: what `make fuzz` runs
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:?demo, dev or fuzz}
case $kind in
  demo) debian="python3-venv" extras="virtual" ;;
  dev) debian="python3-venv make git cmake gcc libc6-dev qemu-system-arm gcc-arm-none-eabi
               gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf clang clang-format libclang-rt-dev
               chromium" extras="dev" ;;
  fuzz) debian="python3-venv make gcc libc6-dev binutils clang libclang-rt-dev" extras="dev" ;;
  *) echo "setup: '$kind' is not known; allowed: demo, dev, fuzz" >&2; exit 2 ;;
esac

missing_debian() {
  for package in $debian; do
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
      installed) ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

install_debian() {
  command -v dpkg-query >/dev/null || { echo "setup: not a Debian system; needed: $debian" >&2; return; }
  local missing as_root=""
  missing=$(missing_debian)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      as_root=sudo
    else
      printf '\n%s\n    sudo apt-get install --no-install-recommends %s\n%s\n\n' \
        "These Debian packages are missing and need root. Run this, then call make again:" "$missing" \
        "Going on with what works without them." >&2
      return 0
    fi
  fi
  echo "setup: installing Debian packages: $missing"
  export DEBIAN_FRONTEND=noninteractive
  $as_root apt-get update -qq
  # shellcheck disable=SC2086  # a list of words
  $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

install_python() {
  local stamp=.venv/.quantcheck-$kind wanted
  wanted=$(cat pyproject.toml tools/setup.sh | sha256sum)
  if [ -L .venv ]; then
    echo "setup: .venv is a link to $(readlink -f .venv): used as it is, nothing is installed into it"
    return 0
  fi
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
  if [ ! -x .venv/bin/pip ]; then
    rm -rf .venv
    python3 -m venv .venv || {
      echo "setup: python3 -m venv failed; on Debian: apt-get install python3-venv" >&2
      exit 2
    }
  fi
  echo "setup: installing Python packages into .venv (extras: $extras)"
  .venv/bin/pip install --quiet --disable-pip-version-check --editable ".[$extras]"
  echo "$wanted" >"$stamp"
}

install_debian
install_python
