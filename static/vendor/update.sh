#!/bin/sh
# Copies what the pages use of PatternFly into static/vendor/patternfly/: fonts, tokens and the styles of some components.
# Run it after changing VERSION or COMPONENTS, and commit the result. Needs npm; nobody else does.
set -eu
VERSION=6.6.1
COMPONENTS="Page/page Masthead/masthead Nav/nav Card/card Button/button Table/table Table/table-grid Label/label
Alert/alert Form/form FormControl/form-control Check/check DescriptionList/description-list
EmptyState/empty-state Title/title Content/content Pagination/pagination
ProgressStepper/progress-stepper SkipToContent/skip-to-content Login/login Breadcrumb/breadcrumb Badge/badge
CodeBlock/code-block HelperText/helper-text Divider/divider ModalBox/modal-box"
LAYOUTS="Gallery/gallery"

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "@patternfly/patternfly@$VERSION" >/dev/null && tar xzf ./*.tgz)
package=$work/package
out=$here/patternfly

rm -rf "$out/assets" "$out/patternfly.css"
cp "$package/patternfly-base.css" "$out/patternfly.css"
for each in $COMPONENTS; do printf '\n' >>"$out/patternfly.css"; cat "$package/components/$each.css" >>"$out/patternfly.css"; done
for each in $LAYOUTS; do printf '\n' >>"$out/patternfly.css"; cat "$package/layouts/$each.css" >>"$out/patternfly.css"; done
printf '\n' >>"$out/patternfly.css"
# Every file that the styles name, so that nothing they name is missing.
sed -n 's/.*url("\.\/\([^"]*\)").*/\1/p' "$out/patternfly.css" | sort -u | while read -r asset; do
  mkdir -p "$out/$(dirname "$asset")"
  cp "$package/$asset" "$out/$asset"
done
echo "$VERSION" >"$out/VERSION"
