#!/bin/sh
# Runs ModemManager against one serial port, alone with a message bus, in mount and process namespaces of its own.
#   unshare --mount --pid --fork --kill-child --mount-proc sh modemmanager.sh FOLDER PORT SECONDS
# Prints mmcli's JSON of the modem, of the SIM card, of the modem when it is enabled, the answer of a command that is
# passed through, the list of messages that are stored and each of them, one a line;
# modemmanager.log in FOLDER has the AT commands.
# ModemManager takes only ports that sysfs and udev's rules describe: the namespace shows it one more than there is.
set -eu
folder=$1
port=$2
seconds=$3

device=$folder/sys/devices/platform/sim.0
mkdir -p "$device/tty/ttySIM0" "$folder/sys/bus/platform/drivers/sim" "$folder/rules" "$folder/dev"
ln -s "$folder/sys/bus/platform" "$device/subsystem"
ln -s "$folder/sys/bus/platform/drivers/sim" "$device/driver"
ln -s "$device" "$device/tty/ttySIM0/device"
ln -s /sys/class/tty "$device/tty/ttySIM0/subsystem"
mount -t tmpfs none /sys/class/tty
ln -s "$device/tty/ttySIM0" /sys/class/tty/ttySIM0

mount -t tmpfs none "$folder/dev"
mkdir "$folder/dev/pts"
mount --bind /dev/pts "$folder/dev/pts"
for node in null zero random urandom; do
    touch "$folder/dev/$node"
    mount --bind "/dev/$node" "$folder/dev/$node"
done
ln -s "$port" "$folder/dev/ttySIM0"
mount --rbind "$folder/dev" /dev

# Only files with such a name are read (mm-kernel-device-generic-rules).
printf 'ENV{ID_MM_CANDIDATE}="1"\nENV{ID_MM_DEVICE_PROCESS}="1"\n' >"$folder/rules/77-mm-sim.rules"
mount --bind "$folder/rules" /lib/udev/rules.d
echo 'action=add,subsystem=tty,name=ttySIM0,uid=/bench/modem' >"$folder/events"

cat >"$folder/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=$folder/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
END
export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$folder/bus" DBUS_SESSION_BUS_ADDRESS="unix:path=$folder/bus"
dbus-daemon --config-file="$folder/bus.conf" --fork --print-address >"$folder/bus.address"
ModemManager --test-session --no-auto-scan --test-no-udev --filter-policy=strict --debug \
    --initial-kernel-events="$folder/events" >"$folder/modemmanager.log" 2>&1 &
daemon=$!

turns=$((seconds * 5))
until mmcli --modem any --output-json >"$folder/modem.json" 2>"$folder/mmcli.log"; do
    turns=$((turns - 1))
    if ! kill -0 "$daemon" 2>/dev/null; then
        code=0
        wait "$daemon" || code=$?
        echo "ModemManager ended with $code after: $(grep -a -e '-->' "$folder/modemmanager.log" | tail -n 1)" >&2
        exit 1
    fi
    if [ "$turns" -le 0 ]; then
        echo "no modem within $seconds s: $(cat "$folder/mmcli.log")" >&2
        exit 1
    fi
    sleep 0.2
done
cat "$folder/modem.json"
echo
mmcli --sim any --output-json
# Enabled, it follows the registration: what mmcli shows of the network is what the modem told by +CREG and +COPS.
mmcli --modem any --enable >"$folder/enable.log" 2>&1 || { cat "$folder/enable.log" >&2; exit 1; }
turns=50
until mmcli --modem any --output-json | grep -q '"registration-state":"home"'; do
    turns=$((turns - 1))
    [ "$turns" -gt 0 ] || break
    sleep 0.2
done
mmcli --modem any --output-json
echo
answer=$(mmcli --modem any --command='+CGMR;+CIMI' | tr -s '\r\n' '  ' | tr -d "\"'")
printf '{"command": "%s"}\n' "$answer"
mmcli --modem any --messaging-list-sms --output-json
for message in $(mmcli --modem any --messaging-list-sms | grep -o '/org/[^ ]*'); do
    mmcli --sms "$message" --output-json
done
