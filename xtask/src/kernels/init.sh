#!/bin/busybox sh
# The first and only program of the virtual machine: makes calls while MOP observes, tells how it
# went on the second serial line, and switches the machine off. The first serial line is the
# kernel's console.

/bin/busybox --install -s /bin
export PATH=/bin:/usr/sbin HOME=/root
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t securityfs security /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs tmp /tmp
chmod 1777 /tmp
# Without it, the kernel's messages of every step would slow the console down.
dmesg -n 1
ip link set lo up
stty -F /dev/ttyS1 raw
exec 3>/dev/ttyS1

# Begins a part of the report.
part() {
    echo "@MARK@ $1" >&3
}

# Seconds since the kernel began.
uptime_seconds() {
    cut -d ' ' -f 1 /proc/uptime
}

call() {
    curl --silent --show-error --http1.1 --max-time 60 --cacert /etc/authority.pem "$@"
}

# Fetches a body and tells its digest: NAME URL
download() {
    part "$1"
    call "$2" 2>&3 | sha256sum >&3
}

# Sends a body to where none is yet and tells the status of the answer: NAME URL
upload() {
    rm -f "/srv/open-insurance/kernels/$1"
    part "$1"
    call --upload-file "/uploads/$1" --write-out '%{http_code}\n' "$2" >&3 2>&3
}

part release
uname -r >&3
# Which of the kernel's ways of preemption holds is in parentheses.
part preemption
# Not for longer: it brings tracefs with it, and mop is to mount that where it needs it.
mount -t debugfs debug /sys/kernel/debug
cat /sys/kernel/debug/sched/preempt >&3
umount /sys/kernel/debug

nginx -c /etc/nginx.conf 2>/tmp/nginx-messages
nginx_status=$?
part nginx
echo "$nginx_status $(cat /tmp/nginx-messages)" >&3

mop doctor --json >/tmp/doctor 2>/tmp/doctor-messages
part doctor
cat /tmp/doctor >&3
part doctor-messages
cat /tmp/doctor-messages >&3

began=$(uptime_seconds)
mop observe --output jsonl --body-digest --no-security --no-quality \
    >/tmp/records 2>/tmp/messages &
mop=$!
tries=0
while [ $tries -lt 600 ] && kill -0 $mop 2>/dev/null; do
    grep -q '^Observing' /tmp/messages && break
    usleep 200000
    tries=$((tries + 1))
done
part start
echo "$began $(uptime_seconds)" >&3

if kill -0 $mop 2>/dev/null; then
    # Neighbours that do nothing but system calls, as on a busy node: a program of MOP that can be
    # preempted or can miss a call will be.
    busy=
    for _ in 1 2; do
        dd if=/dev/zero of=/dev/null bs=1 2>/dev/null &
        busy="$busy $!"
    done
    for _ in $(seq @ROUNDS@); do
@CALLS@
    done
    kill $busy
    # The end of the last connection may still be on its way.
    sleep 1
    part misses
    # Of each kernel program that is loaded: how often it was skipped, because another run of it
    # was under way on the same CPU.
    for info in /proc/$mop/fdinfo/*; do
        sed -n 's/^recursion_misses:[[:space:]]*//p' "$info" 2>/dev/null >&3
    done
    kill -INT $mop 2>/dev/null
fi
wait $mop
status=$?
part status
echo "$status" >&3
part messages
cat /tmp/messages >&3
part records
cat /tmp/records >&3
# A slow emulation alone can make the kernel complain about lockups.
part complaints
dmesg | grep -E 'BUG: |WARNING: |Oops' | grep -v lockup >&3
part end
# Until the line has sent everything.
sleep 1
poweroff -f
