using System.Diagnostics;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Tun;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Differential;

/// <summary>The kernel as a router with nftables NAT between two TUN devices: packets in on one side, out on the other.</summary>
/// <remarks>In the network namespace of the thread that makes it, and used by that thread alone.</remarks>
internal sealed class KernelNat : IDisposable
{
    private const int AnswerMs = 10_000;
    private const string MarkerFromClients = "10.1.255.254:9";
    private const string MarkerFromBackends = "10.2.255.254:9";

    private readonly LinuxTunDevice _clients;
    private readonly LinuxTunDevice _backends;
    private readonly PacketBatch _batch = new();

    /// <summary>Devices, routes and rules.</summary>
    /// <param name="rules">What stands in <c>table inet nat</c>.</param>
    public KernelNat(string rules)
    {
        _clients = Open("clients", "10.1.0.0/16 203.0.113.0/24 198.18.1.0/24", "fd01::/64 2001:db8::/64");
        _backends = Open("backends", "10.2.0.0/16 198.18.2.0/24", "fd02::/64 2001:db8:2::/64");
        foreach (string setting in (string[])[
            "net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1", "net/ipv4/conf/all/rp_filter=0",
            "net/ipv4/conf/clients/rp_filter=0", "net/ipv4/conf/backends/rp_filter=0", "net/ipv4/conf/all/send_redirects=0",
            // Windows are not what is compared: the dataplane does not look at them, on purpose.
            "net/netfilter/nf_conntrack_tcp_be_liberal=1"])
        {
            string[] parts = setting.Split('=');
            File.WriteAllText($"/proc/sys/{parts[0]}", parts[1]);
        }

        Run("nft", "-f -", $"table inet nat {{\n{rules}\n}}\n");
    }

    /// <summary>Lets a packet in, and takes what comes out of the other side; null if the kernel keeps it.</summary>
    /// <param name="packet">From its IP header on.</param>
    /// <param name="fromClients">On which side.</param>
    /// <param name="isExpected">Something should come out: it is waited for, else only for what is certain to come after it.</param>
    public byte[]? Send(byte[] packet, bool fromClients, bool isExpected)
    {
        (LinuxTunDevice from, LinuxTunDevice to) = fromClients ? (_clients, _backends) : (_backends, _clients);
        Write(from, packet);
        byte[] marker = fromClients ? Packet.Udp(MarkerFromClients, MarkerFromBackends) : Packet.Udp(MarkerFromBackends, MarkerFromClients);
        Write(from, marker); // passes without NAT, behind the packet
        byte[]? answer = null;
        for (bool isMarkerSeen = false; !isMarkerSeen || (isExpected && answer is null);)
        {
            if (Read(to) is not { } read)
            {
                Assert.True(isMarkerSeen, "not even what needs no translation comes through the kernel");
                return null;
            }

            if (read[^8..].AsSpan().SequenceEqual(marker.AsSpan(20)))
            {
                isMarkerSeen = true;
            }
            else
            {
                Assert.True(answer is null, "the kernel made two packets of one");
                answer = read;
            }
        }

        return answer;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _clients.Dispose();
        _backends.Dispose();
        TunDeviceFactory.Remove("clients");
        TunDeviceFactory.Remove("backends");
    }

    private static LinuxTunDevice Open(string name, string routes4, string routes6)
    {
        var device = new LinuxTunDevice(TunDeviceFactory.Open(new TunOptions { Name = name, Queues = 1 }, out _));
        Run("ip", $"link set {name} addrgenmode none mtu 1500 up");
        Run("ip", $"addr add 169.254.{(name == "clients" ? 1 : 2)}.1/32 dev {name}");
        foreach (string route in $"{routes4} {routes6}".Split(' '))
        {
            Run("ip", $"{(route.Contains(':', StringComparison.Ordinal) ? "-6 " : "")}route add {route} dev {name}");
        }

        return device;
    }

    private void Write(LinuxTunDevice device, byte[] packet)
    {
        _batch.Clear();
        Span<byte> frame = _batch.NextFrame;
        frame[..VnetHeader.Length].Clear();
        packet.CopyTo(frame[VnetHeader.Length..]);
        _batch.Add(VnetHeader.Length + packet.Length, queue: 0);
        _batch.Verdict(0) = Verdict.Pass;
        device.Send(_batch);
        Assert.Equal(0, _batch.SendFailures);
    }

    private readonly Queue<byte[]> _waiting = new();

    private byte[]? Read(LinuxTunDevice device)
    {
        while (_waiting.Count == 0)
        {
            _batch.Clear();
            int count = device.Receive(0, _batch);
            for (int i = 0; i < count; i++)
            {
                byte[] packet = _batch.Frame(i)[VnetHeader.Length..].ToArray();
                if (!IsKernelsOwn(packet))
                {
                    _waiting.Enqueue(packet);
                }
            }

            if (count == 0 && !device.Wait(0, AnswerMs))
            {
                return null;
            }
        }

        return _waiting.Dequeue();
    }

    /// <summary>Multicast of IPv6, and what the router itself has to say, from its own addresses.</summary>
    private static bool IsKernelsOwn(byte[] packet) => packet[0] >> 4 == 4 ? packet[12] == 169 && packet[13] == 254 : packet[24] == 0xFF;

    private static void Run(string program, string arguments, string? input = null)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardError = true })!;
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {arguments}: {error}");
    }
}
