using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Agent;
using ClusterLb.Agent.HealthCheck;
using ClusterLb.Agent.Logging;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Agent.HealthCheck;

/// <summary>Health check node ports on real sockets of the loopback device.</summary>
public sealed class HealthCheckNodePortsTests : IAsyncLifetime
{
    private static readonly NetworkInputs OnLoopback = new() { NodePortRanges = [IpPrefix.Parse("127.0.0.0/8"), IpPrefix.Parse("::1/128")] };

    private static readonly TimeSpan RetryPeriod = TimeSpan.FromSeconds(5);

    private readonly RecordedEvents _events = new();
    private readonly ManualTime _time = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly StringWriter _lines = new();
    private readonly KlogProvider _log;
    private readonly HealthCheckNodePorts _ports;
    private readonly IPEndPoint _address = FreePort.OnLoopback();
    private ImmutableDictionary<ObjectName, ServiceHealth> _services = ImmutableDictionary<ObjectName, ServiceHealth>.Empty;
    private volatile bool _proxyHealthy = true;
    private Task _running = Task.CompletedTask;

    public HealthCheckNodePortsTests()
    {
        _log = new KlogProvider(_lines, 2, LogFormat.Text);
        _ports = new HealthCheckNodePorts("node-a", _events, () => _proxyHealthy, _log.CreateLogger("Healthcheck"), _time);
    }

    public Task InitializeAsync()
    {
        _ports.SetNetwork(OnLoopback, null);
        _running = _ports.RunAsync(_stop.Token);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        await _ports.DisposeAsync();
        _log.Dispose();
        _stop.Dispose();
    }

    [Theory]
    [InlineData("node-port-two-local", 2, true)]
    [InlineData("node-port-none-local", 0, true)]
    [InlineData("node-port-proxy-late", 2, false)]
    public async Task Answers_as_the_transcript(string transcript, int localReady, bool proxyHealthy)
    {
        _proxyHealthy = proxyHealthy;
        Set(Health("web", _address.Port, localReady));
        await IsOpenAsync(_address);

        await HttpTranscript.CheckAsync(transcript, _address);
    }

    [Fact]
    public async Task Follows_the_count_the_port_and_the_end_of_a_service()
    {
        Set(Health("web", _address.Port, 1));
        await IsOpenAsync(_address);
        Set(Health("web", _address.Port, 7));
        await EventuallyAsync(async () => (await HttpTranscript.AskAsync(_address, "GET /")).Contains("\"localEndpoints\": 7", StringComparison.Ordinal));

        IPEndPoint other = FreePort.OnLoopback();
        Set(Health("web", other.Port, 7));
        await IsOpenAsync(other);
        await IsClosedAsync(_address);

        Remove("web");
        await IsClosedAsync(other);
        Assert.True(_events.IsEmpty);
    }

