using BenchmarkDotNet.Attributes;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Benchmarks.Maps;

/// <summary>What does a new flow's way through the maps cost: slot 0, one slot, its backend; and does it grow with the services?</summary>
/// <remarks>Target: at most 60 ns at 100,000 services of 5 endpoints, within 20 % of 100 services when the same number of entries is
/// touched (HundredHot). AllRandom draws uniformly from all services: it measures the memory, not the map. The maps are what
/// the dataplane has: files on tmpfs, received as descriptors, mapped read-only.</remarks>
public class ServiceLookupBenchmarks
{
    private const int Endpoints = 5;
    private const int Hot = 100;
    private const int Draws = 4_096;

    private readonly string _stateDir = Directory.CreateTempSubdirectory("clusterlb-bench-").FullName;
    private SharedLbMaps _writer = null!;
    private SharedLbMaps _maps = null!;
    private (ServiceKey Frontend, uint Slot)[] _hot = [];
    private (ServiceKey Frontend, uint Slot)[] _all = [];

    /// <summary>How many services there are.</summary>
    [Params(100, 100_000)]
    public int Services { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        string stateDir = Directory.Exists("/dev/shm") ? $"/dev/shm/{Path.GetFileName(_stateDir)}" : _stateDir;
        _writer = SharedLbMaps.OpenForWriting(stateDir, new LbMapCapacities { Services = 1 << 20, Backends = 1 << 20 }, Console.WriteLine);
        for (int service = 0; service < Services; service++)
        {
            Write(service);
        }

        _maps = SharedLbMaps.FromDescriptors(_writer.OpenDescriptors(readOnly: true).ToDictionary(file => file.Name, file => file.Handle));
        Directory.Delete(stateDir, recursive: true); // the mappings stay
        var random = new Random(1);
        int[] hot = Enumerable.Range(0, Hot).Select(i => i * (Services / Hot)).ToArray();
        _hot = Enumerable.Range(0, Draws).Select(_ => Draw(hot[random.Next(Hot)])).ToArray();
        _all = Enumerable.Range(0, 1 << 20).Select(_ => Draw(random.Next(Services))).ToArray();

        (ServiceKey, uint) Draw(int service) => (Frontend(service), (uint)random.Next(1, Endpoints + 1));
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _maps.Dispose();
        _writer.Dispose();
        Directory.Delete(_stateDir, recursive: true);
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Draws)]
    public uint HundredHot() => Run(_hot);

    [Benchmark(OperationsPerInvoke = 1 << 20)]
    public uint AllRandom() => Run(_all);

    private uint Run((ServiceKey Frontend, uint Slot)[] draws)
    {
        uint sum = 0;
        foreach ((ServiceKey frontend, uint slot) in draws)
        {
            if (_maps.Services.TryLookup(frontend, out ServiceEntry service)
                && _maps.Services.TryLookup(frontend with { Slot = Math.Min(slot, service.Count) }, out ServiceEntry chosen)
                && _maps.Backends.TryLookup(chosen.BackendId, out BackendEntry backend))
            {
                sum += backend.Port;
            }
            else
            {
                throw new InvalidOperationException("A service is missing.");
            }
        }

        return sum;
    }

    private void Write(int service)
    {
        ServiceKey frontend = Frontend(service);
        for (uint slot = 1; slot <= Endpoints; slot++)
        {
            uint id = ((uint)service * Endpoints) + slot;
            _writer.Backends.Update(id, new BackendEntry(IpAddr.FromIpv4(0x0A80_0000 + id), 8080, IpProtocol.Tcp, BackendState.Active));
            _writer.Services.Update(frontend with { Slot = slot }, new ServiceEntry { BackendId = id });
        }

        _writer.Services.Update(frontend, new ServiceEntry { Count = Endpoints });
    }

    private static ServiceKey Frontend(int service) =>
        new(IpAddr.FromIpv4(0x0A60_0000 + (uint)service), 80, IpProtocol.Tcp, LookupScope.External, 0);
}
