using ClusterLb.Agent.Explain;

namespace ClusterLb.Cli.Output;

/// <summary>An explanation for people who learn what a service is.</summary>
internal static class ExplanationText
{
    private const int BackendsInFull = 5;
    private const int LeftOutInFull = 10;

    /// <summary>Prints it.</summary>
    public static void Write(Explanation e, TextWriter writer)
    {
        writer.WriteLine($"{e.Protocol} {e.Source} -> {e.Destination}");
        writer.WriteLine();
        Line(writer, "source", e.SourceKind);
        Line(writer, "destination", e.DestinationKind);
        Line(writer, "conntrack", e switch
        {
            { LiveFlow: { } flow } => $"{flow}; its packets follow it, what follows is a new connection",
            { LiveFlowUnknown: { } why } => $"not known ({why}): what follows is a new connection",
            _ => "no flow of this tuple: what follows is a new connection",
        });
        WriteFrontend(e, writer);
        Line(writer, "verdict", $"{e.Verdict}{(e.Reason is null ? "" : $" ({e.Reason})")}");
        Line(writer, "why", e.Why);
        if (e.Answer is not null)
        {
            Line(writer, "answer", e.Answer);
        }

        WriteLeftOut(e, writer);
        WriteBackends(e, writer);
    }

    private static void WriteFrontend(Explanation e, TextWriter writer)
    {
        if (e.Frontend is not { } frontend)
        {
            Line(writer, "frontend", "none matches");
            foreach (string miss in e.NearMisses ?? [])
            {
                Line(writer, "", $"near: {miss}");
            }

            return;
        }

        string service = frontend.Service.Length == 0 ? "" : $" of {frontend.Service}";
        Line(writer, "frontend", $"{frontend.Address}, {frontend.Type}{service} (id {frontend.Id})");
        string scope = frontend.Scope == "all" ? "the same for every source" : $"the {frontend.Scope} set, because of the source";
        Line(writer, "backends", $"{Count(frontend.Slots, "slot")}, {scope}");
        if (frontend.SharePercent is { } percent)
        {
            Line(writer, "split", $"{percent}% of the new connections go to {Count(frontend.CanarySlots ?? 0, "backend")} of another service");
        }

        if (frontend.Slots > 0 || frontend.CanarySlots > 0)
        {
            string choice = frontend.Algorithm == "random" ? "at random" : frontend.Algorithm;
            Line(writer, "choice", frontend.AffinitySeconds is { } seconds
                ? $"a client stays with its backend for {seconds} s after its last new connection; else {choice}"
                : $"{choice}, for every new connection");
        }
    }

    private static void WriteLeftOut(Explanation e, TextWriter writer)
    {
        if (e.Hints is not null)
        {
            Line(writer, "hints", e.Hints);
        }

        if (e.LeftOutUnknown is not null)
        {
            Line(writer, "left out", $"not known ({e.LeftOutUnknown})");
        }

        foreach (LeftOutBackend backend in (e.LeftOut ?? []).Take(LeftOutInFull))
        {
            Line(writer, "left out", $"{backend.Backend}: {backend.Why}");
        }

        if (e.LeftOut?.Count > LeftOutInFull)
        {
            Line(writer, "left out", $"and {e.LeftOut.Count - LeftOutInFull} more (-o json tells all)");
        }
    }

    private static void WriteBackends(Explanation e, TextWriter writer)
    {
        foreach (ExplainedBackend backend in e.Backends.Take(BackendsInFull))
        {
            writer.WriteLine();
            string canary = backend.IsCanary ? " of the canary" : "";
            writer.WriteLine($"{(backend.Slot is { } slot ? $"slot {slot}" : "backend")}{canary}: {backend.Backend}");
            if (backend.ChosenBy != "at random")
            {
                Line(writer, "  chosen by", backend.ChosenBy);
            }

            Line(writer, "  sent as", backend.Sent);
            Line(writer, "  masquerade", $"{(backend.Masquerade ? "yes" : "no")}, {backend.MasqueradeWhy}");
            Line(writer, "  answer", backend.Answer + (backend.AnswerIsFromFrontend ? "" : "  NOT from whom the client dialled"));
        }

        if (e.Backends.Count > BackendsInFull)
        {
            writer.WriteLine();
            writer.WriteLine($"and in the same way, as one of {e.Backends.Count} backends:");
            foreach (ExplainedBackend backend in e.Backends.Skip(BackendsInFull))
            {
                writer.WriteLine($"  {backend.Backend}{(backend.Masquerade ? " (masqueraded)" : "")}");
            }
        }
    }

    private static void Line(TextWriter writer, string name, string text) => writer.WriteLine($"{name,-14}{text}");

    private static string Count(uint count, string word) => count == 1 ? $"1 {word}" : $"{count} {word}s";
}
