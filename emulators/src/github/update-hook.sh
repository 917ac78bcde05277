#!/bin/sh
# Run by git for each ref of a push: name, old object, new object. Refuses what GitHub refuses.
reference=$1 new=$3

if [ -f push-rules ]; then
  tab=$(printf '\t')
  while IFS=$tab read -r pattern reason; do
    # The pattern is matched as a glob on purpose: `refs/heads/release*`.
    # shellcheck disable=SC2254
    case $reference in
      $pattern) echo "$reason" >&2; exit 1 ;;
    esac
  done < push-rules
fi

case $new in *[!0]*) ;; *) exit 0 ;; esac
if [ "$MAY_CHANGE_WORKFLOWS" != 1 ]; then
  commit=$(git rev-list --max-count=1 "$new" --not --all -- .github/workflows)
  if [ -n "$commit" ]; then
    file=$(git diff-tree --no-commit-id --name-only -r --root "$commit" -- .github/workflows | head -n 1)
    echo "refusing to allow a GitHub App to create or update workflow \`$file\` without \`workflows\` permission" >&2
    exit 1
  fi
fi
exit 0
