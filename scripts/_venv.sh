# Sourced by the scripts beside it: makes .venv where it is missing or out of date, and enters it.
# $1: extras to install, such as [dev]. Called again it does nothing, in no time.
extras=${1:-}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# What is installed is known by the files that say what to install.
wanted=$(cat pyproject.toml constraints.txt | cksum)$extras
have=$(cat .venv/.installed 2>/dev/null || true)
if [ "$have" != "$wanted" ] && [ "$have" != "$wanted[dev]" ]; then
  # 3.11 to 3.13 will do; an older `python3` may stand before a fitting one.
  python=
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
  [ -n "$python" ] || { echo "seqbench needs Python 3.11, 3.12 or 3.13; none is on the PATH." >&2; exit 2; }
  echo "[1/2] making .venv with $("$python" --version)"
  .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
  echo "[2/2] installing seqbench and what it needs (a minute or two; torch is the largest)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".$extras"
  printf '%s' "$wanted" > .venv/.installed
fi
export PATH="$PWD/.venv/bin:$PATH"
