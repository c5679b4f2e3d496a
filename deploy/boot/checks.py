"""What must hold of the package and its unit, in the order in which it is tried. Each check leaves the service running."""

import json
import pathlib
import re

from service import CONFIG, GOOD, READY, URL, Service, block, holds, same

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs"
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
def the_package_makes_what_the_guide_says_and_starts_nothing(it: Service):
    it.run("apt-get install -y /packages/older.deb")
    made = "/etc/daypass /etc/daypass/daypass.toml /etc/daypass/seal.key /var/lib/daypass"
    found = it.run(f"stat -c '%n %U %G %a' {made}")
    wanted = ["/etc/daypass root daypass 750", "/etc/daypass/daypass.toml root daypass 640"]
    same(found.splitlines(), wanted + ["/etc/daypass/seal.key root root 600", "/var/lib/daypass daypass daypass 700"])
    it.machine.fails("systemctl is-enabled daypass")
    it.machine.fails("systemctl is-active daypass")
    it.machine.fails("runuser -u daypass -- cat /etc/daypass/seal.key")
    it.admin("check")
    it.run(f"cp -p {CONFIG} {GOOD}")


@check
def it_is_started_and_gives_in_each_dialect(it: Service):
    it.add_client()
    it.run("systemctl enable --now daypass")
    it.ready()
    it.grants()


@check
def an_upgrade_keeps_clients_records_and_what_was_issued(it: Service):
    before = it.property("MainPID")
    version = it.run("dpkg-query -W -f '${Version}' daypass")
    it.run("apt-get install -y /packages/daypass.deb")
    holds(it.run("dpkg-query -W -f '${Version}' daypass") != version, "the version is the same")
    holds(it.property("MainPID") != before, "the old program is still running")
    it.ready()
    it.verified()
    it.grants()


@check
def its_sandbox_is_in_force(it: Service):
    same(it.run("systemd-analyze verify --man=no daypass.service 2>&1 | grep daypass || true"), "")
    scored = it.run("systemd-analyze security --no-pager --threshold=11 daypass.service | tail -1")
    print(f"        {scored}")
    for name, value in [("Seccomp", "2"), ("NoNewPrivs", "1"), ("CapEff", "0" * 16), ("CapBnd", "0" * 16)]:
        same(it.status(name), value)
    same(it.status("Uid"), it.run("id -u daypass"))
    inside = f"nsenter --target {it.property('MainPID')} --mount runuser -u daypass --"
    for path in ["/etc/daypass/x", "/usr/x", "/root/x", "/home/x", "/var/lib/x", "/run/x", "/sys/x"]:
        it.machine.fails(f"{inside} touch {path}")
    it.run(f"{inside} sh -c 'touch /var/lib/daypass/x && rm /var/lib/daypass/x'")
    for path in ["/root", "/home", "/run/user"]:
        it.machine.fails(f"{inside} ls {path}")
    # By its owner in Debian 12, and by an access list in 13.
    it.run(f"{inside} grep -q . /run/credentials/daypass.service/seal.key")
    it.machine.fails("runuser -u postgres -- cat /run/credentials/daypass.service/seal.key")
    same(it.run("stat -c '%U %a' /run/daypass"), "daypass 700")
    it.machine.fails("runuser -u postgres -- curl -sS --unix-socket /run/daypass/control.sock http://x/")


@check
def it_calls_nothing_that_its_filter_refuses(it: Service):
    """The filter answers EPERM, which may go unseen; here it kills."""
    start = it.now()
    it.drop_in("[Service]\nSystemCallErrorNumber=\n")
    it.ready()
    pid = it.property("MainPID")
    it.grants()
    it.run("systemctl reload daypass")
    same(it.property("MainPID"), pid)
    it.run("systemctl stop daypass")
    same(it.property("Result"), "success")
    killed = f"journalctl --after-cursor='{start}' -o cat | grep -E 'status=31/SYS|type=1326'"
    it.machine.fails(killed)
    # And it would have been seen.
    it.machine.write("/etc/systemd/system/daypass.service.d/trial.conf",
                     "[Service]\nSystemCallErrorNumber=\nSystemCallFilter=~listen\n")
    it.machine.fails("systemctl daemon-reload; systemctl start daypass")
    it.machine.until(f"journalctl --sync; {killed}", "nothing was killed")
    it.undo_drop_in()


