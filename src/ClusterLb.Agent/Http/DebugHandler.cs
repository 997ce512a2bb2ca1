using System.Globalization;
using System.Text;
using ClusterLb.Agent.Logging;
using Microsoft.AspNetCore.Http;

namespace ClusterLb.Agent.Http;

/// <summary>/debug/*: what this process is doing, for who looks for memory or processor time. Only with enableProfiling.</summary>
internal sealed class DebugHandler(KlogProvider log)
{
    private const string Index =
        "/debug/flags/v              PUT a number: the level of the log, at once\n" +
        "/debug/pprof/cmdline        the command line\n" +
        "/debug/pprof/heap           the managed heap by generation\n" +
        "/debug/pprof/threadcreate   every thread with its processor time\n";

    /// <summary>One request.</summary>
    public Task HandleAsync(HttpContext context) => context.Request.Path.Value switch
    {
        "/debug/pprof/" or "/debug/pprof" => PlainAnswer.WriteAsync(context, Index),
        "/debug/pprof/cmdline" => PlainAnswer.WriteAsync(context, File.ReadAllText("/proc/self/cmdline").TrimEnd('\0')),
        "/debug/pprof/heap" => PlainAnswer.WriteAsync(context, Heap()),
        "/debug/pprof/threadcreate" => PlainAnswer.WriteAsync(context, Threads()),
        "/debug/flags/v" => SetVerbosityAsync(context),
        _ => PlainAnswer.NotFoundAsync(context),
    };

    // As kube-proxy: PUT with the level as the body.
    private async Task SetVerbosityAsync(HttpContext context)
    {
        if (!HttpMethods.IsPut(context.Request.Method))
        {
            await PlainAnswer.WriteAsync(context, "unsupported http method", "text/plain", StatusCodes.Status406NotAcceptable);
            return;
        }

        using var reader = new StreamReader(context.Request.Body);
        string text = (await reader.ReadToEndAsync(context.RequestAborted)).Trim();
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int level))
        {
            await PlainAnswer.WriteAsync(context, $"'{text}' is not a level: it must be a number", status: StatusCodes.Status400BadRequest);
            return;
        }

        log.Verbosity = level;
        await PlainAnswer.WriteAsync(context, $"successfully set klog.logging.verbosity to {level}", "text/plain");
    }

    private static string Heap()
    {
        GCMemoryInfo heap = GC.GetGCMemoryInfo(GCKind.Any);
        var text = new StringBuilder();
        Line("in use", GC.GetTotalMemory(forceFullCollection: false));
        Line("allocated since the start", GC.GetTotalAllocatedBytes());
        Line("committed", heap.TotalCommittedBytes);
        Line("fragmented", heap.FragmentedBytes);
        for (int generation = 0; generation < heap.GenerationInfo.Length; generation++)
        {
            string name = generation switch { 3 => "large objects", 4 => "pinned objects", _ => $"generation {generation}" };
            Line(name, heap.GenerationInfo[generation].SizeAfterBytes);
        }

        for (int generation = 0; generation <= GC.MaxGeneration; generation++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{$"collections of generation {generation}",-28}{GC.CollectionCount(generation),16}\n");
        }

        return text.ToString();

        void Line(string name, long bytes) => text.Append(CultureInfo.InvariantCulture, $"{name,-28}{bytes,16} bytes\n");
    }

    private static string Threads()
    {
        var text = new StringBuilder();
        foreach (string task in Directory.EnumerateDirectories("/proc/self/task").Order(StringComparer.Ordinal))
        {
            try
            {
                // proc(5): pid (comm) state …; utime and stime are fields 14 and 15, in ticks of 10 ms. A name may hold blanks.
                string stat = File.ReadAllText(Path.Combine(task, "stat"));
                string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                string name = stat[(stat.IndexOf('(', StringComparison.Ordinal) + 1)..stat.LastIndexOf(')')];
                text.Append(CultureInfo.InvariantCulture, $"{Path.GetFileName(task),8} {fields[0]} {name,-16} user {Seconds(fields[11]):0.00} s system {Seconds(fields[12]):0.00} s\n");
            }
            catch (IOException)
            {
                // The thread has ended.
            }
        }

        return text.ToString();

        static double Seconds(string ticks) => long.Parse(ticks, CultureInfo.InvariantCulture) / 100.0;
    }
}
