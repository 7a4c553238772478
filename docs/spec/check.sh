#!/usr/bin/env bash
# Checks the model over every interleaving, then that each mutant breaks a promise: a checker that finds nothing in a broken
# protocol has looked at nothing. Needs spin and a C compiler. The last line is the sum.
set -uo pipefail
model=$(realpath "$(dirname "${BASH_SOURCE[0]}")")/rotation.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0
failed=0

# verify FLAGS…: prints the number of errors that spin finds, or nothing when it did not finish.
verify() {
  spin "$@" -a "$model" >/dev/null && cc -O2 -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -o pan pan.c &&
    ./pan -m200000 -n | tee report | sed -n 's/.*errors: \([0-9]*\).*/\1/p'
}

# expect NAME ERRORS(0 or some) FLAGS…
expect() {
  local name=$1 wanted=$2 errors
  shift 2
  errors=$(verify "$@")
  if [[ $wanted == none && $errors == 0 ]] && ! grep -q 'max search depth too small' report; then
    printf 'ok    %s: no promise is broken in %s states\n' "$name" "$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' report)"
    passed=$((passed + 1))
  elif [[ $wanted == some && ${errors:-0} -gt 0 ]]; then
    printf 'ok    %s: caught\n' "$name"
    passed=$((passed + 1))
  else
    printf 'FAIL  %s: %s errors\n' "$name" "${errors:-no verdict, }"
    failed=$((failed + 1))
  fi
}

expect 'the protocol' none
for mutant in NO_CAS REVOKE_ASIDE NEW_SUCCESSOR REUSE_IGNORED LATE_REVOKE; do
  expect "mutant $mutant" some "-D$mutant"
done
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
