using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Tests.Dataplane.Conntrack;

/// <summary>Bits of ports, taken and returned by many.</summary>
public sealed class SnatPortPoolsTests
{
    private const int SnatPorts = 33_512; // of the usual ranges

    private static SnatPortRanges Usual => SnatPortRanges.Default;

    [Theory]
    [InlineData(0)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(20_000)]
    [InlineData(SnatPorts - 1)]
    public void Every_port_is_handed_out_once_wherever_the_search_begins(int start)
    {
        var pools = new SnatPortPools();
        var ports = new HashSet<ushort>();
        for (int i = 0; i < SnatPorts; i++)
        {
            Assert.True(pools.TryTake(Remote(5), Usual, (uint)start, out ushort port) && ports.Add(port), $"port {i}");
        }

        Assert.False(pools.TryTake(Remote(5), Usual, (uint)start, out _));
        Assert.True(pools.TryTake(Remote(6), Usual, (uint)start, out _));
        pools.Return(Remote(5) with { DestinationPort = 1_024 });
        Assert.True(pools.TryTake(Remote(5), Usual, (uint)start, out ushort again));
        Assert.Equal(1_024, again);
    }

    [Theory]
    [InlineData("61000-61000")]
    [InlineData("61000-61009")]
    [InlineData("1-65535")]
    [InlineData("40000-40127,128-191")]
    [InlineData("65535-65535,1-1")]
    [InlineData("63-64,127-128")]
    public void Exactly_the_ports_of_the_ranges_are_handed_out(string text)
    {
        Assert.True(SnatPortRanges.TryParse(text, out SnatPortRanges ranges));
        var pools = new SnatPortPools();
        var ports = new HashSet<ushort>();
        for (int i = 0; i < ranges.Count; i++)
        {
            Assert.True(pools.TryTake(Remote(5), ranges, (uint)(i * 7 % ranges.Count), out ushort port) && ports.Add(port) && ranges.Contains(port), $"port {i}");
        }

        Assert.False(pools.TryTake(Remote(5), ranges, 0, out _));
        Assert.All(ports, port => pools.Return(Remote(5) with { DestinationPort = port }));
        Assert.True(pools.TryTake(Remote(5), ranges, 0, out ushort first));
        Assert.Equal(ranges.First, first);
    }

    [Fact]
    public void Other_ranges_hold_with_the_next_search_and_what_was_taken_before_stays_taken_until_it_is_returned()
    {
        var pools = new SnatPortPools();
        var before = new SnatPortRanges(5_000, 5_199);
        var after = new SnatPortRanges(5_100, 5_299, 61_000, 61_000);
        for (int i = 0; i < before.Count; i++)
        {
            Assert.True(pools.TryTake(Remote(5), before, 0, out _));
        }

        var ports = new List<int>();
        while (pools.TryTake(Remote(5), after, 50, out ushort port))
        {
            ports.Add(port);
        }

        Assert.Equal([.. Enumerable.Range(5_200, 100), 61_000], ports.Order());

        foreach (ushort port in (ushort[])[5_000, 5_150, 61_000]) // whatever range it is of now
        {
            pools.Return(Remote(5) with { DestinationPort = port });
        }

        Assert.True(pools.TryTake(Remote(5), before, 0, out ushort first) && pools.TryTake(Remote(5), before, 0, out ushort second)
            && (first, second) == (5_000, 5_150));
        Assert.True(pools.TryTake(Remote(5), after, 0, out ushort third) && third == 61_000);
        Assert.False(pools.TryTake(Remote(5), after, 0, out _));
    }

