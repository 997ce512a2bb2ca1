using System.Net;

namespace ClusterLb.Lab.Client;

/// <summary>What came of many connections.</summary>
/// <param name="Target">Address and port dialled.</param>
/// <param name="Protocol">http, tcp or udp.</param>
/// <param name="Connections">How many were tried.</param>
/// <param name="Succeeded">How many were answered.</param>
/// <param name="AnsweredBy">Connections by pod.</param>
/// <param name="Clients">Client addresses, without port, that the servers saw.</param>
/// <param name="PortsKept">Connections whose server saw the very address and port that the client has.</param>
/// <param name="Failures">Connections by failure.</param>
/// <param name="MedianMs">Milliseconds from dialling to the whole answer.</param>
/// <param name="P99Ms">99 of 100 were faster.</param>
/// <param name="MaxMs">The slowest.</param>
/// <param name="ElapsedMs">All of them together.</param>
public sealed record ConnectReport(
    string Target, string Protocol, int Connections, int Succeeded, IReadOnlyDictionary<string, int> AnsweredBy,
    IReadOnlyList<string> Clients, int PortsKept, IReadOnlyDictionary<string, int> Failures,
    double MedianMs, double P99Ms, double MaxMs, double ElapsedMs)
{
    /// <summary>Sums up attempts.</summary>
    public static ConnectReport Of(string target, ConnectProtocol protocol, IReadOnlyList<Attempt> attempts, TimeSpan elapsed)
    {
        Attempt[] good = [.. attempts.Where(a => a.Answer is not null)];
        double[] times = [.. good.Select(a => a.Elapsed.TotalMilliseconds).Order()];
        return new ConnectReport(
            target,
            protocol.ToString().ToLowerInvariant(),
            attempts.Count,
            good.Length,
            Count(good.Select(a => a.Answer!.Pod)),
            [.. good.Select(a => IPEndPoint.Parse(a.Answer!.Client).Address.ToString()).Distinct().Order(StringComparer.Ordinal)],
            good.Count(a => a.Answer!.Client == a.LocalAddress),
            Count(attempts.Where(a => a.Failure.Length > 0).Select(a => a.Failure)),
            At(times, 0.5), At(times, 0.99), At(times, 1), elapsed.TotalMilliseconds);
    }

    /// <summary>Whether the answers are spread evenly over <paramref name="backends"/> pods.</summary>
    public EvenSpread Spread(int backends) => EvenSpread.Of(AnsweredBy.Values, backends);

    private static SortedDictionary<string, int> Count(IEnumerable<string> words)
    {
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (string word in words)
        {
            counts[word] = counts.GetValueOrDefault(word) + 1;
        }

        return counts;
    }

    private static double At(double[] sorted, double quantile) =>
        sorted.Length == 0 ? 0 : Math.Round(sorted[(int)Math.Ceiling(quantile * sorted.Length) - 1], 3);
}
