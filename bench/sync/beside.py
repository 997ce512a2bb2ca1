#!/usr/bin/env python3
"""How fast changes reach the rules of packets, and what that costs: ClusterLb and kube-proxy in turn, beside one real kube-apiserver.

    KUBEBUILDER_ASSETS=DIR bench/sync/beside.py --clusterlb artifacts/clusterlb --services 10000 --endpoints 5 --changes 20 --idle 30

Every proxy gets a fresh node in network namespaces of its own; the API server and its objects stay the same. Figures, per proxy:
  start    from the start of the process to the end of the first sync, and processor time until then
  list     of ClusterLb: from the first byte of the list to the last map entry (clusterlb sync trace); beside it `transfer`:
           the same requests when nobody looks at what they bring
  memory   of all its processes after the first sync and at the end: resident (added up), proportional (a shared page counts once);
           rules in the kernel, and pages of ClusterLb's map files that no process has mapped, are not in it: `files` are those
  idle     processor time while nothing changes, in thousandths of a processor
  change   one endpoint is replaced, one change at a time; from the moment the request goes out to the API server until the proxy
           says that its rules are written (kubeproxy_sync_proxy_rules_last_timestamp_seconds, which all of them have)
  inside   of ClusterLb, the same changes: its bytes were read → its last map entry (clusterlb sync trace)
  churn    changes at a fixed rate; are they all written when the last one is sent, and what round trips of packets through a service
           take meanwhile, beside a quiet time before
Needs root, openssl, iproute2; for kube-proxy iptables and nft. Removes what it made.
"""
import argparse
import http.client
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time

from control_plane import ADDRESS, SERVICES, SLICES, ControlPlane, cluster_ip, endpoint, service, slice_of
from network import NODE_ADDRESS, ControlPlaneNamespace, NodeNamespaces
from proxy import NAMES, NODE, Proxy, ProxyError

HERE = os.path.dirname(os.path.abspath(__file__))
ECHO_PORT = 9000
UNWATCHED = 200
CHANGED = itertools.count(int(time.time()))  # every change is another one, those of earlier runs included


