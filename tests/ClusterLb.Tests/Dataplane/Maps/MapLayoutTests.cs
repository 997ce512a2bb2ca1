using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>The bytes of docs/maps.md, one by one. A failure here means: raise the layout version and write a conversion.</summary>
public sealed class MapLayoutTests
{
    public static TheoryData<string, int, int, int, int> Files => new()
    {
        // file, bytes of key, of value, used in a place, of a place
        { "services4", Unsafe.SizeOf<ServiceKey4>(), Unsafe.SizeOf<ServiceEntry>(), 40, 64 },
        { "services6", Unsafe.SizeOf<ServiceKey6>(), Unsafe.SizeOf<ServiceEntry>(), 52, 64 },
        { "backends4", 4, Unsafe.SizeOf<TransportAddress4>(), 16, 16 },
        { "backends6", 4, Unsafe.SizeOf<TransportAddress6>(), 28, 32 },
        { "reverse_nat4", 4, Unsafe.SizeOf<TransportAddress4>(), 16, 16 },
        { "reverse_nat6", 4, Unsafe.SizeOf<TransportAddress6>(), 28, 32 },
        { "serving", Unsafe.SizeOf<ServingFileKey>(), 0, 12, 16 },
        { "eligible", Unsafe.SizeOf<EligibleFileKey>(), 0, 16, 16 },
        { "service_ports", 4, Unsafe.SizeOf<ServicePortValue>(), 16, 16 },
        { "service_names", 4, Unsafe.SizeOf<ServiceNameValue>(), 256, 256 },
        { "networks4", Unsafe.SizeOf<NetworkKey4>(), 4, 16, 16 },
        { "networks6", Unsafe.SizeOf<NetworkKey6>(), 4, 28, 32 },
        { "source_ranges4", Unsafe.SizeOf<SourceRangeKey4>(), Unsafe.SizeOf<SourceRangeVerdict>(), 20, 32 },
        { "source_ranges6", Unsafe.SizeOf<SourceRangeKey6>(), Unsafe.SizeOf<SourceRangeVerdict>(), 32, 32 },
        { "node", 4, Unsafe.SizeOf<NodeValue>(), 64, 64 },
    };

    [Theory]
    [MemberData(nameof(Files))]
    public void A_place_of_each_file_has_its_documented_size(string name, int key, int value, int used, int placeSize)
    {
        using SharedLbMaps maps = SharedLbMaps.CreateInMemory(LbMapCapacities.Small);
        MapFileSpec spec = maps.OpenDescriptors(readOnly: true).Select(file =>
        {
            using (file.Handle)
            {
                var header = default(MapHeader);
                RandomAccess.Read(file.Handle, MemoryMarshal.AsBytes(new Span<MapHeader>(ref header)), 0);
                return header.ToSpec();
            }
        }).Single(spec => spec.Name == name);

        Assert.Equal(used, 4 + key + value);
        Assert.Equal(((uint)key, (uint)value, (uint)placeSize, 1u), (spec.KeySize, spec.ValueSize, spec.PlaceSize, spec.LayoutVersion));
    }

