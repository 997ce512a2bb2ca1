using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Tun;
using ClusterLb.EndToEnd.Tests.Stage;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.EndToEnd.Tests.Dataplane;

/// <summary>The real device, each test in a network namespace of its own.</summary>
public sealed class TunDeviceTests
{
    private static readonly TunOptions Options = new() { Name = "clbtest0", Queues = 2 };

    [LabFact]
    public void A_packet_is_read_written_back_and_received() => NamespaceInterop.Run(() =>
    {
        using var device = new LinuxTunDevice(TunDeviceFactory.Open(Options, out TunOffloads offloads));
        Assert.True(offloads.HasFlag(TunOffloads.Checksum | TunOffloads.Tso));
        Ip("link set clbtest0 addrgenmode none");
        Ip("addr add 10.77.0.1/24 dev clbtest0");
        Ip("link set clbtest0 up");
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 5_000 };
        client.Bind(new IPEndPoint(IPAddress.Parse("10.77.0.1"), 0));
        client.SendTo("hello"u8, new IPEndPoint(IPAddress.Parse("10.77.0.2"), 7));

        // The packet's checksum is partial, and swapping the addresses changes no sum: the header goes back as it came.
        var batch = new PacketBatch();
        int queue = Enumerable.Range(0, Options.Queues).First(q => device.Wait(q, timeoutMs: 1_000));
        Assert.Equal(1, device.Receive(queue, batch));
        Assert.True(batch.Meta(0).PartialChecksum);
        Swap(batch.Buffer(0), 12, 16, 4);
        Swap(batch.Buffer(0), 20, 22, 2);
        batch.Verdict(0) = Verdict.Forward;
        device.Send(batch);

        Assert.Equal(0, batch.SendFailures);
        var room = new byte[16];
        Assert.Equal(5, client.Receive(room));
        Assert.Equal("hello"u8, room.AsSpan(0, 5));
    });

    [LabFact]
    public void The_device_outlives_its_queues_and_is_attached_again() => NamespaceInterop.Run(() =>
    {
        Close(TunDeviceFactory.Open(Options, out _));

        IReadOnlyList<SafeFileHandle> again = TunDeviceFactory.Open(Options, out _);

        Assert.All(again, queue => Assert.Equal(Options.Name, TunDeviceFactory.NameOf(queue)));
        Close(again);
        Assert.True(TunDeviceFactory.Remove(Options.Name));
        Assert.False(TunDeviceFactory.Remove(Options.Name));
        Close(TunDeviceFactory.Open(Options, out _)); // the name is free again
    });

    [LabFact]
    public void A_name_taken_by_another_kind_of_interface_is_refused_and_left_alone() => NamespaceInterop.Run(() =>
    {
        Ip("link add clbtest0 type bridge");

        TunException e = Assert.Throws<TunException>(() => TunDeviceFactory.Open(Options, out _));

        Assert.Contains("not a multi-queue TUN device", e.Message, StringComparison.Ordinal);
        Assert.Throws<TunException>(() => TunDeviceFactory.Remove(Options.Name));
        Ip("link show clbtest0");
    });

    [LabFact]
    public void A_device_that_somebody_serves_is_refused() => NamespaceInterop.Run(() =>
    {
        IReadOnlyList<SafeFileHandle> served = TunDeviceFactory.Open(Options, out _);
        Ip("link set clbtest0 up");

        TunException e = Assert.Throws<TunException>(() => TunDeviceFactory.Open(Options, out _));

        Assert.Contains("in use by another process", e.Message, StringComparison.Ordinal);
        Close(served);
    });

    [LabFact]
    public void A_device_whose_last_server_is_just_ending_is_waited_for() => NamespaceInterop.Run(() =>
    {
        IReadOnlyList<SafeFileHandle> served = TunDeviceFactory.Open(Options, out _);
        Ip("link set clbtest0 up");
        using var ending = new Timer(_ => Close(served), null, dueTime: 100, period: Timeout.Infinite);

        Close(TunDeviceFactory.Open(Options, out _));
    });

    [LabFact]
    public void A_device_that_was_deleted_says_so_to_who_reads_it() => NamespaceInterop.Run(() =>
    {
        IReadOnlyList<SafeFileHandle> queues = TunDeviceFactory.Open(Options, out _);
        using var device = new LinuxTunDevice(queues);
        Ip("link del clbtest0");

        Assert.Null(TunDeviceFactory.NameOf(queues[0]));
        TunException e = Assert.Throws<TunException>(() => device.Receive(0, new PacketBatch()));
        Assert.Contains("EBADFD", e.Message, StringComparison.Ordinal);
    });

    private static void Ip(string arguments)
    {
        using Process process = Process.Start("ip", arguments); // forked from this thread, so in its namespace
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"ip {arguments}: exit status {process.ExitCode}");
    }

    private static void Close(IEnumerable<SafeFileHandle> queues)
    {
        foreach (SafeFileHandle queue in queues)
        {
            queue.Dispose();
        }
    }

    private static void Swap(Span<byte> bytes, int first, int second, int length)
    {
        Span<byte> kept = stackalloc byte[length];
        bytes.Slice(first, length).CopyTo(kept);
        bytes.Slice(second, length).CopyTo(bytes[first..]);
        kept.CopyTo(bytes[second..]);
    }
}
