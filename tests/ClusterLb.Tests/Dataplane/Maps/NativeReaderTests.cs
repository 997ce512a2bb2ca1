using System.Diagnostics;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Tests.House;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>A C program, built here from native-shim, reads what C# writes.</summary>
public sealed class NativeReaderTests : IDisposable
{
    private readonly MapStage _stage = new();
    private readonly DirectoryInfo _build = Directory.CreateTempSubdirectory("clusterlb-native-"); // /dev/shm may be noexec
    private readonly string _program;

    public NativeReaderTests() => _program = Compile();

    public void Dispose()
    {
        _stage.Dispose();
        _build.Delete(recursive: true);
    }

    [CompilerFact]
    public void C_finds_frontends_slots_and_backends()
    {
        using SharedLbMaps maps = SharedLbMaps.OpenForWriting(_stage.Directory, LbMapCapacities.Small, _ => { });
        WriteService(maps, "10.96.0.10", "10.244.1.");
        WriteService(maps, "fd00:96::a", "fd00:244::");
        AssertPrints(
            """
            count 2 rev_nat_id 5 service_port_id 6 flags 0x10000
            slot 1 backend 10 10.244.1.1:8080
            slot 2 backend 11 10.244.1.2:8080

            """, "connect", "10.96.0.10", "80", "6");
        AssertPrints(
            """
            count 2 rev_nat_id 5 service_port_id 6 flags 0x10000
            slot 1 backend 20 [fd00:244::1]:8080
            slot 2 backend 21 [fd00:244::2]:8080

            """, "connect", "fd00:96::a", "80", "6");
        AssertPrints("no such frontend\n", "connect", "10.96.0.10", "81", "6");
        AssertPrints("good\n", "check", "services4");
        AssertPrints("other keys or values\n", "check", "backends4");
    }

    [CompilerFact]
    public void C_reads_every_other_map()
    {
        using SharedLbMaps maps = SharedLbMaps.OpenForWriting(_stage.Directory, LbMapCapacities.Small, _ => { });
        maps.Node.Update(0, NodeEntry.Default with
        {
            PrimaryIpv4 = IpAddr.Parse("192.0.2.1"),
            PrimaryIpv6 = IpAddr.Parse("2001:db8::1"),
            Flags = NodeFlags.Synced | NodeFlags.NoLocalDetection,
        });
        maps.Networks.Update(IpPrefix.Parse("0.0.0.0/0"), NetworkFlags.PodRange);
        maps.Networks.Update(IpPrefix.Parse("10.96.0.0/12"), NetworkFlags.ServiceRange);
        maps.Networks.Update(IpPrefix.Parse("10.96.0.1/32"), NetworkFlags.NodeAddress);
        maps.Serving.Update(new ServingKey(1, 2), default);
        maps.ServicePorts.Update(3, new ServicePortEntry(ulong.MaxValue - 1));
        maps.ServiceNames.Update(3, "default/web:http");

        AssertPrints("192.0.2.1 2001:db8::1 flags 0x5 tcp 60 86400 10 udp 30 180 generic 60\n", "node");
        AssertPrints("0x7\n", "classify", "10.96.0.1");
        AssertPrints("0x3\n", "classify", "10.96.0.2");
        AssertPrints("0x2\n", "classify", "192.0.2.9");
        AssertPrints("yes\n", "serving", "1", "2");
        AssertPrints("no\n", "serving", "2", "1");
        AssertPrints("18446744073709551614\n", "revision", "3");
        AssertPrints("default/web:http\n", "name", "3");
    }

    [CompilerFact]
    public void C_never_sees_a_torn_or_recycled_entry_while_C_sharp_writes()
    {
        using var map = HashMap<ulong, LinearValue>.OpenForWriting(
            _stage.Directory, HashMap<ulong, LinearValue>.Spec("test", 512), Epochs.None, out _);
        using Process reader = Start(_stage.Directory, "race", "2000000");
        var random = new Random(3);
        for (ulong version = 1; !reader.HasExited;)
        {
            for (int i = 0; i < 1_000; i++)
            {
                ulong key = (ulong)random.Next(512);
                if (random.Next(4) == 0)
                {
                    map.Delete(key);
                }
                else
                {
                    map.Update(key, LinearValue.For(key, ++version));
                }
            }
        }

        Assert.Equal("hits many wrong 0\n", reader.StandardOutput.ReadToEnd());
    }

    private static void WriteService(SharedLbMaps maps, string address, string backendPrefix)
    {
        var key = new ServiceKey(IpAddr.Parse(address), 80, IpProtocol.Tcp, LookupScope.External, 0);
        uint first = key.Address.IsIpv4 ? 10u : 20u;
        for (uint slot = 1; slot <= 2; slot++)
        {
            uint id = first + slot - 1;
            maps.Backends.Update(id, new BackendEntry(IpAddr.Parse($"{backendPrefix}{slot}"), 8080, IpProtocol.Tcp, BackendState.Active));
            maps.Services.Update(key with { Slot = slot }, new ServiceEntry { BackendId = id });
        }

        maps.Services.Update(key, new ServiceEntry { Count = 2, RevNatId = 5, ServicePortId = 6, Flags = ServiceFlags.EndpointsExist });
    }

    private void AssertPrints(string want, params string[] arguments)
    {
        using Process process = Start([Path.Combine(_stage.Directory, SharedLbMaps.DirectoryName), .. arguments]);
        string got = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(want, got);
        Assert.Equal(0, process.ExitCode);
    }

    private Process Start(params string[] arguments) =>
        Process.Start(new ProcessStartInfo(_program, arguments) { RedirectStandardOutput = true, UseShellExecute = false })!;

    private string Compile()
    {
        string shim = Path.Combine(Repository.Root, "native-shim");
        string program = Path.Combine(_build.FullName, "maps_test");
        string[] arguments =
        [
            "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", $"-I{shim}/include", $"-I{shim}/maps",
            $"{shim}/maps/clusterlb_map_reader.c", $"{shim}/tests/maps_test.c", "-o", program,
        ];
        var start = new ProcessStartInfo(CompilerFactAttribute.Compiler!, arguments) { RedirectStandardError = true, UseShellExecute = false };
        using Process build = Process.Start(start)!;
        string errors = build.StandardError.ReadToEnd();
        build.WaitForExit();
        Assert.True(build.ExitCode == 0, errors);
        return program;
    }

    /// <summary>As maps_test.c knows it: the version, then version + key * 1 to 5.</summary>
    private struct LinearValue
    {
        public ulong Version;
        public ulong A;
        public ulong B;
        public ulong C;
        public ulong D;
        public ulong E;

        public static LinearValue For(ulong key, ulong version) => new()
        {
            Version = version,
            A = version + key,
            B = version + (key * 2),
            C = version + (key * 3),
            D = version + (key * 4),
            E = version + (key * 5),
        };
    }
}
