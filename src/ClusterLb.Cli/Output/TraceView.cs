using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Cli.Output;

/// <summary>One packet as <c>monitor</c> shows it.</summary>
/// <param name="Time">Wall clock.</param>
/// <param name="Verdict">forward, reject, drop, pass.</param>
/// <param name="Reason">Of a drop or rejection; else null.</param>
/// <param name="Protocol">TCP, UDP, SCTP, ICMP.</param>
/// <param name="Source">As it was read.</param>
/// <param name="Destination">As it was read.</param>
/// <param name="NewSource">As it was written, if it was forwarded; else null.</param>
/// <param name="NewDestination">As it was written, if it was forwarded; else null.</param>
/// <param name="Service"><c>namespace/name:port</c>; null if no service is involved or its name is not known.</param>
/// <param name="LengthBytes">Of the whole packet.</param>
/// <param name="NewFlow">It began its flow.</param>
/// <param name="Reply">It goes from the backend to the client.</param>
/// <param name="Masqueraded">The backend sees an address of this node.</param>
/// <param name="Worker">Who handled it.</param>
/// <param name="Queue">The queue of its flow.</param>
internal sealed record TraceView(
    DateTimeOffset Time,
    string Verdict,
    string? Reason,
    string Protocol,
    string Source,
    string Destination,
    string? NewSource,
    string? NewDestination,
    string? Service,
    int LengthBytes,
    bool NewFlow,
    bool Reply,
    bool Masqueraded,
    int Worker,
    int Queue)
{
    /// <summary>Puts names to an event.</summary>
    /// <param name="e">The event.</param>
    /// <param name="time">The wall clock at the event.</param>
    /// <param name="maps">For the service's name; null if there are none.</param>
    public static TraceView Of(TraceEvent e, DateTimeOffset time, LbMaps? maps)
    {
        bool isForwarded = e.Verdict == Dataplane.Verdict.Forward;
        string? service = null;
        _ = e.ServicePortId != 0 && maps is not null && maps.ServiceNames.TryLookup(e.ServicePortId, out service);
        return new TraceView(
            time,
            Words.VerdictOf(e.Verdict),
            e.DropReason == DropReason.None ? null : e.DropReason.ToString(),
            Words.ProtocolOf(e.Tuple.Protocol),
            EndOf(e.Tuple.Source, e.Tuple.SourcePort, e.Tuple.Protocol),
            EndOf(e.Tuple.Destination, e.Tuple.DestinationPort, e.Tuple.Protocol),
            isForwarded ? EndOf(e.Translated.Source, e.Translated.SourcePort, e.Translated.Protocol) : null,
            isForwarded ? EndOf(e.Translated.Destination, e.Translated.DestinationPort, e.Translated.Protocol) : null,
            service,
            e.LengthBytes,
            e.Flags.HasFlag(TraceFlags.NewFlow),
            e.Flags.HasFlag(TraceFlags.Reply),
            e.Flags.HasFlag(TraceFlags.Masqueraded),
            e.Worker,
            e.Queue);
    }

    /// <summary>One line: time, verdict, packet as it came, as it went, and what is known of it.</summary>
    public override string ToString()
    {
        var words = new List<string>
        {
            $"{Time.LocalDateTime:HH:mm:ss.ffffff}", $"{Verdict,-7}", $"{Source} > {Destination}", Protocol.ToLowerInvariant(),
        };
        if (NewSource is not null)
        {
            words.Add($"as {NewSource} > {NewDestination}");
        }

        if (Reason is not null)
        {
            words.Add($"({Reason})");
        }

        if (Service is not null)
        {
            words.Add(Service);
        }

        words.AddRange(Properties());
        words.Add($"length {LengthBytes}");
        return string.Join(' ', words);
    }

    private IEnumerable<string> Properties()
    {
        if (NewFlow)
        {
            yield return "new";
        }

        if (Reply)
        {
            yield return "reply";
        }

        if (Masqueraded)
        {
            yield return "masqueraded";
        }
    }

    private static string EndOf(IpAddr address, ushort port, IpProtocol protocol) =>
        protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Sctp ? address.WithPort(port) : address.ToString();
}
