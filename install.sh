#!/bin/sh
# Builds Polyport from this folder and installs it. Run it again to upgrade; what it installs, --uninstall removes.
set -eu

usage() {
    cat <<'TEXT'
usage: ./install.sh [--prefix DIR] [--binary FILE] [--systemd] [--uninstall]

  --prefix DIR    where to install [default: /usr/local for root, ~/.local for others]
  --binary FILE   install this program instead of building one
  --systemd       also install the service and its socket (root only)
  --uninstall     remove what was installed; configuration and data stay
TEXT
}

say() { printf '%s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

root=$(cd "$(dirname "$0")" && pwd)
prefix=
binary=
systemd=no
uninstall=no
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) [ $# -ge 2 ] || fail "--prefix needs a folder"; prefix=$2; shift ;;
        --prefix=*) prefix=${1#*=} ;;
        --binary) [ $# -ge 2 ] || fail "--binary needs a file"; binary=$2; shift ;;
        --binary=*) binary=${1#*=} ;;
        --systemd) systemd=yes ;;
        --uninstall) uninstall=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; fail "unknown option $1" ;;
    esac
    shift
done
if [ -z "$prefix" ]; then
    if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix=${HOME:?}/.local; fi
fi
case $prefix in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
esac
# The service is known by this text.
while [ "$prefix" != "${prefix%/}" ]; do prefix=${prefix%/}; done

program=$prefix/bin/polyport
bash_completion=$prefix/share/bash-completion/completions/polyport
zsh_completion=$prefix/share/zsh/site-functions/_polyport
fish_completion=$prefix/share/fish/vendor_completions.d/polyport.fish
manual=$prefix/share/man/man1
units=/etc/systemd/system

has_systemd() { [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; }

if [ "$uninstall" = yes ]; then
    if [ -e "$units/polyport.service" ] && [ "$(id -u)" = 0 ]; then
        started=$(sed -n 's/^ExecStart=//p' "$units/polyport.service")
        case $started in
            "$program" | "$program "*)
                if has_systemd; then systemctl disable --now polyport.socket polyport.service || true; fi
                rm -f "$units/polyport.service" "$units/polyport.socket"
                if has_systemd; then systemctl daemon-reload; fi
                ;;
            *) say "the service stays: it is not $program that it starts, but $started" ;;
        esac
    fi
    rm -f "$program" "$bash_completion" "$zsh_completion" "$fish_completion" "$manual/polyport.1" "$manual"/polyport-*.1
    say "removed; configuration (/etc/polyport) and data folders are where they were"
    exit 0
fi

if [ "$systemd" = yes ]; then
    [ "$(id -u)" = 0 ] || fail "--systemd needs root: sudo ./install.sh --systemd"
    [ -d "$units" ] || fail "--systemd: there is no $units here"
fi

if [ -z "$binary" ]; then
    toolchain=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml")
    command -v cargo >/dev/null 2>&1 ||
        fail "cargo is missing; install Rust $toolchain or newer (https://rustup.rs), then run this again"
    command -v cc >/dev/null 2>&1 ||
        fail "a C compiler is missing; install one (Debian: apt-get install gcc libc6-dev; macOS: xcode-select --install)"
    say "building (some minutes the first time)"
    (cd "$root" && cargo build --release --locked --package polyport)
    binary=${CARGO_TARGET_DIR:-$root/target}/release/polyport
fi
[ -x "$binary" ] || fail "$binary is no program"
version=$("$binary" --version) || fail "$binary does not run on this machine"

mkdir -p "$prefix/bin" 2>/dev/null || fail "$prefix cannot be written; choose another place with --prefix, or use sudo"
[ -w "$prefix/bin" ] || fail "$prefix/bin cannot be written; choose another place with --prefix, or use sudo"
# Under another name first: a gateway that runs keeps its file, and nobody ever sees half of one.
cp "$binary" "$program.new"
chmod 755 "$program.new"
mv -f "$program.new" "$program"

write() {
    mkdir -p "$(dirname "$1")"
    "$program" completions "$2" >"$1"
}
write "$bash_completion" bash
write "$zsh_completion" zsh
write "$fish_completion" fish
mkdir -p "$manual"
"$program" man "$manual" >/dev/null

if [ "$systemd" = yes ]; then
    mkdir -p /etc/polyport
    chmod 755 /etc/polyport
    sed "s#/usr/local/bin/polyport#$program#" "$root/deploy/systemd/polyport.service" >"$units/polyport.service"
    cp "$root/deploy/systemd/polyport.socket" "$units/polyport.socket"
    chmod 644 "$units/polyport.service" "$units/polyport.socket"
    if has_systemd; then systemctl daemon-reload; fi
fi

say "$version is in $program"
case :$PATH: in
    *:"$prefix/bin":*) ;;
    *) say "note: $prefix/bin is not in PATH" ;;
esac
if [ "$systemd" = yes ]; then
    say "start it with: systemctl enable --now polyport.socket polyport.service"
else
    say "start it with: polyport serve"
fi
