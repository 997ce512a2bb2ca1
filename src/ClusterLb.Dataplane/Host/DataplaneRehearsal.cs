using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>What a dataplane does when it takes over, done once while nobody waits for it.</summary>
/// <remarks>
/// The first time that the runtime meets a method costs it far more than every other time; a successor that had never handled a
/// packet took some 60 ms for what takes 5. So it serves a flow of each family with memory of its own, and a pair of
/// sockets in the device's place. Everything of it is gone afterwards.
/// </remarks>
internal static class DataplaneRehearsal
{
    private const int UsualPatienceMs = 250; // of no use to wait longer: it is done to save time
    private const ushort Port = 80;

    /// <summary>Does it.</summary>
    /// <param name="patienceMs">For each packet.</param>
    /// <param name="until">When this can be read, the real thing has begun: what is left is not rehearsed.</param>
    /// <returns>Packets that were translated, both ways.</returns>
    public static int Run(int patienceMs = UsualPatienceMs, SafeFileHandle? until = null)
    {
        using SharedLbMaps maps = SharedLbMaps.CreateInMemory(LbMapCapacities.Small);
        using FlowTables flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 1_024, Ipv6 = 1_024, Affinity = 1_024, Workers = 1 });
        using TraceRing trace = TraceRing.CreateInMemory(workers: 1);
        using PacketBatches batches = PacketBatches.CreateInMemory(workers: 1);
        (IpAddr Client, IpAddr Frontend, IpAddr Backend)[] families =
        [
            (IpAddr.Parse("192.0.2.1"), IpAddr.Parse("192.0.2.2"), IpAddr.Parse("192.0.2.3")),
            (IpAddr.Parse("2001:db8::1"), IpAddr.Parse("2001:db8::2"), IpAddr.Parse("2001:db8::3")),
        ];
        for (uint id = 1; id <= families.Length; id++)
        {
            AddService(maps, id, families[id - 1].Frontend, families[id - 1].Backend);
            maps.Networks.Update(IpPrefix.Host(families[id - 1].Client), NetworkFlags.PodRange); // whose address is kept
        }

        var files = new List<(string Name, SafeFileHandle Handle)>();
        files.AddRange(maps.OpenDescriptors(readOnly: true).Select(file => (DescriptorNames.MapsPrefix + file.Name, file.Handle)));
        files.AddRange(flows.OpenDescriptors().Select(file => (DescriptorNames.FlowsPrefix + file.Name, file.Handle)));
        files.Add((DescriptorNames.MapsPrefix + Epochs.FileName, OpenAnonymous(Epochs.Spec)));
        files.Add((DescriptorNames.FlowsPrefix + WorkerSlots.FileName, OpenAnonymous(WorkerSlots.Spec)));
        files.Add((DescriptorNames.FlowsPrefix + BackendArrivals.FileName, OpenAnonymous(BackendArrivals.Spec)));
        files.Add((DescriptorNames.FlowsPrefix + TraceRing.FileName, trace.OpenDescriptor()));
        files.Add((DescriptorNames.FlowsPrefix + PacketBatches.FileName, batches.OpenDescriptor()));
        SafeFileHandle[] pair = ControlSocketInterop.CreatePair();
        using SafeFileHandle network = pair[0];
        files.Add((DescriptorNames.QueuePrefix + "0", pair[1]));

        string failure = "";
        using DataplaneWorkers workers = DataplaneWorkers.Start(
            [.. files.Select(file => file.Name)], [.. files.Select(file => file.Handle)], why => failure = why, TimeProvider.System);
        int translated = 0;
        foreach ((IpAddr client, IpAddr frontend, IpAddr backend) in families)
        {
            translated += Exchange(network, new FlowTuple(client, frontend, 40_000, Port, IpProtocol.Tcp), TcpFlags.Syn, patienceMs, until);
            translated += Exchange(network, new FlowTuple(backend, client, Port, 40_000, IpProtocol.Tcp), TcpFlags.Syn | TcpFlags.Ack, patienceMs, until);
        }

        workers.Stop();
        return failure.Length == 0 ? translated : throw new ControlSocketException(failure);
    }

    private static void AddService(SharedLbMaps maps, uint id, IpAddr frontend, IpAddr backend)
    {
        maps.ServicePorts.Update(id, new ServicePortEntry(id));
        maps.Backends.Update(id, new BackendEntry(backend, Port, IpProtocol.Tcp, BackendState.Active));
        maps.Serving.Update(new ServingKey(id, id), 0);
        maps.ReverseNat.Update(id, new ReverseNatEntry(frontend, Port, IpProtocol.Tcp));
        maps.Services.Update(
            new ServiceKey(frontend, Port, IpProtocol.Tcp, LookupScope.External, 1),
            new ServiceEntry { BackendId = id, RevNatId = id, ServicePortId = id });
        maps.Services.Update(
            new ServiceKey(frontend, Port, IpProtocol.Tcp, LookupScope.External, 0),
            new ServiceEntry { Count = 1, RevNatId = id, ServicePortId = id, Flags = ServiceFlags.EndpointsExist });
    }

    private static SafeFileHandle OpenAnonymous(MapFileSpec spec)
    {
        using MapFile file = MapFile.CreateAnonymous(spec);
        return file.OpenDescriptor(readOnly: false);
    }

    private static int Exchange(SafeFileHandle network, FlowTuple tuple, TcpFlags flags, int patienceMs, SafeFileHandle? until)
    {
        byte[] frame = new byte[VnetHeader.Length + CraftedTcp.Length(tuple.IsIpv4)];
        CraftedTcp.Write(frame.AsSpan(VnetHeader.Length), tuple, 1, 1, flags);
        return TunInterop.Write(network, frame) == frame.Length
            && PollInterop.WaitReadable([network, until], patienceMs) == 1
            && TunInterop.Read(network, frame) == frame.Length ? 1 : 0;
    }
}