    [Fact]
    public async Task A_port_may_move_from_one_service_to_another()
    {
        Set(Health("old", _address.Port, 1));
        await IsOpenAsync(_address);
        Set(Health("new", _address.Port, 3));
        Assert.StartsWith("Service default/new FailedToStartServiceHealthcheck: ", await _events.NextAsync(), StringComparison.Ordinal);

        Remove("old");
        await EventuallyAsync(async () => (await TryAskAsync(_address)).Contains("\"name\": \"new\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_port_in_use_is_a_warning_event_once_and_is_tried_again()
    {
        using (var squatter = new TcpListener(_address))
        {
            squatter.Start();
            Set(Health("web", _address.Port, 2));
            Assert.Equal(
                $"Service default/web FailedToStartServiceHealthcheck: node node-a failed to start healthcheck \"default/web\" on port {_address.Port}: " +
                $"listen 127.0.0.1:{_address.Port}: Address already in use",
                await _events.NextAsync());
            await EventuallyAsync(() => Task.FromResult(_time.Timers > 0));
            _time.Advance(RetryPeriod);
            await EventuallyAsync(() => Task.FromResult(_time.Timers > 0)); // it has tried, and waits again
        }

        _time.Advance(RetryPeriod);
        await IsOpenAsync(_address);
        Assert.True(_events.IsEmpty);
        await HttpTranscript.CheckAsync("node-port-two-local", _address);
    }

    [Fact]
    public async Task Each_family_has_its_own_count_and_listens_on_its_own_addresses()
    {
        Set(Health("web", _address.Port, 2) with { Families = Families.Both });
        var ipv6 = new IPEndPoint(IPAddress.IPv6Loopback, _address.Port);
        await IsOpenAsync(_address);
        await IsOpenAsync(ipv6);

        Assert.StartsWith("HTTP/1.1 200 ", await HttpTranscript.AskAsync(_address, "GET /"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 503 ", await HttpTranscript.AskAsync(ipv6, "GET /"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Follows_the_addresses_of_the_node()
    {
        Set(Health("web", _address.Port, 1));
        await IsOpenAsync(_address);

        var second = new IPEndPoint(IPAddress.Parse("127.0.0.2"), _address.Port);
        _ports.SetNetwork(new NetworkInputs { NodePortRanges = [IpPrefix.Parse("127.0.0.2/32")], NodeAddresses = [IpAddr.Parse("127.0.0.2")] }, null);
        await IsOpenAsync(second);
        await IsClosedAsync(_address);

        _ports.SetNetwork(new NetworkInputs(), null); // all addresses
        await IsOpenAsync(_address);
    }

    [Fact]
    public async Task A_family_in_which_the_node_has_no_address_is_opened_once_and_not_with_each_count()
    {
        _ports.SetNetwork(new NetworkInputs { NodePortRanges = [IpPrefix.Parse("127.0.0.0/8"), IpPrefix.Parse("2001:db8::/32")] }, null);
        for (int count = 1; count <= 3; count++)
        {
            Set(Health("web", _address.Port, count) with { Families = Families.Both });
            await EventuallyAsync(async () => (await TryAskAsync(_address)).Contains($"\"localEndpoints\": {count},", StringComparison.Ordinal));
        }

        Remove("web");
        await IsClosedAsync(_address);
        Assert.Equal(2, _lines.ToString().Split("Opening healthcheck").Length - 1); // one a family
    }

    [Fact]
    public async Task Hundreds_of_services_share_one_server()
    {
        IPEndPoint[] addresses = [.. Enumerable.Range(0, 300).Select(_ => FreePort.OnLoopback()).DistinctBy(a => a.Port)];
        for (int i = 0; i < addresses.Length; i++)
        {
            Set(Health($"s{i}", addresses[i].Port, i));
        }

        for (int i = 0; i < addresses.Length; i++)
        {
            await IsOpenAsync(addresses[i]);
            string answer = await HttpTranscript.AskAsync(addresses[i], "GET /");
            Assert.Contains($"\"name\": \"s{i}\"", answer, StringComparison.Ordinal);
            Assert.Contains($"\"localEndpoints\": {i},", answer, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("", false, "0.0.0.0 ::")]
    [InlineData("0.0.0.0/0 ::/0", false, "0.0.0.0 ::")]
    [InlineData("192.0.2.0/24", false, "192.0.2.7 ::")]
    [InlineData("127.0.0.0/8 2001:db8::/32", false, "127.0.0.1 2001:db8::7")]
    [InlineData("", true, "192.0.2.7 2001:db8::7")]
    public void Listens_where_node_ports_answer(string ranges, bool primaryOnly, string want)
    {
        var network = new NetworkInputs
        {
            NodeAddresses = [IpAddr.Parse("192.0.2.7"), IpAddr.Parse("198.51.100.7"), IpAddr.Parse("2001:db8::7")],
            NodePortRanges = [.. ranges.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(IpPrefix.Parse)],
            NodePortsOnPrimaryOnly = primaryOnly,
        };

        Assert.Equal(want, string.Join(' ', NodePortListenAddresses.Of(network, null, true).Concat(NodePortListenAddresses.Of(network, null, false))));
    }

    private static ServiceHealth Health(string name, int port, int localReady) =>
        new(new ObjectName("default", name), (ushort)port, localReady, 0, Families.Ipv4);

    private void Set(ServiceHealth health)
    {
        _services = _services.SetItem(health.Service, health);
        _ports.SetServices(_services);
    }

    private void Remove(string name)
    {
        _services = _services.Remove(new ObjectName("default", name));
        _ports.SetServices(_services);
    }

    private static Task IsOpenAsync(IPEndPoint address) => EventuallyAsync(() => IsListeningAsync(address));

    private static Task IsClosedAsync(IPEndPoint address) => EventuallyAsync(async () => !await IsListeningAsync(address));

    /// <summary>Empty while the port is between two services: then the kernel refuses, or resets whom it had let in.</summary>
    private static async Task<string> TryAskAsync(IPEndPoint address)
    {
        try
        {
            return await HttpTranscript.AskAsync(address, "GET /");
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            return "";
        }
    }

    private static async Task<bool> IsListeningAsync(IPEndPoint address)
    {
        using var client = new TcpClient(address.AddressFamily);
        try
        {
            await client.ConnectAsync(address);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static async Task EventuallyAsync(Func<Task<bool>> condition)
    {
        for (int tries = 0; !await condition(); tries++)
        {
            Assert.True(tries < 3000, "it did not become true");
            await Task.Delay(10);
        }
    }
}
