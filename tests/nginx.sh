#!/usr/bin/env bash
# Puts an nginx at FOLDER/nginx, for the tests: the machine's own, or else Debian's package, unpacked there. Needs no root,
# installs nothing outside of the folder, and starts nothing.
set -euo pipefail
folder=$(realpath -m "$1")
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

give_up() {
  echo >&2 "make test needs nginx$1 (Debian: apt install nginx)"
  exit 1
}

rm -rf "$folder"
mkdir -p "$folder/unpacked"
if own=$(command -v nginx); then
  ln -s "$own" "$folder/nginx"
  exit
fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || give_up ", and there is no apt-get to fetch it with"

# apt's own lists may be old or missing, and only root may refresh them: so there are lists of our own to go by then.
options=()
download() {
  (cd "$folder" && apt-get -qq "${options[@]}" download "$@") >>"$folder/apt.log" 2>&1
}
refresh() {
  mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
  options=(-o "Dir::State::Lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" -o "APT::Sandbox::User=$(id -un)")
  apt-get -qq "${options[@]}" update >>"$folder/apt.log" 2>&1
}
unpack() {
  for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done
}
binary="$folder/unpacked/usr/sbin/nginx"

echo "fetching nginx from Debian's packages into $1"
if ! download nginx; then
  refresh && download nginx || { tail -n 5 >&2 "$folder/apt.log"; give_up ", and apt-get could not fetch it"; }
fi
unpack
# Where the package is only a name for others, this is the plainest of them.
[[ -x $binary ]] || { download nginx-core && unpack; } || give_up ""
ln -s unpacked/usr/sbin/nginx "$folder/nginx"
if ldd "$binary" | grep 'not found' >/dev/null; then
  depends=$(dpkg-deb -f "$folder"/nginx_*.deb Depends | tr ',' '\n' | sed -E 's/^ *([a-z0-9.+-]+).*/\1/')
  mapfile -t libraries < <(grep '^lib' <<<"$depends" | grep -vx libc6)
  { download "${libraries[@]}" && unpack; } || give_up ", and apt-get could not fetch its libraries"
  rm "$folder/nginx"
  cat >"$folder/nginx" <<'END'
#!/bin/sh
here=$(dirname "$(realpath "$0")")/unpacked
LD_LIBRARY_PATH=$(echo "$here"/lib/*-linux-gnu* "$here"/usr/lib/*-linux-gnu* | tr ' ' ':') exec "$here/usr/sbin/nginx" "$@"
END
  chmod +x "$folder/nginx"
fi
"$folder/nginx" -v 2>>"$folder/apt.log" || give_up ", and the one from Debian's packages does not start here"
rm -rf "$folder"/*.deb "$folder/apt"
