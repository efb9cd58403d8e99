#!/bin/sh
# Brings a Waggoner agent onto this host and lets it join its manager, once.
#
# It runs as it is, from a shell or as a cloud's user data. Who needs it otherwise sets
#   WAGGONER_AGENT_DIR      where the agent goes (/opt/waggoner-agent)
#   WAGGONER_AGENT_PROGRAM  a program `waggoner-agent` that is on the host already
#   WAGGONER_AGENT_SERVICE  systemd, or none to start it without; either is found out if not said
set -eu
umask 077

name='@NAME@'
manager='@MANAGER@'
url='@URL@'
folder=${WAGGONER_AGENT_DIR:-/opt/waggoner-agent}
service=${WAGGONER_AGENT_SERVICE:-}

fail() {
    echo "waggoner: $1" >&2
    exit 1
}

mkdir -p "$folder/bin" || fail "cannot make $folder: run as root, or set WAGGONER_AGENT_DIR"
cat >"$folder/ca.pem" <<'WAGGONER_CA'
@CA@
WAGGONER_CA
cat >"$folder/join-token" <<'WAGGONER_TOKEN'
@TOKEN@
WAGGONER_TOKEN

program=${WAGGONER_AGENT_PROGRAM:-$(command -v waggoner-agent || true)}
if [ -n "$program" ]; then
    [ -x "$program" ] || fail "$program is no program"
    cp "$program" "$folder/bin/waggoner-agent.new"
else
    from="$url/waggoner-agent-$(uname -m)"
    to="$folder/bin/waggoner-agent.new"
    if command -v curl >/dev/null 2>&1; then
        curl --fail --silent --show-error --cacert "$folder/ca.pem" --output "$to" "$from"
    elif command -v wget >/dev/null 2>&1; then
        wget --quiet --ca-certificate="$folder/ca.pem" --output-document="$to" "$from"
    else
        fail 'there is neither curl nor wget to download the agent with'
    fi || fail "the agent cannot be downloaded from $from"
fi
chmod 755 "$folder/bin/waggoner-agent.new"
mv "$folder/bin/waggoner-agent.new" "$folder/bin/waggoner-agent"

if [ -z "$service" ]; then
    service=none
    [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] && service=systemd
fi
case $service in
systemd)
    cat >"/etc/systemd/system/waggoner-agent.service" <<WAGGONER_UNIT
[Unit]
Description=Waggoner agent $name
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=$folder/bin/waggoner-agent --state-dir $folder/state --runtime-dir %t/waggoner-agent --manager $manager --join $folder/join-token --name $name
Restart=always
RestartSec=5
RestartPreventExitStatus=78
# What operations have started outlives the agent's daemon.
KillMode=process
RuntimeDirectory=waggoner-agent
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes

[Install]
WantedBy=multi-user.target
WAGGONER_UNIT
    systemctl daemon-reload
    systemctl enable --now waggoner-agent.service
    ;;
none)
    nohup "$folder/bin/waggoner-agent" --state-dir "$folder/state" --manager "$manager" \
        --join "$folder/join-token" --name "$name" \
        >>"$folder/agent.log" 2>&1 </dev/null &
    echo $! >"$folder/agent.pid"
    ;;
*)
    fail "WAGGONER_AGENT_SERVICE is neither systemd nor none"
    ;;
esac
echo "waggoner: agent $name is on its way to $manager"