def quantile(values, share):
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, int(-(-share * len(ordered) // 1)) - 1))]


def transfer(api):
    """Seconds that the list takes, both resources together as the agent asks for them, when it is read and thrown away."""
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=60"

    def read(path):
        answer = api.open(f"{path}?{query}")
        end = b""
        while b"initial-events-end" not in end:
            end = end[-100:] + answer.read1(1 << 20)

    begun = time.time()
    readers = [threading.Thread(target=read, args=(path,)) for path in ("/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices")]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return time.time() - begun


def changes(args, api, proxy, count, pause):
    """One change at a time. Milliseconds from the request to the rules."""
    took = []
    for n in range(count):
        time.sleep(pause)
        sent = api.change((n * 7919) % args.services, args.endpoints, next(CHANGED))
        took.append((proxy.wait_written(sent, args.patience) - sent) * 1000)
    return took


def inside(change):
    """Milliseconds of a change that ClusterLb itself took: from its bytes to its last map entry."""
    return change["readMs"] + change["writeMs"]


def fast_changes(args, api, proxy):
    """More of them, for a p99: each as soon as the least time between two syncs is over. The newest first, as `sync trace` tells them."""
    for n in range(args.samples):
        time.sleep(1.2)
        api.change((n * 104729) % args.services, args.endpoints, next(CHANGED))
    time.sleep(1.2)
    trace = proxy.verb("sync", "trace", "-n", "2000")["changes"]
    return sorted(trace, key=lambda c: -c["number"])[:args.samples]


def ask(nodes, seconds, args):
    return subprocess.Popen(["ip", "netns", "exec", nodes.pod, sys.executable, f"{HERE}/echo.py", "ask", cluster_ip(args.services), str(ECHO_PORT), str(seconds)],
                            stdout=subprocess.PIPE, text=True)


def answers(client):
    found = json.loads(client.communicate()[0])
    return {"p50_us": quantile(found["times"], 0.5), "p99_us": quantile(found["times"], 0.99), "sent": len(found["times"]) + found["lost"], "lost": found["lost"]}


def churn(args, api, nodes, proxy, target):
    """Changes at a fixed rate, beside round trips of packets. `target` says where the requests go: the slices, or an object nobody watches."""
    client = ask(nodes, args.churn, args)
    cpu, begun, late, failed = proxy.cpu(), time.time(), [0.0], [0]
    workers = 24
    total = args.churn * args.rate

    def send(worker):
        for i in range(worker, total, workers):
            wait = begun + i / args.rate - time.time()
            if wait > 0:
                time.sleep(wait)
            else:
                late[0] = max(late[0], -wait)
            try:
                target(i)
            except (OSError, http.client.HTTPException):
                failed[0] += 1
                api.local.connection = None

    threads = [threading.Thread(target=send, args=(w,), daemon=True) for w in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = time.time()
    spent = proxy.cpu() - cpu
    result = {"rate": total / (ended - begun), "late_s": late[0], "failed": failed[0], "millicores": spent / (ended - begun) * 1000, "round_trips": answers(client)}
    return result, ended


def measure(args, api, kind):
    program = args.clusterlb if kind == "clusterlb" else f"{args.binaries}/kube-proxy"
    nodes = NodeNamespaces()
    result = {"proxy": kind, "load": [os.getloadavg()[0]]}
    proxy = None
    try:
        result["transfer_s"] = transfer(api)
        proxy = Proxy(kind, os.path.abspath(program), api.kubeconfig, nodes.node, NODE_ADDRESS)
        synced = proxy.wait_synced(args.patience)
        result["start_s"], result["start_cpu_s"] = synced - proxy.begun, proxy.cpu()
        if kind == "clusterlb":
            result["list_s"] = proxy.verb("sync", "trace").get("firstListMs", 0) / 1000
        time.sleep(args.settle)
        result["memory"] = proxy.memory()
        if kind == "clusterlb":
            result["files_mb"] = sum(e.stat().st_blocks * 512 for e in walk(proxy.state)) / 1e6
        if args.idle:
            before, begun = proxy.cpu(), time.time()
            time.sleep(args.idle)
            result["idle_millicores"] = (proxy.cpu() - before) / (time.time() - begun) * 1000
        if args.changes:
            result["change_ms"] = changes(args, api, proxy, args.changes, 1.4)
        if args.samples and kind == "clusterlb":
            traced = fast_changes(args, api, proxy)
            result["inside_ms"] = [inside(c) for c in traced]
            result["slowest"] = sorted(traced, key=inside)[-5:]
        if args.churn:
            result["quiet"] = answers(ask(nodes, args.churn / 2, args))
            result["beside"], _ = churn(args, api, nodes, proxy, lambda i: api.must("PUT", f"{SLICES}/unwatched-{i % UNWATCHED}", unwatched(i % UNWATCHED, next(CHANGED))))
            result["churn"], ended = churn(args, api, nodes, proxy, lambda i: api.change((i * 7919) % args.services, args.endpoints, next(CHANGED)))
            result["drained_s"] = proxy.wait_written(ended, args.patience) - ended
        result["memory_end"] = proxy.memory()
    except ProxyError as e:
        result["error"] = str(e)
    finally:
        if proxy:
            if args.keep_log:
                print(proxy.tail(), file=sys.stderr)
            proxy.stop()
        nodes.close()
    result["load"].append(os.getloadavg()[0])
    return result


def walk(folder):
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path)
        elif entry.is_file(follow_symlinks=False):
            yield entry


def unwatched(number, changed):
    """A slice that no proxy asks for: it is another proxy's. As much work for the API server, none for ours."""
    item = slice_of(number, 5, changed)
    item["metadata"]["name"] = f"unwatched-{number}"
    item["metadata"]["labels"]["service.kubernetes.io/service-proxy-name"] = "another"
    return item


def show(r):
    if "error" in r:
        print(f"{NAMES[r['proxy']]}: FAILED: {r['error']}", flush=True)
        return
    text = f"{NAMES[r['proxy']]}: start {r['start_s']:.2f} s (cpu {r['start_cpu_s']:.2f}), transfer {r['transfer_s']:.2f} s"
    if "list_s" in r:
        text += f", list {r['list_s']:.2f} s, files {r['files_mb']:.0f} MB"
    text += "".join(f", {m} rss {r[m]['Rss']:.0f} pss {r[m]['Pss']:.0f} (anon {r[m]['Pss_Anon']:.0f} file {r[m]['Pss_File']:.0f} shmem {r[m]['Pss_Shmem']:.0f})"
                    for m in ("memory", "memory_end"))
    for name in ("change_ms", "inside_ms"):
        if r.get(name):
            v = r[name]
            text += f", {name} p50 {statistics.median(v):.3f} p99 {quantile(v, 0.99):.3f} ({min(v):.3f} to {max(v):.3f}, n={len(v)})"
    for name in ("idle_millicores", "quiet", "beside", "churn", "drained_s"):
        if name in r:
            text += f", {name} {json.dumps(r[name])}"
    print(f"{text}, load {r['load'][0]:.1f} to {r['load'][1]:.1f}", flush=True)


def end(*_):
    """SIGTERM: what was made is removed. `timeout` sends it twice; once is enough."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("ended")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusterlb", required=True)
    parser.add_argument("--binaries", default=os.environ.get("KUBEBUILDER_ASSETS"), help="folder with etcd, kube-apiserver, kube-proxy")
    parser.add_argument("--proxies", default="clusterlb,iptables,nftables", help="in this order; may name one twice")
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--endpoints", type=int, default=5, help="of each service")
    parser.add_argument("--data", help="folder for etcd's data, to be filled once and used again (default: a new one)")
    parser.add_argument("--settle", type=float, default=5, help="seconds between the first sync and the look at memory")
    parser.add_argument("--idle", type=float, default=0, help="seconds to look at an idle proxy")
    parser.add_argument("--changes", type=int, default=0, help="changes for every proxy")
    parser.add_argument("--samples", type=int, default=0, help="further changes for ClusterLb")
    parser.add_argument("--churn", type=int, default=0, help="seconds of many changes")
    parser.add_argument("--rate", type=int, default=1000, help="of those, for each second")
    parser.add_argument("--patience", type=float, default=240)
    parser.add_argument("--keep-log", action="store_true", help="print the end of each proxy's log")
    parser.add_argument("--out", help="file for the results as JSON")
    args = parser.parse_args()
    if not args.binaries:
        parser.error("KUBEBUILDER_ASSETS is not set")
    args.clusterlb = os.path.abspath(args.clusterlb)
    signal.signal(signal.SIGTERM, end)
    namespace, api, server, results = ControlPlaneNamespace(), None, None, []
    try:
        api = ControlPlane(args.binaries, args.data and f"{args.data}/{args.services}x{args.endpoints}")
        begun = time.time()
        if not api.is_filled():
            api.fill(args.services, args.endpoints, NODE, NODE_ADDRESS)
            echo = service(args.services, "UDP")
            echo["spec"]["ports"][0]["port"] = ECHO_PORT
            api.must("POST", SERVICES, echo)
            item = slice_of(args.services, 1)
            item["ports"][0].update(port=ECHO_PORT, protocol="UDP")
            item["endpoints"] = [endpoint(ADDRESS, 1)]
            api.must("POST", SLICES, item)
            for number in range(UNWATCHED):
                api.must("POST", SLICES, unwatched(number, next(CHANGED)))
        server = subprocess.Popen([sys.executable, f"{HERE}/echo.py", "serve", ADDRESS, str(ECHO_PORT)])
        print(f"kube-apiserver {api.server_version}: {args.services} services × {args.endpoints} endpoints, written in {time.time() - begun:.0f} s", flush=True)
        for kind in args.proxies.split(","):
            results.append(measure(args, api, kind))
            show(results[-1])
    finally:
        if server:
            server.kill()
        if api:
            api.close()
        namespace.close()
        if args.out:
            with open(args.out, "w") as file:
                json.dump({"services": args.services, "endpoints": args.endpoints, "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
