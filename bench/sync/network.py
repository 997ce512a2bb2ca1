"""Three network namespaces: the control plane (this process goes there), a node, and a pod on it that asks for a service.

    control plane 172.30.0.1 ──── 172.30.0.2 node 10.128.0.1 ──── 10.128.0.2 pod
"""
import ctypes
import os
import subprocess

NODE_ADDRESS = "172.30.0.2"
CLONE_NEWNET = 0x40000000


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class ControlPlaneNamespace:
    """Entered for good: everything that this process starts runs there."""

    def __init__(self):
        self.name = f"clbb-api-{os.getpid()}"
        ip("netns", "add", self.name)
        with open(f"/run/netns/{self.name}") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        ip("link", "set", "lo", "up")
        ip("addr", "add", "172.30.0.1/32", "dev", "lo")  # there before the first node is: the API server listens on it

    def close(self):
        ip("netns", "del", self.name)


class NodeNamespaces:
    """A fresh node and its pod. What a proxy left in them goes with them."""

    def __init__(self):
        self.node, self.pod = f"clbb-node-{os.getpid()}", f"clbb-pod-{os.getpid()}"
        ip("netns", "add", self.node)
        ip("netns", "add", self.pod)
        ip("link", "add", "node0", "type", "veth", "peer", "name", "eth0", "netns", self.node)
        ip("link", "set", "node0", "up")
        ip("route", "add", f"{NODE_ADDRESS}/32", "dev", "node0")
        ip("route", "add", "10.128.0.2/32", "via", NODE_ADDRESS, "dev", "node0", "onlink")
        inside = ["-n", self.node]
        ip(*inside, "link", "set", "lo", "up")
        ip(*inside, "link", "set", "eth0", "up")
        ip(*inside, "addr", "add", f"{NODE_ADDRESS}/24", "dev", "eth0")
        ip(*inside, "route", "add", "default", "via", "172.30.0.1")
        ip(*inside, "link", "add", "pod0", "type", "veth", "peer", "name", "eth0", "netns", self.pod)
        ip(*inside, "link", "set", "pod0", "up")
        ip(*inside, "addr", "add", "10.128.0.1/32", "dev", "pod0")
        ip(*inside, "route", "add", "10.128.0.2/32", "dev", "pod0")
        subprocess.run(["ip", "netns", "exec", self.node, "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
        ip("-n", self.pod, "link", "set", "lo", "up")
        ip("-n", self.pod, "link", "set", "eth0", "up")
        ip("-n", self.pod, "addr", "add", "10.128.0.2/32", "dev", "eth0")
        ip("-n", self.pod, "route", "add", "10.128.0.1/32", "dev", "eth0")
        ip("-n", self.pod, "route", "add", "default", "via", "10.128.0.1")

    def close(self):
        ip("link", "del", "node0")  # at once; the namespace itself goes when its last process is gone
        ip("netns", "del", self.pod)
        ip("netns", "del", self.node)