    public static TheoryData<string, string, string> Bytes
    {
        get
        {
            var key4 = new ServiceKey(IpAddr.Parse("10.96.0.1"), 0x1F90, IpProtocol.Tcp, LookupScope.Internal, 0x01020304);
            var key6 = key4 with { Address = IpAddr.Parse("fd00:1:2:3:4:5:6:7") };
            var service = new ServiceEntry { BackendId = 1, Count = 2, RevNatId = 3, ServicePortId = 4, Flags = (ServiceFlags)0x12345, SharePercent = 6 };
            var backend4 = new BackendEntry(IpAddr.Parse("10.244.1.5"), 0x1F90, IpProtocol.Udp, BackendState.Terminating);
            var backend6 = backend4 with { Address = IpAddr.Parse("fd00::5") };
            var node = new NodeEntry
            {
                PrimaryIpv4 = IpAddr.Parse("192.0.2.1"),
                PrimaryIpv6 = IpAddr.Parse("2001:db8::1"),
                Flags = (NodeFlags)5,
                TcpSynTimeoutSeconds = 1,
                TcpEstablishedTimeoutSeconds = 2,
                TcpClosingTimeoutSeconds = 3,
                UdpTimeoutSeconds = 4,
                UdpStreamTimeoutSeconds = 5,
                GenericTimeoutSeconds = 6,
            };
            var port = new ServicePortEntry(0x0807060504030201);
            return new()
            {
                { "services4 key", "0A600001 1F90 06 01 04030201", Hex(ServiceLayout4.PackKey(key4)) },
                { "services6 key", "FD000001000200030004000500060007 1F90 06 01 04030201", Hex(ServiceLayout6.PackKey(key6)) },
                { "services value", "01000000 02000000 03000000 04000000 45230100 06000000", Hex(service) },
                { "backends4 value", "0AF40105 1F90 11 01", Hex(TransportLayout4<BackendEntry>.PackEntry(backend4)) },
                { "backends6 value", "FD000000000000000000000000000005 1F90 11 01", Hex(TransportLayout6<BackendEntry>.PackEntry(backend6)) },
                { "reverse_nat4 value", "0A600001 0050 84 00", Hex(TransportLayout4<ReverseNatEntry>.PackEntry(new(IpAddr.Parse("10.96.0.1"), 80, IpProtocol.Sctp))) },
                { "reverse_nat6 value", "FD000000000000000000000000000001 0050 06 00", Hex(TransportLayout6<ReverseNatEntry>.PackEntry(new(IpAddr.Parse("fd00::1"), 80, IpProtocol.Tcp))) },
                { "serving key", "01000000 02000000", Hex(ServingLayout.PackKey(new(1, 2))) },
                { "eligible key", "01000000 02000000 01000000", Hex(EligibleLayout.PackKey(new(1, LookupScope.Internal, 2))) },
                { "service_ports value", "01020304 05060708", Hex(ServicePortLayout.PackEntry(port)) },
                { "service_names value", "03 612F62" + new string('0', 488), Hex(ServiceNameLayout.PackEntry("a/b")) },
                { "networks4 key", "0C000000 0A600000", Hex(NetworkLayout4.PackKey(IpPrefix.Parse("10.96.0.0/12"))) },
                { "networks6 key", "80000000 FD000000000000000000000000000001", Hex(NetworkLayout6.PackKey(IpPrefix.Parse("fd00::1/128"))) },
                {
                    "node value",
                    "C0000201 20010DB8000000000000000000000001 05000000 01000000 02000000 03000000 04000000 05000000 06000000 0000000000000000",
                    Hex(NodeLayout.PackEntry(node))
                },
                {
                    "source_ranges4 key", "01000000 18000000 0A000000",
                    Hex(SourceRangeLayout4.PackKey(new(1, IpPrefix.Parse("10.0.0.9/24"))))
                },
                {
                    "source_ranges6 key", "01000000 40000000 FD000000000000000000000000000000",
                    Hex(SourceRangeLayout6.PackKey(new(1, IpPrefix.Parse("fd00::9/64"))))
                },
                { "source_ranges value", "01000000", Hex(SourceRangeLayout4.PackEntry(0)) },
                {
                    "affinity4 place", "02000000 01000000 0A000009 00000000 00000000 07000000 302A900000000000",
                    Hex(new AffinityPlace<AffinityKey4>
                    {
                        Generation = 2, Key = new(1, IpAddr.Parse("10.0.0.9")), BackendId = 7, Use = AffinityUse.Pack(nowMs: 9, timeoutSeconds: 10_800),
                    })
                },
                {
                    "affinity6 place", "02000000 01000000 FD000000000000000000000000000009 01000000 07000000 302A900000000000",
                    Hex(new AffinityPlace<AffinityKey6>
                    {
                        Generation = 2, Key = new(1, IpAddr.Parse("fd00::9"), AffinityClient.NetnsCookie),
                        BackendId = 7, Use = AffinityUse.Pack(nowMs: 9, timeoutSeconds: 10_800),
                    })
                },
                {
                    "fragments place",
                    "02000000 50004000 0900000000000000 00000000000000000000FFFF0A000009 00000000000000000000FFFF0A60000A 07000000 11000000 11000000 00000000",
                    Hex(new FragmentPlace
                    {
                        Generation = 2, Ports = 0x0040_0050, ExpiresMs = 9, Protocol = 17,
                        Key = new(new FlowTuple(IpAddr.Parse("10.0.0.9"), IpAddr.Parse("10.96.0.10"), 0, 0, IpProtocol.Udp), 7),
                    })
                },
                {
                    "fragments key of IPv6", "FD000000000000000000000000000009 FD00000000000000000000000000000A 00000001 00000000",
                    Hex(new FragmentKey(new FlowTuple(IpAddr.Parse("fd00::9"), IpAddr.Parse("fd00::a"), 0, 0, IpProtocol.Udp), 0x0100_0000))
                },
            };
        }
    }

    [Theory]
    [MemberData(nameof(Bytes))]
    public void Keys_and_values_lie_in_the_file_as_documented(string what, string want, string got) =>
        Assert.True(want.Replace(" ", "", StringComparison.Ordinal) == got, $"{what}: want {want}, got {got}");

