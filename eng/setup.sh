#!/usr/bin/env bash
# Finds or installs what `make build`, `make test` and `make demo` need. Says what it installs; silent and fast when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

# command:package. ip and ss move packets into the TUN, nft marks replies, ethtool turns offloads off, setpriv drops rights,
# iptables stands for other people's firewalls, cc builds the reader in C that checks the map layouts.
needs=(ip:iproute2 nft:nftables ethtool:ethtool setpriv:util-linux nsenter:util-linux setsid:util-linux
  sysctl:procps tcpdump:tcpdump iptables:iptables cc:gcc curl:curl)

missing=()
for need in "${needs[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)

if [ ${#missing[@]} -gt 0 ]; then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  if ! command -v apt-get >/dev/null; then
    echo "setup: missing: ${missing[*]}; install them with your distribution's package manager" >&2
    exit 1
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "setup: missing Debian packages; run: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "setup: installing Debian packages: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# `dotnet --version` reads global.json and fails when no installed SDK satisfies it.
export PATH="$HOME/.dotnet:$PATH" DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
if ! dotnet --version >/dev/null 2>&1; then
  version=$(sed -nE 's/.*"version": *"([^"]+)".*/\1/p' global.json)
  script=$(mktemp)
  trap 'rm -f "$script"' EXIT
  echo "setup: installing the .NET SDK $version into $HOME/.dotnet"
  if ! curl -fsSL --max-time 60 https://dot.net/v1/dotnet-install.sh -o "$script"; then
    echo "setup: cannot reach https://dot.net for the .NET SDK $version (global.json)." >&2
    echo "setup: install it by hand (https://dotnet.microsoft.com/download/dotnet/10.0) and put dotnet on PATH." >&2
    exit 1
  fi
  bash "$script" --version "$version" --install-dir "$HOME/.dotnet" --no-path
  dotnet --version >/dev/null
fi