    [Fact]
    public void Workers_with_different_ranges_share_no_port_and_none_is_lost()
    {
        // While the configuration changes, one worker has read it and another has not.
        var pools = new SnatPortPools();
        SnatPortRanges[] ranges = [new(5_000, 6_099), new(5_500, 6_599, 70, 200)];
        var owners = new int[65_536];
        int shared = 0;
        Thread[] workers = [.. Enumerable.Range(0, 4).Select(worker => new Thread(() =>
        {
            var random = new FastRandomSource((ulong)worker + 1);
            var held = new Queue<ushort>();
            for (int i = 0; i < 100_000 || held.Count > 0; i++)
            {
                SnatPortRanges mine = ranges[(i + worker) / 1_000 % 2];
                if (i < 100_000 && held.Count < 500 && pools.TryTake(Remote(5), mine, random.Next((uint)mine.Count), out ushort port))
                {
                    Interlocked.Add(ref shared, Interlocked.Increment(ref owners[port]) == 1 && mine.Contains(port) ? 0 : 1);
                    held.Enqueue(port);
                }
                else if (held.TryDequeue(out port))
                {
                    Interlocked.Decrement(ref owners[port]);
                    pools.Return(Remote(5) with { DestinationPort = port });
                }
            }
        }))];
        Array.ForEach(workers, worker => worker.Start());
        Array.ForEach(workers, worker => worker.Join());

        Assert.Equal(0, shared);
        var free = new HashSet<ushort>();
        foreach (SnatPortRanges all in ranges)
        {
            while (pools.TryTake(Remote(5), all, 0, out ushort port))
            {
                Assert.True(free.Add(port));
            }
        }

        Assert.Equal([.. Enumerable.Range(70, 131), .. Enumerable.Range(5_000, 1_600)], free.Order().Select(port => (int)port));
    }

    [Fact]
    public void A_pool_that_nobody_uses_serves_another_remote_and_others_are_left_alone()
    {
        var pools = new SnatPortPools();
        int open = 0;
        for (int i = 0; i < 2_000; i++)
        {
            open += pools.TryTake(Remote(i), Usual, 0, out _) ? 1 : 0;
        }

        Assert.InRange(open, 128, 256); // each set of eight is full, if enough remotes fell on it

        for (int i = 0; i < 2_000; i++)
        {
            pools.Return(Remote(i) with { DestinationPort = 61_000 });
        }

        for (int i = 10_000; i < 20_000; i++)
        {
            Assert.True(pools.TryTake(Remote(i), Usual, 0, out ushort port));
            pools.Return(Remote(i) with { DestinationPort = port });
        }
    }

    [Fact]
    public void Workers_that_take_and_return_at_once_lose_no_port_and_share_none()
    {
        const int Workers = 4;
        var pools = new SnatPortPools();
        var owners = new int[65_536];
        int shared = 0;
        Thread[] workers = [.. Enumerable.Range(0, Workers).Select(worker => new Thread(() => TakeAndReturn(worker)))];
        foreach (Thread worker in workers)
        {
            worker.Start();
        }

        foreach (Thread worker in workers)
        {
            worker.Join();
        }

        Assert.Equal(0, shared);
        int free = 0;
        while (pools.TryTake(Remote(5), Usual, 0, out _))
        {
            free++;
        }

        Assert.Equal(SnatPorts, free);

        void TakeAndReturn(int seed)
        {
            var random = new FastRandomSource((ulong)seed + 1);
            var held = new Queue<ushort>();
            for (int i = 0; i < 200_000; i++)
            {
                // Together they want more than there are: words become full and empty all the time.
                if (held.Count < 8_500 && pools.TryTake(Remote(5), Usual, random.Next(SnatPorts), out ushort port))
                {
                    shared += Interlocked.Increment(ref owners[port]) == 1 ? 0 : 1;
                    held.Enqueue(port);
                }
                else if (held.TryDequeue(out port))
                {
                    Give(port);
                }
            }

            while (held.TryDequeue(out ushort port))
            {
                Give(port);
            }
        }

        void Give(ushort port)
        {
            Interlocked.Decrement(ref owners[port]);
            pools.Return(Remote(5) with { DestinationPort = port });
        }
    }

    private static FlowTuple Remote(int backend) =>
        new(IpAddr.FromIpv4(0x0AF4_0000 + (uint)backend), IpAddr.Parse("192.168.0.2"), 8080, 0, IpProtocol.Tcp);
}
