# Sourced by ./run, ./test and .ci/run: installs exactly the packages of a lock into .venv. Needs bash and Python 3.11+.

# Every process that these scripts start imports about 1,700 modules. Some environments forbid writing bytecode, and then
# each process compiles all of them: 3 of 5 CPU-seconds. Bytecode in .venv leaves other folders clean.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX=$PWD/.venv/bytecode

stop_with() {
  printf '%s\n' "$1" >&2
  exit 1
}

# Print the first Python on the path that is new enough.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3} python3.14 python3.13 python3.12 python3.11 python; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

# Print what an installation depends on, in one line. After a move of the checkout or a change of the lock, it differs.
fingerprint() {
  printf '%s %s %s' "$PWD" "$(cksum <"$1")" "$(cksum <pyproject.toml)"
}

# ensure_venv LOCK [LARGER LOCK]: install LOCK into .venv, unless it, or a larger lock that includes it, is installed.
ensure_venv() {
  local lock=$1 python pip=.venv/bin/python\ -m\ pip stamp=.venv/installed larger
  if [ -x .venv/bin/python ] && .venv/bin/python -c '' >/dev/null 2>&1; then
    for larger in "$@"; do
      if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint "$larger")" ]; then return; fi
    done
  else
    python=$(find_python) || stop_with "Perennial needs Python 3.11 or newer; found: $(python3 --version 2>&1 || true). Install one, or name it: PYTHON=/path/to/python3.12 $0"
    echo "Making .venv with $("$python" --version) …"
    "$python" -m venv --clear .venv >/dev/null 2>&1 ||
      stop_with "$python cannot make a virtual environment here; on Debian and Ubuntu install python3-venv, and see that the disk is not full."
  fi
  rm -f "$stamp"
  echo "Installing $(grep -c == "$lock") packages from $lock (once) …"
  # uv is many times faster than pip. If uv cannot be installed or fails, pip is used.
  awk '/^[a-z0-9]/ { keep = /^uv==/ } keep' "$lock" >.venv/uv.lock
  if ! { $pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.lock &&
    VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip install --quiet --require-hashes --no-deps -r "$lock"; } 2>.venv/uv.log; then
    echo "… with pip, which takes a minute or two"
    $pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$lock" ||
      stop_with "Installing $lock failed (see above); is the network there and the disk not full?"
  fi
  $pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --root-user-action=ignore -e . ||
    stop_with "Installing Perennial itself into .venv failed (see above)."
  fingerprint "$lock" >"$stamp"
}
