"""A proxy that runs in a network namespace: ClusterLb or kube-proxy, its processes, and what they say of themselves."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

NODE = "bench-node"
LAST = "kubeproxy_sync_proxy_rules_last_timestamp_seconds"
NAMES = {"clusterlb": "ClusterLb", "iptables": "kube-proxy, iptables", "nftables": "kube-proxy, nftables"}


class ProxyError(Exception):
    """A proxy did not do what it was waited for."""


class Proxy:
    """Started at once; `stop` ends it. What it left in its namespace goes with the namespace."""

    def __init__(self, kind, program, kubeconfig, namespace, address):
        self.kind, self.program, self.namespace = kind, program, namespace
        self.metrics_url = f"http://{address}:10249/metrics"
        self.folder = tempfile.mkdtemp(prefix="clb-bench-")
        self.state = f"{self.folder}/state"
        config = f"{self.folder}/config.yaml"
        with open(config, "w") as file:
            file.write("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
                       + ("" if kind == "clusterlb" else f"mode: {kind}\n") +
                       f"hostnameOverride: {NODE}\nclientConnection:\n  kubeconfig: {kubeconfig}\nclusterCIDR: 10.128.0.0/9\n"
                       f"metricsBindAddress: {address}:10249\nhealthzBindAddress: {address}:10256\nconntrack:\n  maxPerCore: 0\n")
        # The environment as deploy/ has it (docs/processes.md).
        command = ["env", "DOTNET_EnableWriteXorExecute=0", program, "agent", "--config", config, "--state-dir", self.state] if kind == "clusterlb" else [program, f"--config={config}"]
        self.log_name = f"{self.folder}/log"
        self.log = open(self.log_name, "w")
        self.begun = time.time()
        self.process = subprocess.Popen(["ip", "netns", "exec", namespace, *command], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def verb(self, *words):
        """What a verb of ClusterLb says, or None while nobody answers."""
        done = subprocess.run([self.program, *words, "-o", "json", "--state-dir", self.state], capture_output=True, text=True)
        return json.loads(done.stdout) if done.stdout.lstrip().startswith("{") else None

    def pids(self):
        pids = [self.process.pid]
        if self.kind == "clusterlb":
            agent = self.verb("status")["agent"]
            pids += [pid for pid in (agent["dataplane"]["pid"], agent.get("successor")) if pid]
        return pids

    def metric(self, name):
        """The highest value of a metric; 0 while there is none."""
        try:
            with urllib.request.urlopen(self.metrics_url, timeout=20) as answer:
                text = answer.read().decode()
        except OSError:
            return 0.0
        return max([float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.M)] or [0.0])

    def memory(self):
        """Megabytes of all its processes: resident sets added up, and proportional sets, in which a shared page counts once."""
        total = dict.fromkeys(("Rss", "Pss", "Pss_Anon", "Pss_File", "Pss_Shmem"), 0.0)
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    name = line.split(":")[0]
                    if name in total:
                        total[name] += int(line.split()[1]) / 1024
        return total

    def cpu(self):
        """Seconds of processor time of its processes since they began."""
        ticks = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def wait_synced(self, patience):
        """Until the first complete sync; returns when that was."""
        end = time.time() + patience
        while time.time() < end and self.process.poll() is None:
            if (stamp := self.metric(LAST)) > 0 and (self.kind != "clusterlb" or self.verb("status")["agent"]["sync"]["complete"]):
                return stamp
            time.sleep(0.1)
        raise ProxyError(f"{self.kind} did not come up: \n{self.tail()}")

    def wait_written(self, after, patience):
        """Until a sync that ended after this time; returns when that was."""
        end = time.time() + patience
        while time.time() < end:
            if (stamp := self.metric(LAST)) > after:
                return stamp
            time.sleep(0.02)
        raise ProxyError(f"{self.kind} wrote nothing for {patience} s: \n{self.tail()}")

    def tail(self):
        with open(self.log_name) as file:
            return file.read()[-2000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.kind == "clusterlb":
            done = subprocess.run(["ip", "netns", "exec", self.namespace, self.program, "cleanup", "--state-dir", self.state], capture_output=True, text=True)
            if done.returncode:
                raise ProxyError(f"cleanup: {done.stderr}")
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
