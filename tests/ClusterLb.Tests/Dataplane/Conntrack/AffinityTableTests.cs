using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Tests.Dataplane.Conntrack;

public sealed class AffinityTableTests : IDisposable
{
    private const uint Port = 7;
    private const uint Timeout = 100;
    private const long Now = 1_000_000;
    private static readonly FlowCapacities Small = new() { Ipv4 = 64, Ipv6 = 64, Workers = 1, Affinity = 64 };

    private readonly string _directory = Directory.CreateTempSubdirectory("clb-affinity-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("10.244.0.9", "10.244.0.10")]
    [InlineData("fd00::9", "fd00::a")]
    public void A_client_is_pinned_at_one_service_port_only(string client, string other)
    {
        using FlowTables flows = FlowTables.CreateInMemory(Small);
        flows.PinAffinity(Port, IpAddr.Parse(client), 3, 0, Now, Timeout);

        Assert.Equal(3u, Use(flows, Port, client));
        Assert.Equal(0u, Use(flows, Port, other));
        Assert.Equal(0u, Use(flows, Port + 1, client));
    }

    [Fact]
    public void The_timeout_runs_from_the_latest_use()
    {
        using FlowTables flows = FlowTables.CreateInMemory(Small);
        flows.PinAffinity(Port, Client(1), 3, 0, Now, Timeout);

        Assert.True(flows.TryUseAffinity(Port, Client(1), Now + 99_999, Timeout, out _));
        Assert.True(flows.TryUseAffinity(Port, Client(1), Now + 199_998, Timeout, out _));
        Assert.False(flows.TryUseAffinity(Port, Client(1), Now + 299_998, Timeout, out _));
    }

    [Fact]
    public void A_timeout_that_was_changed_holds_for_pins_that_are_there()
    {
        using FlowTables flows = FlowTables.CreateInMemory(Small);
        flows.PinAffinity(Port, Client(1), 3, 0, Now, Timeout);

        Assert.False(flows.TryUseAffinity(Port, Client(1), Now + 10_000, 10, out _));
        Assert.True(flows.TryUseAffinity(Port, Client(1), Now + 150_000, 1_000, out _));
    }

    [Fact]
    public void Who_is_pinned_again_has_one_entry()
    {
        using FlowTables flows = FlowTables.CreateInMemory(Small);
        flows.PinAffinity(Port, Client(1), 3, 0, Now, Timeout);

        Assert.Equal(4u, flows.PinAffinity(Port, Client(1), 4, insteadOf: 3, Now, Timeout));
        Assert.Equal(4u, flows.PinAffinity(Port, Client(1), 5, insteadOf: 3, Now, Timeout)); // too late: another worker did it
        Assert.Equal(4u, Use(flows, Port, "10.244.0.1"));
        Assert.Equal(1, flows.AffinityCount);
    }

    [Fact]
    public void What_has_expired_is_swept()
    {
        using FlowTables flows = FlowTables.CreateInMemory(Small);
        flows.PinAffinity(Port, Client(1), 3, 0, Now, Timeout);
        flows.PinAffinity(Port, Client(2), 3, 0, Now, 2 * Timeout);

        SweepAll(flows, Now + (Timeout * 1000));

        Assert.Equal(1, flows.AffinityCount);
    }

    [Fact]
    public void Half_of_the_table_is_filled_without_losing_a_client()
    {
        using FlowTables flows = FlowTables.CreateInMemory(Small with { Affinity = 8_192 });
        for (uint client = 0; client < 8_192; client++)
        {
            flows.PinAffinity(Port, Client(client), client + 1, 0, Now, Timeout);
        }

        Assert.Equal((8_192, 0L), (flows.AffinityCount, flows.AffinityEvicted));
        for (uint client = 0; client < 8_192; client++)
        {
            Assert.True(flows.TryUseAffinity(Port, Client(client), Now, Timeout, out uint backend) && backend == client + 1, $"client {client}");
        }
    }

    /// <summary>Ten times more clients than places: the expired ones go first, then those that were silent for longest.</summary>
    [Fact]
    public void A_full_table_forgets_the_oldest_and_counts_it()
    {
        using FlowTables flows = FlowTables.CreateInMemory(Small);
        for (uint client = 0; client < 1_280; client++)
        {
            flows.PinAffinity(Port, Client(client), 3, 0, Now + client, Timeout);
        }

        Assert.Equal(128, flows.AffinityCount); // 16 buckets of 8
        Assert.Equal(1_280 - 128, flows.AffinityEvicted);
        Assert.True(flows.TryUseAffinity(Port, Client(1_279), Now + 1_280, Timeout, out _));
        int young = Enumerable.Range(1_280 - 64, 64).Count(client => flows.TryUseAffinity(Port, Client((uint)client), Now + 1_280, Timeout, out _));
        Assert.True(young > 56, $"only {young} of the 64 youngest are there");
    }

    [Fact]
    public void An_expired_entry_goes_before_a_good_one()
    {
        // Few good ones, unused for longest: where only age counted they would go. Many that expire: in each bucket there are some.
        const uint Good = 16;
        using FlowTables flows = FlowTables.CreateInMemory(Small);
        for (uint client = 0; client < 128; client++)
        {
            bool isGood = client < Good;
            flows.PinAffinity(Port, Client(client), 3, 0, isGood ? Now - 50_000 : Now, isGood ? 3 * Timeout : Timeout);
        }

        long later = Now + 150_000;
        uint[] living = Living();
        Assert.NotEmpty(living);
        long evicted = flows.AffinityEvicted; // while filling up
        for (uint client = 1_000; client < 1_020; client++)
        {
            flows.PinAffinity(Port, Client(client), 3, 0, later, Timeout);
        }

        Assert.Equal(evicted, flows.AffinityEvicted);
        Assert.Equal(living, Living());

        // Looked at as of then, so that looking makes none of them younger.
        uint[] Living() => [.. Enumerable.Range(0, (int)Good).Select(i => (uint)i)
            .Where(i => flows.TryUseAffinity(Port, Client(i), Now - 50_000, 3 * Timeout, out _))];
    }

    [Fact]
    public void Workers_that_pin_one_client_at_once_agree()
    {
        const int Threads = 3;
        const int Rounds = 20_000;
        using FlowTables flows = FlowTables.CreateInMemory(Small with { Affinity = 32_768 });
        var pinned = new uint[Threads][];
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(worker => new Thread(() =>
        {
            pinned[worker] = new uint[Rounds];
            for (uint round = 0; round < Rounds; round++)
            {
                pinned[worker][round] = flows.TryUseAffinity(Port, Client(round), Now, Timeout, out uint known)
                    ? known
                    : flows.PinAffinity(Port, Client(round), (uint)worker + 1, 0, Now, Timeout);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());

        int disputed = Enumerable.Range(0, Rounds).Count(round => pinned.Any(worker => worker[round] != pinned[0][round]));
        Assert.True(disputed <= flows.AffinityUnpinned, $"{disputed} clients have two backends, {flows.AffinityUnpinned} could not be pinned");
        Assert.Equal(Rounds, flows.AffinityCount);
    }

    [Fact]
    public void The_next_dataplane_knows_the_pins_but_not_what_was_half_written()
    {
        using FlowTables agent = FlowTables.OpenForWriting(_directory, Small, Fail);
        using (FlowTables first = FlowTables.FromDescriptors(Descriptors(agent)))
        {
            first.PinAffinity(Port, Client(1), 3, 0, Now, Timeout);
            first.PinAffinity(Port, IpAddr.Parse("fd00::1"), 3, 0, Now, Timeout);
            first.PinAffinity(Port, Client(2), 4, 0, Now, Timeout);
        }

        MakeOdd("affinity4", client: 2);
        using FlowTables second = FlowTables.FromDescriptors(Descriptors(agent));

        Assert.Equal(3u, Use(second, Port, "10.244.0.1"));
        Assert.Equal(3u, Use(second, Port, "fd00::1"));
        Assert.Equal(0u, Use(second, Port, "10.244.0.2"));
        Assert.Equal(2, second.AffinityCount);
    }

    [Fact]
    public void Pins_are_read_from_outside_with_nobody_alive()
    {
        using (FlowTables flows = FlowTables.OpenForWriting(_directory, Small, Fail))
        {
            flows.PinAffinity(Port, Client(1), 3, 0, Now, Timeout);
        }

        AffinitySnapshot pin = Assert.Single(FlowTables.ReadAffinity(_directory, Now + 1_001));
        Assert.Equal(new AffinitySnapshot(Port, Client(1), 3, Now, Timeout, 99), pin);
    }

    [Theory]
    [InlineData(1_024)]
    [InlineData(64)]
    public void Another_capacity_keeps_the_pins(int capacity)
    {
        using (FlowTables flows = FlowTables.OpenForWriting(_directory, Small with { Affinity = 512 }, Fail))
        {
            for (uint client = 0; client < 40; client++)
            {
                flows.PinAffinity(Port, Client(client), 3, 0, Now, Timeout);
            }
        }

        using FlowTables resized = FlowTables.OpenForWriting(_directory, Small with { Affinity = capacity }, Fail);
        resized.Adopt();

        Assert.Equal(40, resized.AffinityCount);
    }

    private static uint Use(FlowTables flows, uint port, string client) =>
        flows.TryUseAffinity(port, IpAddr.Parse(client), Now, Timeout, out uint backend) ? backend : 0;

    private static IpAddr Client(uint number) => IpAddr.FromIpv4(0x0AF4_0000 + number);

    private static void SweepAll(FlowTables flows, long nowMs)
    {
        for (int i = 0; i < 4; i++)
        {
            flows.Sweep(nowMs + i, 4_096);
        }
    }

    private static void Fail(string warning) => Assert.Fail(warning);

    private static Dictionary<string, SafeFileHandle> Descriptors(FlowTables tables) => tables.OpenDescriptors().ToDictionary(f => f.Name, f => f.Handle);

    /// <summary>As a writer leaves a place that is killed in the middle of it.</summary>
    private void MakeOdd(string file, uint client)
    {
        string path = Path.Combine(FlowDirectory.PathIn(_directory), file);
        byte[] bytes = File.ReadAllBytes(path);
        int at = bytes.AsSpan().IndexOf((ReadOnlySpan<byte>)[0x0A, 0xF4, 0, (byte)client]) - 8;
        using FileStream stream = File.Open(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        stream.Position = at;
        stream.WriteByte((byte)(bytes[at] | 1));
    }
}
