#!/bin/bash
# A Slurm cluster of one node on loopback, for tests: cluster.sh start | stop
#
# start: installs slurm-wlm and munge from Debian if they are missing, starts a munged, slurmctld and
#        slurmd of its own, waits until the node is idle. Exit code 3, with the reason, where it cannot.
# stop:  ends these processes and removes all files of `start`; the Debian packages stay.
#
# A slurm.conf or a slurmctld that this script did not make is never touched.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
STATE=/run/threetconv-slurm
CONF=/etc/slurm
MARK="threetconv test cluster"

refuse() { echo "$1" >&2; exit 3; }

ours() { [ ! -e "$1" ] || head -n 1 "$1" | grep -q "$MARK"; }

end() { # end NAME: the process whose number is in NAME.pid, if it is still NAME
  local file="$STATE/$1.pid" pid
  [ -s "$file" ] || return 0
  pid=$(cat "$file")
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] || return 0
  kill "$pid"
  for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.2; done
  kill -9 "$pid" 2>/dev/null || true
}

stop() {
  if [ -d "$STATE" ]; then
    for job in $(squeue --noheader --format %A 2>/dev/null || true); do scancel "$job" || true; done
    for _ in $(seq 40); do [ -z "$(squeue --noheader 2>/dev/null || true)" ] && break; sleep 0.5; done
    end slurmd; end slurmctld; end munged
  fi
  for file in slurm.conf gres.conf; do
    if ours "$CONF/$file"; then rm -f "$CONF/$file"; fi
  done
  rm -rf "$STATE"
}

start() {
  [ "$(id -u)" = 0 ] || refuse "a Slurm of its own needs root"
  command -v apt-get >/dev/null || refuse "Slurm is installed with apt-get, which is not here (no Debian)"
  for file in slurm.conf gres.conf cgroup.conf; do
    ours "$CONF/$file" || refuse "$CONF/$file is another cluster's; it is left alone"
  done
  if [ ! -d "$STATE" ] && { pgrep -x slurmctld || pgrep -x slurmd; } >/dev/null; then
    refuse "a Slurm is already running on this machine; it is left alone"
  fi
  if ! command -v slurmctld munged >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends slurm-wlm munge; } >&2 ||
      refuse "slurm-wlm and munge cannot be installed (no Debian mirror?)"
  fi
  stop

  mkdir -p "$STATE"/{ctld,slurmd,munge} "$CONF"
  chmod 755 "$STATE"
  chmod 700 "$STATE/munge"
  (umask 077 && dd if=/dev/urandom of="$STATE/munge/key" bs=1024 count=1 status=none)
  munged --socket="$STATE/munge.socket" --key-file="$STATE/munge/key" \
    --pid-file="$STATE/munged.pid" --log-file="$STATE/munge/log" --seed-file="$STATE/munge/seed"

  local host
  host=$(hostname -s)
  sed -e "s|@STATE@|$STATE|g" -e "s|@HOST@|$host|g" \
    -e "s|@CTLD_PORT@|${CTLD_PORT:-56817}|g" -e "s|@D_PORT@|${D_PORT:-56818}|g" \
    "$HERE/slurm.conf.template" > "$CONF/slurm.conf"
  printf '# %s\nNodeName=%s Name=gpu File=/dev/null\n' "$MARK" "$host" > "$CONF/gres.conf"
  slurmctld
  slurmd
  for _ in $(seq 60); do
    if sinfo --noheader --format %T 2>/dev/null | grep -q '^idle'; then
      scontrol --version
      return 0
    fi
    sleep 0.5
  done
  tail -n 20 "$STATE"/slurm*.log >&2
  stop
  echo "the node did not become idle within 30 s" >&2
  exit 1
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  *) echo "usage: cluster.sh start | stop" >&2; exit 2 ;;
esac
