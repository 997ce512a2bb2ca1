using System.Globalization;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.EndToEnd.Tests.Dataplane;
using ClusterLb.EndToEnd.Tests.Steering;
using ClusterLb.Testing;
using Xunit.Abstractions;

namespace ClusterLb.EndToEnd.Tests.Differential;

/// <summary>
/// The same packets through the dataplane's pipeline and through the kernel's own NAT: what comes out is compared byte by byte, but for
/// the differences that <see cref="NatDifference"/> names. CLUSTERLB_NAT_TALKS says how many conversations; <c>make soak</c> asks for more.
/// </summary>
public sealed class KernelNatTests(ITestOutputHelper output)
{
    private const int DefaultTalks = 2_000;
    private const int Seed = 3022;

    private const string Rules = """
        chain pre { type nat hook prerouting priority dstnat; policy accept;
          iifname "clients" ip daddr 10.96.0.10 tcp dport 80 dnat ip to 10.2.0.5:8080
          iifname "clients" ip daddr 10.96.0.10 udp dport 53 dnat ip to 10.2.0.5:5353
          iifname "clients" ip6 daddr fd96::10 tcp dport 80 dnat ip6 to [fd02::5]:8080
          iifname "clients" ip6 daddr fd96::10 udp dport 53 dnat ip6 to [fd02::5]:5353
        }
        chain post { type nat hook postrouting priority srcnat; policy accept;
          oifname "backends" ip saddr 203.0.113.0/24 snat ip to 192.168.0.2
          oifname "backends" ip6 saddr 2001:db8::/64 snat ip6 to fd00:192::2
        }
        """;

    private static int Talks =>
        int.TryParse(Environment.GetEnvironmentVariable("CLUSTERLB_NAT_TALKS"), CultureInfo.InvariantCulture, out int talks) ? talks : DefaultTalks;

    [NamespaceFact]
    public void The_dataplane_writes_what_the_kernels_NAT_writes() => NamespaceInterop.Run(() =>
    {
        using var kernel = new KernelNat(Rules);
        using PipelineFixture lb = Fixture();
        var random = new Random(Seed);
        var seen = new Dictionary<string, int>();
        for (int number = 0; number < Talks; number++)
        {
            Compare(kernel, lb, new Talk(Asked(number, random), random), $"seed {Seed}, conversation {number}", seen);
        }

        foreach ((string what, int count) in seen.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            output.WriteLine($"{what,-24} {count,8}");
        }

        // A difference that is never met is no difference any more.
        Assert.All(Enum.GetNames<NatDifference>(), difference => Assert.True(seen.GetValueOrDefault(difference) > 0, $"{difference} was never met"));
    });

    /// <summary>Packets of which the kernel makes something else, or nothing: which, and what the dataplane does.</summary>
    [NamespaceFact]
    public void What_the_kernel_does_not_translate_is_known() => NamespaceInterop.Run(() =>
    {
        using var kernel = new KernelNat(Rules);
        using PipelineFixture lb = Fixture();

        // A wrong checksum is conntrack's INVALID: without translation a service address leads nowhere. The dataplane updates a sum by what
        // it changes: a wrong one stays wrong, and the receiver notices (RFC 1624).
        byte[] wrong = Packet.Udp("10.1.0.9:41000", "10.96.0.10:53").Payload("x").WrongChecksum();
        Assert.Null(kernel.Send(wrong, fromClients: true, isExpected: false));
        Assert.Equal("10.1.0.9:41000 > 10.2.0.5:5353 udp 1 byte checksums bad", lb.Send(wrong));

        // A connection that begins in the middle: the kernel's loose mode translates it to any backend, which resets it. The dataplane
        // says so itself, to whoever has lost its connection (features F-52).
        byte[] middle = Packet.Tcp("10.1.0.9:41001", "10.96.0.10:80").Push("lost");
        Assert.NotNull(kernel.Send(middle, fromClients: true, isExpected: true));
        Assert.StartsWith("reject: 10.96.0.10:80 > 10.1.0.9:41001 tcp [R", lb.Send(middle), StringComparison.Ordinal);

        // A reply of nobody's: the kernel lets it pass, with the backend's address. The dataplane knows who its backends are.
        lb.Send(Packet.Udp("10.1.0.9:41002", "10.96.0.10:53"));
        byte[] stray = Packet.Udp("10.2.0.5:5353", "10.1.0.77:5").Payload("late");
        Assert.NotNull(kernel.Send(stray, fromClients: false, isExpected: true));
        Assert.Equal("drop: UntranslatableReply", lb.Send(stray));

        // To whom and what: an unowned port of a service address is nothing to the kernel's rules, and no route leads there.
        byte[] unowned = Packet.Tcp("10.1.0.9:41003", "10.96.0.10:81").Syn();
        Assert.Null(kernel.Send(unowned, fromClients: true, isExpected: false));
        Assert.StartsWith("reject: ", lb.Send(unowned), StringComparison.Ordinal);
    });

    private static PipelineFixture Fixture() => new PipelineFixture()
        .WithNetwork("10.1.0.0/16", NetworkFlags.PodRange).WithNetwork("fd01::/64", NetworkFlags.PodRange)
        .WithNetwork("fd96::/108", NetworkFlags.ServiceRange)
        .WithService("10.96.0.10:80/TCP", "10.2.0.5:8080").WithService("10.96.0.10:53/UDP", "10.2.0.5:5353")
        .WithService("[fd96::10]:80/TCP", "[fd02::5]:8080").WithService("[fd96::10]:53/UDP", "[fd02::5]:5353");