@check
def a_reload_is_taken_or_fails_and_changes_nothing(it: Service):
    pid = it.property("MainPID")
    it.run(f"sed -i 's/^#log = .*/log = \"debug\"/' {CONFIG} && systemctl reload daypass")
    sum_of_file = it.run(f"sha256sum {CONFIG}").split()[0]
    written = it.admin("audit tail -n 10 --json")
    holds("config.reload" in written and sum_of_file in written, written)
    it.grants()
    it.run(f"echo 'tenannt = 1' >>{CONFIG}")
    start = it.now()
    it.machine.fails("systemctl reload daypass")
    holds("daypass.toml:" in json.dumps(it.logged(start)), "the log does not say where")
    same((it.property("ActiveState"), it.property("MainPID")), ("active", pid))
    it.run(READY)
    it.run(f"cp -p {GOOD} {CONFIG} && systemctl reload daypass")
    same(it.property("MainPID"), pid)
    it.grants()


@check
def a_wrong_configuration_fails_the_start_and_is_not_tried_again(it: Service):
    it.run(f"echo 'tenannt = 1' >>{CONFIG}")
    it.machine.fails("systemctl restart daypass")
    same((it.property("Result"), it.property("ExecMainStatus")), ("exit-code", "2"))
    # Longer than RestartSec.
    it.run("sleep 5")
    same((it.property("ActiveState"), it.property("NRestarts")), ("failed", "0"))
    it.run(f"cp -p {GOOD} {CONFIG} && systemctl start daypass && {READY}")


@check
def a_killed_one_comes_back_with_its_records(it: Service):
    pid = it.property("MainPID")
    it.run(f"kill -9 {pid}")
    it.machine.until(f"test $(systemctl show -P NRestarts daypass) = 1 && {READY}", "it has not come back")
    holds(it.property("MainPID") != pid, pid)
    it.verified()
    it.grants()


@check
def one_that_stands_still_is_killed_and_comes_back(it: Service):
    it.run("systemctl reset-failed daypass; systemctl restart daypass")
    pid, start = it.property("MainPID"), it.now()
    it.run(f"kill -STOP {pid}")
    it.machine.until(f"test $(systemctl show -P NRestarts daypass) = 1 && {READY}", "the watchdog does not bite", 300)
    said = it.run(f"journalctl --sync; journalctl -u daypass -o cat --after-cursor='{start}'")
    holds("with result 'watchdog'" in said, said)
    holds(it.property("MainPID") != pid, pid)
    it.verified()
    it.grants()


@check
def it_ends_well_and_serves_when_start_returns(it: Service):
    it.run("systemctl stop daypass")
    same((it.property("Result"), it.property("ExecMainStatus")), ("success", "0"))
    it.run(f"systemctl start daypass && {READY}")
    it.verified()
    it.grants()


@check
def its_log_is_json_without_secrets(it: Service):
    start = it.now()
    it.run("systemctl restart daypass && systemctl reload daypass")
    it.grants()
    lines = it.logged(start)
    holds(any(line["message"] == "ready" for line in lines), lines)
    holds(all({"timestamp", "level", "message"} <= line.keys() for line in lines), lines)
    everything = it.run("journalctl -o cat")
    holds(len(it.secrets) >= 4 and not any(secret in everything for secret in it.secrets), "a secret is in the journal")


@check
def a_full_disk_stops_grants_and_nothing_else(it: Service):
    it.run("dd if=/dev/zero of=/var/lib/daypass/filling bs=64K 2>/dev/null || true; sync")
    it.machine.until(f"! {READY}", "it calls itself ready on a full disk")
    said = it.run(f"curl -sS --max-time 20 -w '%{{http_code}}' {URL}/readyz")
    # What it says depends on whether it looked at the disk or failed to write first.
    holds(said in [f'{{"error":"{why}"}}503' for why in ("the disk is almost full", "no record can be written")], said)
    it.run(f"curl -sS --fail {URL}/livez")
    it.refuses()
    it.admin("freeze --all --reason trial")
    holds("everything" in it.admin("freeze list"), "it is not frozen")
    it.run("systemctl restart daypass")
    it.admin("thaw --all")
    it.run("rm /var/lib/daypass/filling")
    it.ready()
    it.verified()
    it.grants()


@check
def a_backup_by_the_timers_unit_is_restored_by_the_guide(it: Service):
    it.run("daypass backup key --out /root/backup.key | grep -o 'age1[0-9a-z]*' >/etc/daypass/recipient")
    it.run("install -d -o daypass -g daypass -m 0700 /var/backups/daypass")
    it.machine.write("/etc/systemd/system/daypass-backup.service", block(DOCS / "backup.md", "Type=oneshot"))
    it.run("systemctl daemon-reload && systemctl start daypass-backup")
    made = it.run("ls /var/backups/daypass/*.backup")
    it.run(f"daypass backup verify {made} --identity /root/backup.key")
    by_hand = block(DOCS / "run-in-production.md", "daypass-admin backup").replace("sudo ", "")
    it.run(by_hand)
    it.run("systemctl stop daypass && mkdir /root/lost && mv /var/lib/daypass/daypass.db* /root/lost/")
    it.run("install -o daypass -m 0600 /root/backup.key /var/lib/daypass/backup.key")
    it.run(block(DOCS / "run-in-production.md", "daypass-admin restore").replace("sudo ", ""))
    it.run("rm /var/lib/daypass/backup.key /var/lib/daypass/daypass.backup")
    it.ready()
    it.verified()
    it.grants()


