"""A real etcd and kube-apiserver in the network namespace of this process, and the objects that the benchmark puts into it."""
import base64
import http.client
import json
import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import uuid

ADDRESS = "172.30.0.1"
NAMESPACE = "bench"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
NODES = "/api/v1/nodes"


def octets(base, number):
    return f"10.{base + (number >> 16)}.{(number >> 8) & 255}.{number & 255}"


def cluster_ip(number):
    return octets(96, number + 256)


def service(number, protocol="TCP"):
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": f"svc-{number}", "namespace": NAMESPACE, "labels": {"app": f"svc-{number}"}},
            "spec": {"clusterIP": cluster_ip(number), "ports": [{"name": "http", "port": 80, "protocol": protocol, "targetPort": 8080}]}}


def ip_address(number):
    """What the API server notes for a cluster IP that it has given."""
    return {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
            "metadata": {"name": cluster_ip(number), "labels": {"ipaddress.kubernetes.io/ip-family": "IPv4",
                                                                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
            "spec": {"parentRef": {"group": "", "resource": "services", "namespace": NAMESPACE, "name": f"svc-{number}"}}}


def stored(item):
    """An object as the API server would have stored it."""
    item["metadata"].update(uid=str(uuid.uuid4()), creationTimestamp="2026-01-01T00:00:00Z", generation=1)
    if item["kind"] == "Service":
        item["spec"].update(clusterIPs=[item["spec"]["clusterIP"]], type="ClusterIP", sessionAffinity="None", ipFamilies=["IPv4"],
                            ipFamilyPolicy="SingleStack", internalTrafficPolicy="Cluster")
        item["status"] = {"loadBalancer": {}}
    return item


def encoded(data):
    return base64.b64encode(data).decode()


def endpoint(address, pod):
    return {"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False}, "nodeName": f"node-{pod % 100}",
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": f"svc-7d4b9c6f5-{pod:05x}", "uid": f"11111111-0000-4000-8000-{pod:012d}"}}


def slice_of(number, endpoints, changed=0):
    """A slice as the controller makes it. A change replaces the first address and says when that was."""
    first = number * endpoints
    addresses = [octets(128, first + i) for i in range(endpoints)]
    if changed:
        addresses[0] = octets(192, (number * 61 + changed) % 4_000_000)
    metadata = {"name": f"svc-{number}-abcde", "namespace": NAMESPACE,
                "labels": {"kubernetes.io/service-name": f"svc-{number}", "app": f"svc-{number}",
                           "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}}
    if changed:
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"
        metadata["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": stamp}
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "metadata": metadata,
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [endpoint(a, first + i) for i, a in enumerate(addresses)]}


class ControlPlane:
    """etcd and kube-apiserver until closed; requests from any thread."""

    def __init__(self, binaries, data=None):
        """`data`: folder of etcd that stays, to be used again; None: a fresh one."""
        self.folder = tempfile.mkdtemp(prefix="clb-bench-api-")
        self.token = secrets.token_hex(16)
        with open(f"{self.folder}/tokens.csv", "w") as file:
            file.write(f"{self.token},admin,admin,system:masters\n")
        subprocess.run(["openssl", "genrsa", "-out", f"{self.folder}/sa.key", "2048"], check=True, capture_output=True)
        self.processes = []
        self.local = threading.local()
        self._start(f"{binaries}/etcd", "--data-dir", data or f"{self.folder}/etcd", "--unsafe-no-fsync", "--quota-backend-bytes", str(8 << 30),
                    "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
                    "--listen-peer-urls", "http://127.0.0.1:2380")
        self._start(f"{binaries}/kube-apiserver", "--etcd-servers", "http://127.0.0.1:2379", "--bind-address", ADDRESS, "--secure-port", "6443",
                    "--cert-dir", f"{self.folder}/certs", "--advertise-address", ADDRESS, "--service-cluster-ip-range", "10.96.0.0/12",
                    "--authorization-mode", "RBAC", "--token-auth-file", f"{self.folder}/tokens.csv",
                    "--disable-admission-plugins", "ServiceAccount", "--service-account-issuer", "https://kubernetes.default.svc",
                    "--service-account-key-file", f"{self.folder}/sa.key", "--service-account-signing-key-file", f"{self.folder}/sa.key",
                    "--max-mutating-requests-inflight", "1000", "--endpoint-reconciler-type", "none")
        self.server_version = self._wait_ready()
        self.kubeconfig = f"{self.folder}/kubeconfig"
        with open(f"{self.folder}/certs/apiserver.crt", "rb") as file:
            authority = base64.b64encode(file.read()).decode()
        with open(self.kubeconfig, "w") as file:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "b",
                       "clusters": [{"name": "b", "cluster": {"server": f"https://{ADDRESS}:6443", "certificate-authority-data": authority}}],
                       "users": [{"name": "b", "user": {"token": self.token}}],
                       "contexts": [{"name": "b", "context": {"cluster": "b", "user": "b"}}]}, file)

    def _start(self, *command):
        log = open(f"{self.folder}/{os.path.basename(command[0])}.log", "w")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def _wait_ready(self):
        end = time.time() + 90
        while time.time() < end:
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return json.loads(self.request("GET", "/version")[1])["gitVersion"]
            except OSError:
                self.local.connection = None
            time.sleep(0.2)
        with open(f"{self.folder}/kube-apiserver.log") as log:
            raise SystemExit("The API server did not come up: " + log.read()[-2000:])

    @staticmethod
    def _connect():
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # its certificate is being made while we wait for it
        return http.client.HTTPSConnection(ADDRESS, 6443, context=context, timeout=60)

    def open(self, path):
        """The answer to a GET on a connection of its own, to be read piece by piece."""
        connection = self._connect()
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        return connection.getresponse()

    def request(self, method, path, body=None):
        """Status and body. One connection for each thread; a request is not repeated."""
        connection = self.local.connection = getattr(self.local, "connection", None) or self._connect()
        if connection.sock and time.time() - self.local.used > 30:
            connection.close()  # the server may have; it is opened again by itself
        self.local.used = time.time()
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        connection.request(method, path, None if body is None else json.dumps(body, separators=(",", ":")), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def must(self, method, path, body=None):
        status, text = self.request(method, path, body)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {text[:500]!r}")
        return text

    def is_filled(self):
        return self.request("GET", f"/api/v1/namespaces/{NAMESPACE}-filled")[0] == 200

    def fill(self, services, endpoints, node, address):
        """The node, and so many services with one slice each."""
        self.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self.must("POST", NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}, "spec": {"podCIDR": "10.128.0.0/24", "podCIDRs": ["10.128.0.0/24"]}})
        self.must("PATCH", f"{NODES}/{node}/status", {"status": {"addresses": [{"type": "InternalIP", "address": address}]}})
        # Straight into etcd: creating a service by the API takes the longer the more there are (half a second at 20,000).
        items = []
        for number in range(services):
            name = f"svc-{number}"
            items.append((f"services/specs/{NAMESPACE}/{name}", stored(service(number))))
            items.append((f"ipaddresses/{cluster_ip(number)}", stored(ip_address(number))))
            items.append((f"endpointslices/{NAMESPACE}/{name}-abcde", stored(slice_of(number, endpoints))))
        connection = http.client.HTTPConnection("127.0.0.1", 2379, timeout=60)
        for start in range(0, len(items), 48):
            puts = [{"requestPut": {"key": encoded(f"/registry/{key}".encode()), "value": encoded(json.dumps(item).encode())}}
                    for key, item in items[start:start + 48]]
            connection.request("POST", "/v3/kv/txn", json.dumps({"success": puts}), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SystemExit(f"etcd: {answer.status} {text[:500]!r}")
        self.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{NAMESPACE}-filled"}})

    def change(self, number, endpoints, changed):
        """Replaces one endpoint. Returns when the request was sent."""
        body = slice_of(number, endpoints, changed)
        sent = time.time()
        self.must("PUT", f"{SLICES}/svc-{number}-abcde", body)
        return sent

    def close(self):
        for process in reversed(self.processes):  # etcd last, and in peace: its data may be used again
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