    [Fact]
    public void What_is_packed_is_unpacked_again()
    {
        var key4 = new ServiceKey(IpAddr.Parse("10.96.0.1"), 443, IpProtocol.Sctp, LookupScope.Internal, 7);
        var key6 = key4 with { Address = IpAddr.Parse("fd00::1") };
        NodeEntry withoutIpv4 = NodeEntry.Default with { PrimaryIpv6 = IpAddr.Parse("fd00::2") };

        Assert.Equal(key4, ServiceLayout4.UnpackKey(ServiceLayout4.PackKey(key4)));
        Assert.Equal(key6, ServiceLayout6.UnpackKey(ServiceLayout6.PackKey(key6)));
        Assert.Equal(withoutIpv4, NodeLayout.UnpackEntry(NodeLayout.PackEntry(withoutIpv4)));
        var range4 = new SourceRangeKey(7, IpPrefix.Parse("203.0.113.0/25"));
        var range6 = new SourceRangeKey(7, IpPrefix.Parse("2001:db8::/33"));
        Assert.Equal(range4, SourceRangeLayout4.UnpackKey(SourceRangeLayout4.PackKey(range4)));
        Assert.Equal(range6, SourceRangeLayout6.UnpackKey(SourceRangeLayout6.PackKey(range6)));
        Assert.Equal(IpPrefix.Parse("0.0.0.0/0"), NetworkLayout4.UnpackKey(NetworkLayout4.PackKey(IpPrefix.Parse("0.0.0.0/0"))));
    }

    [Fact]
    public void The_header_has_its_documented_offsets()
    {
        var header = default(MapHeader);
        Assert.Equal(4096, Unsafe.SizeOf<MapHeader>());
        Assert.Equal(
            [0, 8, 12, 16, 40, 44, 48, 52, 56, 60, 64, 72, 88, 96, 104, 112, 128, 192, 200, 256],
            new[]
            {
                At(ref header.Magic), At(ref header.Version), At(ref header.LayoutVersion), At(ref header.Name), At(ref header.Capacity),
                At(ref header.Buckets), At(ref header.Places), At(ref header.PlaceSize), At(ref header.KeySize), At(ref header.ValueSize),
                At(ref header.Length), At(ref header.BootId), At(ref header.NetnsCookie), At(ref header.Seed0), At(ref header.Seed1),
                At(ref header.Checksum), At(ref header.State), At(ref header.LastNumber), At(ref header.Count), At(ref header.Words),
            });

        int At<T>(ref T field) => (int)Unsafe.ByteOffset(ref Unsafe.As<MapHeader, byte>(ref header), ref Unsafe.As<T, byte>(ref field));
    }

    [Fact]
    public void A_Maglev_place_holds_generation_service_port_and_the_table()
    {
        MapFileSpec spec = MaglevLayout.Spec(tables: 10, slots: 16_381);
        Assert.Equal((8u, 65_524u, 65_536u), (spec.KeySize, spec.ValueSize, spec.PlaceSize));
        Assert.Equal(12, MaglevLayout.SlotOffset(0));
        Assert.Equal(12 + (4 * 16_380), MaglevLayout.SlotOffset(16_380));
        Assert.Null(spec.Problem());
    }

    /// <summary>Numbers that other programs compute too (native-shim), for a key of bytes 1, 2, 3 ...: a change would strand them.</summary>
    [Fact]
    public void The_hash_is_the_documented_one()
    {
        Assert.Equal(0x2AD078BF19374B9BUL, SeededHash.Of(Counting<Key4>(), Seed0, Seed1));
        Assert.Equal(0x9BFB6A3B6D942F8CUL, SeededHash.Of(Counting<Key8>(), Seed0, Seed1));
        Assert.Equal(0x825B87ED4E32F7B1UL, SeededHash.Of(Counting<Key12>(), Seed0, Seed1));
        Assert.Equal(0x911F217EB1A0726DUL, SeededHash.Of(Counting<Key24>(), Seed0, Seed1));
        Assert.Equal(0xDFEBF3FB2ABE8796UL, SeededHash.Of(Counting<Key40>(), Seed0, Seed1));
    }

    private const ulong Seed0 = 0x0123_4567_89AB_CDEF;
    private const ulong Seed1 = 0xFEDC_BA98_7654_3210;

    private static T Counting<T>()
        where T : unmanaged
    {
        T key = default;
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<T>(ref key));
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(i + 1);
        }

        return key;
    }

    [InlineArray(4)]
    private struct Key4
    {
        private byte _first;
    }

    [InlineArray(8)]
    private struct Key8
    {
        private byte _first;
    }

    [InlineArray(12)]
    private struct Key12
    {
        private byte _first;
    }

    [InlineArray(24)]
    private struct Key24
    {
        private byte _first;
    }

    [InlineArray(40)]
    private struct Key40
    {
        private byte _first;
    }

    private static string Hex<T>(T value)
        where T : unmanaged => Convert.ToHexString(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));
}