    /// <summary>Who asks: pods keep their address, strangers are masqueraded. Every conversation has a port of its own that both NATs keep.</summary>
    private static FlowTuple Asked(int number, Random random)
    {
        bool isIpv4 = random.Next(2) == 0;
        bool isPod = random.Next(2) == 0;
        bool isTcp = random.Next(2) == 0;
        return new FlowTuple(
            IpAddr.Parse(isIpv4 ? (isPod ? "10.1.0.9" : "203.0.113.9") : (isPod ? "fd01::9" : "2001:db8::9")),
            IpAddr.Parse(isIpv4 ? "10.96.0.10" : "fd96::10"),
            (ushort)(1024 + (number % 28_000)),
            isTcp ? (ushort)80 : (ushort)53,
            isTcp ? IpProtocol.Tcp : IpProtocol.Udp);
    }

    private static void Compare(KernelNat kernel, PipelineFixture lb, Talk talk, string because, Dictionary<string, int> seen)
    {
        for (int i = 0; i < 60 && !talk.IsOver; i++)
        {
            (byte[] packet, bool fromClient) = talk.Next();
            string ours = lb.Send(packet);
            byte[]? theirs = kernel.Send(packet, fromClient, isExpected: lb.Verdict == Verdict.Forward);
            string what = $"{because}, packet {i}, {PacketText.Describe(packet)}";
            Assert.True(lb.Verdict == Verdict.Forward, $"{what}: {ours}");
            Assert.True(theirs is not null, $"{what}: the kernel wrote nothing, the dataplane {ours}\n{Convert.ToHexString(packet)}");
            foreach (NatDifference difference in Explained(packet, lb.Written, theirs!, what))
            {
                Count(difference.ToString());
            }

            Count(packet[packet[0] >> 4 == 4 ? 9 : 6] is 1 or 58 ? "errors" : "packets");
            talk.Arrived(lb.Written, fromClient);
        }

        void Count(string key) => seen[key] = seen.GetValueOrDefault(key) + 1;
    }

    /// <summary>Takes the named differences out of both, one after the other, and demands that nothing is left.</summary>
    private static List<NatDifference> Explained(byte[] packet, byte[] ours, byte[] theirs, string what)
    {
        var differences = new List<NatDifference> { NatDifference.HopLimit };
        byte[] mine = (byte[])ours.Clone();
        byte[] its = (byte[])theirs.Clone();
        int hops = packet[0] >> 4 == 4 ? 8 : 7;
        Assert.True(mine[hops] == Math.Min(255, packet[hops] + 1) && its[hops] == packet[hops] - 1, $"{what}: hop limit {mine[hops]} and {its[hops]}");
        AssertRightHeader(mine, what);
        AssertRightHeader(its, what);
        mine[hops] = its[hops];

        int options = packet[0] >> 4 == 4 ? (packet[0] & 15) * 4 : 0;
        if (options > 20 && packet[20] == 7)
        {
            Assert.True(mine.AsSpan(20, options - 20).SequenceEqual(packet.AsSpan(20, options - 20)), $"{what}: the dataplane touched an option");
            differences.Add(NatDifference.RecordRoute);
            mine.AsSpan(20, options - 20).CopyTo(its.AsSpan(20));
        }

        (int at, int length) = packet[0] >> 4 == 4 ? (12, 4) : (8, 16);
        bool isError = packet[packet[0] >> 4 == 4 ? 9 : 6] is 1 or 58;
        bool keptItsAddress = mine.AsSpan(at, length).SequenceEqual(packet.AsSpan(at, length));
        if (isError && keptItsAddress && !its.AsSpan(at, length).SequenceEqual(mine.AsSpan(at, length)))
        {
            differences.Add(NatDifference.RouterAddress);
            mine.AsSpan(at, length).CopyTo(its.AsSpan(at));
        }

        if (isError && HasCutTcpHeader(mine, out int checksum) && !mine.AsSpan(checksum, 2).SequenceEqual(its.AsSpan(checksum, 2)))
        {
            differences.Add(NatDifference.QuotedChecksum);
            Assert.True(its.AsSpan(checksum, 2).SequenceEqual(packet.AsSpan(checksum, 2)), $"{what}: the kernel touched the quoted checksum");
            mine.AsSpan(checksum, 2).CopyTo(its.AsSpan(checksum));
        }

        // Both were right as they came; with the differences out of them they must be the same packet.
        ReferenceRewriter.CompleteChecksums(mine);
        ReferenceRewriter.CompleteChecksums(its);
        Assert.True(mine.AsSpan().SequenceEqual(its),
            $"{what}:\n  ours  {PacketText.Describe(ours)}\n        {Convert.ToHexString(ours)}\n  kernel {PacketText.Describe(theirs)}\n        {Convert.ToHexString(theirs)}");
        return differences;
    }

    /// <summary>An error that quotes a TCP header up to its checksum, but not to its end.</summary>
    private static bool HasCutTcpHeader(byte[] error, out int checksumAt)
    {
        const int IcmpHeaderLength = 8;
        const int ChecksumOffset = 16;
        int quote = ReferenceRewriter.TransportOffset(error, out _) + IcmpHeaderLength;
        int transport = quote + ReferenceRewriter.TransportOffset(error.AsSpan(quote), out byte protocol);
        checksumAt = transport + ChecksumOffset;
        return protocol == (byte)IpProtocol.Tcp && error.Length >= checksumAt + 2 && error.Length < transport + 20;
    }

    /// <summary>All sums computed anew are those that are there.</summary>
    private static void AssertRightHeader(byte[] packet, string what)
    {
        var copy = (byte[])packet.Clone();
        ReferenceRewriter.CompleteChecksums(copy);
        Assert.True(copy.AsSpan().SequenceEqual(packet), $"{what}: wrong checksum in {PacketText.Describe(packet)}");
    }
}
