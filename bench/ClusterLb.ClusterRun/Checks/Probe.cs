using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Questions that are asked until the answer is right, as Kubernetes' own tests do: changes need time to arrive.</summary>
internal static class Probe
{
    /// <summary>How long the right answer may take. Kubernetes' own tests wait for up to two minutes.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    private static readonly TimeSpan TcpLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan UdpLimit = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Again = TimeSpan.FromMilliseconds(250);
    private const int TriesPerPod = 8; // one of four pods is missed by chance once in some thousand times, and then asked again

    /// <summary>HTTP: all of these pods answer, and no other.</summary>
    public static Task AnswersFromAsync(Origin from, IPEndPoint to, params IReadOnlyCollection<string> pods) =>
        SeesAsync(from, to, pods, () => Request.GetAsync(from.Namespace, to, "/hostname", TcpLimit));

    /// <summary>UDP, each datagram from a port of its own: all of these pods answer, and no other.</summary>
    public static Task UdpAnswersFromAsync(Origin from, IPEndPoint to, params IReadOnlyCollection<string> pods) =>
        SeesAsync(from, to, pods, () => UdpAsync(from, to, "hostname"));

    /// <summary>A TCP connection is refused, at once.</summary>
    public static Task RefusesAsync(Origin from, IPEndPoint to) =>
        HoldsAsync($"{from.Name} to {to} TCP, to be refused", async () => Wanted("refused", await Request.GetAsync(from.Namespace, to, "/hostname", TcpLimit)));

    /// <summary>A datagram is refused by an ICMP error.</summary>
    public static Task UdpRefusesAsync(Origin from, IPEndPoint to) =>
        HoldsAsync($"{from.Name} to {to} UDP, to be refused", async () => Wanted("refused", await UdpAsync(from, to, "hostname")));

    /// <summary>There is no answer at all.</summary>
    public static Task DropsAsync(Origin from, IPEndPoint to) => HoldsAsync($"{from.Name} to {to} TCP, to be dropped", async () =>
        Wanted("timeout", await Request.GetAsync(from.Namespace, to, "/hostname", TimeSpan.FromSeconds(1.5))));

    /// <summary>There is no connection, by whatever means.</summary>
    public static Task FailsAsync(Origin from, IPEndPoint to) => HoldsAsync($"{from.Name} to {to} TCP, without answer", async () =>
        await Request.GetAsync(from.Namespace, to, "/hostname", TimeSpan.FromSeconds(1.5)) is { Failure.Length: 0 } answer ? answer.Body : "");

    /// <summary>The pod sees this source address.</summary>
    public static Task IsSeenAsAsync(Origin from, IPEndPoint to, IPAddress source) => HoldsAsync($"{from.Name} to {to}, to be seen as {source}", async () =>
    {
        Answer answer = await Request.GetAsync(from.Namespace, to, "/clientip", TcpLimit);
        return answer.Failure.Length > 0 ? answer.Failure
            : IPEndPoint.TryParse(answer.Body.Trim(), out IPEndPoint? seen) && Plain(seen.Address).Equals(source) ? "" : $"seen as {answer.Body}";
    });

    /// <summary>An HTTP path answers with this body.</summary>
    public static Task AnswersAsync(Origin from, IPEndPoint to, string path, Func<string, bool> isRight) =>
        HoldsAsync($"{from.Name} to {to}{Short(path)}", async () =>
        {
            Answer answer = await Request.GetAsync(from.Namespace, to, path, TimeSpan.FromSeconds(15));
            return answer.Failure.Length > 0 ? answer.Failure : isRight(answer.Body) ? "" : Short(answer.Body);
        });

    /// <summary>A datagram is answered so.</summary>
    public static Task UdpAnswersAsync(Origin from, IPEndPoint to, string question, string wanted) =>
        HoldsAsync($"{from.Name} to {to} UDP, {question.Length} bytes", async () =>
        {
            Answer answer = await UdpAsync(from, to, question);
            return answer.Failure.Length > 0 ? answer.Failure : answer.Body == wanted ? "" : Short(answer.Body);
        });

    /// <summary>Who answers a few requests, in their order.</summary>
    /// <exception cref="CheckFailedException">One was not answered.</exception>
    public static async Task<IReadOnlyList<string>> HostsAsync(Origin from, IPEndPoint to, int requests)
    {
        var hosts = new List<string>();
        for (int i = 0; i < requests; i++)
        {
            Answer answer = await Request.GetAsync(from.Namespace, to, "/hostname", TcpLimit);
            hosts.Add(answer.Failure.Length == 0 ? answer.Body : throw new CheckFailedException($"{from.Name} to {to}: {answer.Failure}"));
        }

        return hosts;
    }

    /// <summary>One question from a new port, or from a given one.</summary>
    public static async Task<Answer> UdpAsync(Origin from, IPEndPoint to, string question, int sourcePort = 0)
    {
        using Socket socket = from.Namespace.OpenSocket(to.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.Bind(new IPEndPoint(to.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, sourcePort));
            await socket.ConnectAsync(to);
        }
        catch (SocketException e)
        {
            return new Answer("", e.SocketErrorCode.ToString(), TimeSpan.Zero);
        }

        return await Request.AskAsync(socket, Encoding.ASCII.GetBytes(question), UdpLimit);
    }

    /// <summary>Looks again and again until it holds.</summary>
    /// <param name="what">For the message.</param>
    /// <param name="look">Empty when it holds, else what is there instead.</param>
    /// <exception cref="CheckFailedException">It never did.</exception>
    public static async Task HoldsAsync(string what, Func<Task<string>> look)
    {
        long started = Stopwatch.GetTimestamp();
        string seen = await look();
        while (seen.Length > 0)
        {
            if (Stopwatch.GetElapsedTime(started) > Patience)
            {
                throw new CheckFailedException($"{what}: {seen}");
            }

            await Task.Delay(Again);
            seen = await look();
        }
    }

    private static Task SeesAsync(Origin from, IPEndPoint to, IReadOnlyCollection<string> pods, Func<Task<Answer>> ask) =>
        HoldsAsync($"{from.Name} to {to}, to hear of {string.Join(" ", pods)}", async () =>
        {
            var seen = new SortedSet<string>(StringComparer.Ordinal);
            for (int i = 0; i < TriesPerPod * pods.Count; i++)
            {
                Answer answer = await ask();
                if (answer.Failure.Length > 0)
                {
                    return answer.Failure;
                }

                seen.Add(answer.Body);
            }

            return seen.SetEquals(pods) ? "" : "heard of " + string.Join(" ", seen);
        });

    private static string Wanted(string failure, Answer answer) =>
        answer.Failure == failure ? "" : answer.Failure.Length > 0 ? answer.Failure : $"an answer of {answer.Body}";

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    private static string Short(string text) => text.Length <= 200 ? text : text[..200] + "…";
}
