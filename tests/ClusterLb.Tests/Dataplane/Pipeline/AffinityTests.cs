using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>Semantics R31 to R33 on packets.</summary>
public sealed class AffinityTests : IDisposable
{
    private const string Frontend = "10.96.0.10:80";
    private const string Client = "10.244.0.9";
    private static readonly string[] Backends = ["10.244.1.1:8080", "10.244.1.2:8080", "10.244.1.3:8080", "10.244.1.4:8080"];

    private readonly PipelineFixture _lb = new() { AffinitySeconds = 60 };
    private int _port = 40_000;

    public AffinityTests() => _lb.WithService($"{Frontend}/TCP", Backends);

    public void Dispose() => _lb.Dispose();

    [Fact]
    public void A_client_stays_with_its_backend()
    {
        string first = Connect();

        Assert.All(Enumerable.Range(0, 50).Select(_ => Connect()), backend => Assert.Equal(first, backend));
    }

    [Fact]
    public void Clients_are_still_spread()
    {
        Assert.Equal(4, Enumerable.Range(1, 60).Select(i => Connect($"10.244.2.{i}")).Distinct().Count());
    }

    [Fact]
    public void The_timeout_runs_from_the_latest_new_connection_and_not_from_its_packets()
    {
        string first = Connect();
        int port = _port;
        for (int i = 0; i < 3; i++)
        {
            _lb.Later(TimeSpan.FromSeconds(50));
            Assert.Equal(first, Connect());
        }

        _lb.Later(TimeSpan.FromSeconds(30));
        _lb.Send(Packet.Tcp($"{Client}:{port}", Frontend).Ack());
        _lb.Later(TimeSpan.FromSeconds(30));

        Assert.NotEqual(first, ConnectUnlike(first));
    }

    [Fact]
    public void A_backend_that_is_not_eligible_any_more_is_left_and_not_come_back_to()
    {
        string first = Connect();
        _lb.WithService($"{Frontend}/TCP", [.. Backends.Where(b => b != first)]);
        string second = Connect();
        Assert.NotEqual(first, second);

        _lb.WithService($"{Frontend}/TCP", Backends);

        Assert.All(Enumerable.Range(0, 20).Select(_ => Connect()), backend => Assert.Equal(second, backend));
    }

    [Fact]
    public void New_backends_do_not_move_pinned_clients()
    {
        string first = Connect();

        _lb.WithService($"{Frontend}/TCP", [.. Backends, "10.244.1.5:8080", "10.244.1.6:8080"]);

        Assert.All(Enumerable.Range(0, 20).Select(_ => Connect()), backend => Assert.Equal(first, backend));
    }

    [Fact]
    public void The_set_of_the_scope_that_the_client_uses_is_what_counts()
    {
        const string Lb = "203.0.113.7:80/TCP";
        const ServiceFlags Flags = ServiceFlags.LoadBalancer | ServiceFlags.ExternalLocalScope | ServiceFlags.TwoScopes | ServiceFlags.EndpointsExist;
        _lb.WithScope(Lb, LookupScope.Internal, Flags, Backends);
        _lb.WithScope(Lb, LookupScope.External, Flags, Backends[0]);
        string inside = Connect(Client, "203.0.113.7:80", Unlike(Backends[0]));
        Assert.Equal(inside, Connect(Client, "203.0.113.7:80"));

        Assert.Equal(Backends[0], Connect("198.51.100.9", "203.0.113.7:80"));
    }

    [Fact]
    public void A_datagram_whose_backend_stopped_serving_is_pinned_anew()
    {
        _lb.WithService($"{Frontend}/UDP", Backends);
        string first = Datagram();
        _lb.WithService($"{Frontend}/UDP", [.. Backends.Where(b => b != first)]).WithoutServing($"{Frontend}/UDP", first);

        string second = Datagram();

        Assert.NotEqual(first, second);
        Assert.Equal(second, Backend(_lb.Send(Packet.Udp($"{Client}:41001", Frontend))));
    }

    private static Func<string, bool> Unlike(string backend) => b => b != backend;

    private string Datagram() => Backend(_lb.Send(Packet.Udp($"{Client}:41000", Frontend)));

    private string Connect(string client = Client, string to = Frontend) => Backend(_lb.Send(Packet.Tcp($"{client}:{++_port}", to).Syn()));

    /// <summary>Other clients in the same place until one gets such a backend: its choice is random.</summary>
    private string Connect(string client, string to, Func<string, bool> wanted)
    {
        string backend = Connect(client, to);
        for (int i = 0; i < 100 && !wanted(backend); i++)
        {
            _lb.Later(TimeSpan.FromSeconds(61));
            backend = Connect(client, to);
        }

        Assert.True(wanted(backend), backend);
        return backend;
    }

    /// <summary>A free client chooses at random: after a few timeouts it has had another backend.</summary>
    private string ConnectUnlike(string first) => Connect(Client, Frontend, Unlike(first));

    private string Backend(string line)
    {
        Assert.DoesNotContain("drop", line, StringComparison.Ordinal);
        return _lb.Meta.Translated.Destination.WithPort(_lb.Meta.Translated.DestinationPort);
    }
}
