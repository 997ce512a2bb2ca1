#!/usr/bin/env python3
"""Tables (Markdown) out of what beside.py wrote: report.py FILE..."""
import json
import statistics
import sys

from proxy import NAMES


def quantile(values, share):
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, int(-(-share * len(ordered) // 1)) - 1))]


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratio(ours, theirs):
    return "" if not ours or ours is theirs else f", {theirs / ours:.1f} ×"


def table(title, columns, results, cells):
    print(f"\n{title}\n\n| | {' | '.join(columns)} | load |\n|---|{'---|' * (len(columns) + 1)}")
    for r in results:
        row = ["failed: " + r["error"].splitlines()[0]] + [""] * (len(columns) - 1) if "error" in r else cells(r)
        print(f"| {NAMES[r['proxy']]} | {' | '.join(row)} | {r['load'][0]:.0f} to {r['load'][-1]:.0f} |")


def main():
    for name in sys.argv[1:]:
        with open(name) as file:
            run = json.load(file)
        size, results = f"{run['services']:,} services × {run['endpoints']}", run["results"]
        good = [r for r in results if "error" not in r]
        ours = next((r for r in good if r["proxy"] == "clusterlb"), None)

        def cold(r):
            work = f"{r['list_s']:.2f} (beyond the transfer {max(0, r['list_s'] - r['transfer_s']):.2f})" if "list_s" in r else "–"
            memory = r["memory"]
            return [f"{r['start_s']:.2f}{ratio(ours and ours['start_s'], r['start_s']) if r is not ours else ''}", work, f"{r['transfer_s']:.2f}", f"{r['start_cpu_s']:.1f}",
                    f"{memory['Rss']:.0f}", f"{memory['Pss']:.0f}", f"{r['idle_millicores']:.1f}" if "idle_millicores" in r else "–"]

        table(f"### {size}: start, memory, idle", ["process start → first sync, s", "first byte of the list → last map entry, s", "the list read by nobody, s",
              "processor until then, s", "resident, MB", "proportional, MB", "idle, thousandths of a processor"], results, cold)
        if any(r.get("change_ms") for r in good):
            base = ours and statistics.median(ours["change_ms"])
            table(f"### {size}: one endpoint changed", ["request sent → rules written, ms: median (spread), n", "bytes here → last map entry, ms: p50, p99, most, n"], results, lambda r: [
                f"{spread(r['change_ms'])}, {len(r['change_ms'])}{'' if r is ours else ratio(base, statistics.median(r['change_ms']))}",
                f"{statistics.median(r['inside_ms']):.2f}, {quantile(r['inside_ms'], 0.99):.2f}, {max(r['inside_ms']):.2f}, {len(r['inside_ms'])}" if r.get("inside_ms") else "–"])
        if any("churn" in r for r in good):
            def trip(x):
                return f"{x['p50_us']}, {x['p99_us']} ({x['lost']} of {x['sent']} lost)"
            table(f"### {size}: many changes", ["changes/s reached", "last one written after, s", "thousandths of a processor", "round trip µs p50, p99: quiet",
                  "… beside as many requests that no proxy sees", "… beside the changes"], results, lambda r: [
                f"{r['churn']['rate']:.0f}", f"{r['drained_s']:.2f}", f"{r['churn']['millicores']:.0f}", trip(r["quiet"]), trip(r["beside"]["round_trips"]), trip(r["churn"]["round_trips"])])


if __name__ == "__main__":
    main()
