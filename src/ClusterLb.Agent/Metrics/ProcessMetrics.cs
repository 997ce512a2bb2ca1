using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Runtime.InteropServices;
using ClusterLb.Agent.Network;

namespace ClusterLb.Agent.Metrics;

/// <summary>What every Kubernetes component tells of its process and its build (Prometheus' process collector, kubernetes_build_info).</summary>
internal static class ProcessMetrics
{
    /// <summary>Adds them.</summary>
    /// <param name="meter">Whose instruments they become.</param>
    /// <param name="version">Of the program.</param>
    public static void Observe(Meter meter, string version)
    {
        var build = new Measurement<long>(1, BuildLabels(version));
        meter.CreateObservableGauge("kubernetes_build_info", () => build, null, "Always 1; the labels say what this program was built from and where it runs.");
        double started = new DateTimeOffset(Process.GetCurrentProcess().StartTime.ToUniversalTime()).ToUnixTimeMilliseconds() / 1000.0;
        meter.CreateObservableGauge("process_start_time_seconds", () => started, "s", "Start of the process, in seconds since 1970.");
        meter.CreateObservableCounter(
            "process_cpu_seconds_total", () => Environment.CpuUsage.TotalTime.TotalSeconds, "s", "Processor time of the agent, user and system.");
        meter.CreateObservableGauge("process_resident_memory_bytes", () => Status("VmRSS:"), "By", "Resident memory of the agent.");
        meter.CreateObservableGauge("process_virtual_memory_bytes", () => Status("VmSize:"), "By", "Address space of the agent.");
        meter.CreateObservableGauge("process_virtual_memory_max_bytes", () => Limit("Max address space"), "By", "Largest address space that is allowed.");
        meter.CreateObservableGauge(
            "process_open_fds", () => (long)Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(), null, "Open file descriptors of the agent.");
        meter.CreateObservableCounter(
            "process_network_receive_bytes_total", () => KernelCounters.Read("IpExt", "InOctets"), "By", "Bytes received in the agent's network namespace.");
        meter.CreateObservableCounter(
            "process_network_transmit_bytes_total", () => KernelCounters.Read("IpExt", "OutOctets"), "By", "Bytes sent in the agent's network namespace.");
        meter.CreateObservableGauge("process_max_fds", () => Limit("Max open files"), null, "Most file descriptors that are allowed.");
    }

    // go_version keeps its name: it is the runtime's.
    private static KeyValuePair<string, object?>[] BuildLabels(string version)
    {
        string[] numbers = version.Split('.');
        return
        [
            new("build_date", ""), new("compiler", "dotnet"), new("git_commit", ""), new("git_tree_state", ""),
            new("git_version", $"v{version}"), new("go_version", RuntimeInformation.FrameworkDescription), new("major", numbers[0]),
            new("minor", numbers.ElementAtOrDefault(1) ?? ""), new("platform", "linux/" + (RuntimeInformation.OSArchitecture == Architecture.X64 ? "amd64" : "arm64")),
        ];
    }

    /// <summary>A line of /proc/self/status, in bytes.</summary>
    private static long Status(string field) =>
        Number(File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal))?[field.Length..]) is { } kibibytes
            ? (long)kibibytes * 1024
            : 0;

    /// <summary>The soft limit of a line of /proc/self/limits; one that is not limited is the largest number.</summary>
    private static double Limit(string field) =>
        Number(File.ReadLines("/proc/self/limits").FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal))?[field.Length..]) ?? ulong.MaxValue;

    private static double? Number(string? text) =>
        double.TryParse(text?.Split(' ', '\t').FirstOrDefault(word => word.Length > 0), CultureInfo.InvariantCulture, out double number) ? number : null;
}