@check
def the_doctor_finds_no_fault(it: Service):
    said = it.admin("doctor")
    holds("no faults" in said and "descriptors: a process" not in said, said)
    print("        " + "\n        ".join(line for line in said.splitlines() if line.startswith("warning")))


@check
def a_seal_key_that_this_machine_alone_opens(it: Service):
    guide = DOCS / "run-in-production.md"
    it.run(re.search("systemd-creds encrypt.*", block(guide, "systemd-creds encrypt"))[0])
    it.run("mv /etc/daypass/seal.key /root/seal.key")
    it.drop_in(block(guide, "LoadCredentialEncrypted"))
    it.ready()
    it.verified()
    it.grants()
    it.run("mv /root/seal.key /etc/daypass/seal.key && rm /etc/daypass/seal.key.cred")
    it.undo_drop_in()


@check
def a_low_port_is_for_whom_the_guide_gives_it(it: Service):
    listen = "Environment=DAYPASS__SERVER__LISTEN=127.0.0.1:443 DAYPASS__SERVER__PUBLIC_URL=http://127.0.0.1:443\n"
    it.machine.write("/etc/systemd/system/daypass.service.d/trial.conf", f"[Service]\n{listen}")
    it.machine.fails("systemctl daemon-reload; systemctl restart daypass")
    it.drop_in(block(DOCS / "run-in-production.md", "CAP_NET_BIND_SERVICE") + listen)
    it.run("curl -sS --fail http://127.0.0.1:443/readyz")
    same(it.status("CapEff"), f"{1 << 10:016x}")
    it.undo_drop_in()


@check
def it_serves_from_a_postgresql_beside_it(it: Service):
    it.run("""systemctl start postgresql
    runuser -u postgres -- createdb daypass
    runuser -u postgres -- psql -qc "create role daypass login password 'trial'" -c 'alter database daypass owner to daypass'
    install -o daypass -m 0600 /dev/null /etc/daypass/db-password && echo trial >/etc/daypass/db-password""")
    edit = r"""sed -i 's|^url = "sqlite:.*|url = "%s"%s|' """ + CONFIG
    over_tcp = edit % ("postgres://daypass@127.0.0.1/daypass", r'\npassword = { file = "/etc/daypass/db-password" }')
    over_socket = edit % ("postgres://daypass@%2Frun%2Fpostgresql/daypass", "")
    for change in [over_tcp, over_socket]:
        it.run(f"cp -p {GOOD} {CONFIG} && {change} && systemctl restart daypass && {READY}")
        # It knows the client if it was told of it before.
        if change == over_tcp:
            known = it.run(f"cat /root/credentials.json")
            it.add_client()
        it.grants()
        it.run("systemctl stop postgresql")
        it.machine.until(f"! {READY}", "it calls itself ready without its database")
        it.refuses()
        it.run("systemctl start postgresql")
        it.ready()
        it.verified()
        it.grants()
    it.run(f"cp -p {GOOD} {CONFIG} && systemctl restart daypass && {READY}")
    it.machine.write("/root/credentials.json", known)
    it.grants()


@check
def it_comes_back_with_the_machine(it: Service):
    it.machine.reboot()
    it.ready()
    it.verified()
    it.grants()


@check
def it_is_removed_and_purged_as_the_guide_says(it: Service):
    kept = "test -e /etc/daypass/seal.key -a -e /var/lib/daypass/daypass.db"
    it.run(f"apt-get remove -y daypass && ! systemctl is-active daypass && ! pgrep -x daypass && {kept}")
    it.run(f"apt-get install -y /packages/daypass.deb && systemctl start daypass && {READY}")
    it.verified()
    it.run(f"apt-get purge -y daypass && ! pgrep -x daypass && {kept} && getent passwd daypass")
    it.run("apt-get install -y /packages/daypass.deb")
    it.run(re.search("env DAYPASS_PURGE=.*?(?=`)", (DOCS / "run-in-production.md").read_text())[0])
    it.machine.fails("test -e /etc/daypass")
    it.machine.fails("ls -A /var/lib/daypass | grep .")
    it.machine.fails("getent passwd daypass")
