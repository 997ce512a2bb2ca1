using ClusterLb.Cli.Commands;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Cli;

/// <summary>Golden texts of the listings, over maps filled by hand.</summary>
public sealed class MapListingTests
{
    private readonly DictionaryLbMaps _maps = new();

    public MapListingTests()
    {
        Add("10.96.0.10", 80, 4, 2, "default/web:http", ServiceFlags.EndpointsExist, (1, "10.244.1.5", 8080), (2, "10.244.2.5", 8080));
        Add("10.96.0.11", 53, 5, 3, "kube-system/dns:dns", ServiceFlags.Affinity);
        Add("fd00:96::10", 80, 6, 4, "default/web:http", ServiceFlags.NodePort | ServiceFlags.Routable, (3, "fd00:10::5", 8080));
        _maps.Services.Update(
            new ServiceKey(IpAddr.Parse("10.96.0.10"), 0, IpProtocol.Any, LookupScope.External, 0),
            new ServiceEntry { Flags = ServiceFlags.ActiveAddress });
    }

    [Fact]
    public void Service_list_shows_frontends_with_their_backends() =>
        Assert.Equal(
            """
            ID   Frontend               Service Type   Service               Backend
            4    10.96.0.10:80/TCP      ClusterIP      default/web:http      1 => 10.244.1.5:8080/TCP (active)
                                                                             2 => 10.244.2.5:8080/TCP (active)
            5    10.96.0.11:53/TCP      ClusterIP      kube-system/dns:dns   (none)
            6    [fd00:96::10]:80/TCP   NodePort       default/web:http      1 => [fd00:10::5]:8080/TCP (active)

            """,
            CliRun.Text(t => ServiceCommand.List(FrontendView.All(_maps), OutputFormat.Table, t)));

    [Theory]
    [InlineData("4", "4")]
    [InlineData("10.96.0.10", "4")]
    [InlineData("10.96.0.1", "")]
    [InlineData("10.96.0.10:80", "4")]
    [InlineData("10.96.0.10:8", "")]
    [InlineData("10.96.0.11:53/tcp", "5")]
    [InlineData("fd00:96::10", "6")]
    [InlineData("[fd00:96::10]:80", "6")]
    [InlineData("default/web", "4 6")]
    [InlineData("default/web:http", "4 6")]
    [InlineData("default/we", "")]
    public void Service_get_finds_by_id_address_and_name(string which, string ids) =>
        Assert.Equal(ids, string.Join(' ', FrontendView.All(_maps).Where(view => view.Matches(which)).Select(view => view.Id)));

    [Fact]
    public void Service_get_of_something_unknown_says_so()
    {
        CommandException e = Assert.Throws<CommandException>(
            () => ServiceCommand.Get(FrontendView.All(_maps), "10.1.1.1", OutputFormat.Table, CliRun.OnTo(TextWriter.Null)));

        Assert.Equal(
            "cannot show service '10.1.1.1': no frontend has this id, address or name; 'clusterlb service list' shows all", e.Message);
    }

    [Fact]
    public void Service_get_of_a_name_in_several_namespaces_names_them()
    {
        Add("10.96.0.12", 80, 7, 5, "other/web:http", ServiceFlags.EndpointsExist);

        CommandException e = Assert.Throws<CommandException>(
            () => ServiceCommand.Get(FrontendView.All(_maps), "web", OutputFormat.Table, CliRun.OnTo(TextWriter.Null)));

        Assert.Equal("cannot show service 'web': several namespaces have one (default/web, other/web); write the namespace, too", e.Message);
    }

    [Fact]
    public void Source_ranges_are_listed_by_service()
    {
        Allow(2, "192.0.2.0/24");
        Allow(2, "10.0.0.0/8");
        Allow(4, "2001:db8::/32");
        Allow(77, "0.0.0.0/0");

        Assert.Equal(
            """
            SERVICE            ALLOWED SOURCES
            default/web:http   10.0.0.0/8
            default/web:http   192.0.2.0/24
            default/web:http   2001:db8::/32
            service port 77    0.0.0.0/0

            """,
            CliRun.Text(t => BpfLbCommand.ListSourceRanges(_maps, OutputFormat.Table, t)));

        void Allow(uint servicePortId, string sources) => _maps.SourceRanges.Update(new SourceRangeKey(servicePortId, IpPrefix.Parse(sources)), 1);
    }

    [Fact]
    public void Bpf_lb_list_shows_every_entry_in_the_words_of_cilium() =>
        Assert.Equal(
            """
            SERVICE ADDRESS            BACKEND ADDRESS (REVNAT_ID) (SLOT)
            10.96.0.10:0/ANY (0)       0.0.0.0:0 (0) (0) [address in use]
            10.96.0.10:80/TCP (0)      0.0.0.0:0 (4) (0) [ClusterIP, non-routable]
            10.96.0.10:80/TCP (1)      10.244.1.5:8080/TCP (4) (1)
            10.96.0.10:80/TCP (2)      10.244.2.5:8080/TCP (4) (2)
            10.96.0.11:53/TCP (0)      0.0.0.0:0 (5) (0) [ClusterIP, sessionAffinity, non-routable]
            [fd00:96::10]:80/TCP (0)   [::]:0 (6) (0) [NodePort]
            [fd00:96::10]:80/TCP (1)   [fd00:10::5]:8080/TCP (6) (1)

            """,
            CliRun.Text(t => BpfLbCommand.ListServices(_maps, frontendsOnly: false, OutputFormat.Table, t)));

    [Fact]
    public void Bpf_lb_list_backends_and_revnat_show_their_maps()
    {
        Assert.Equal(
            """
            ID   BACKEND ADDRESS         STATE
            1    10.244.1.5:8080/TCP     active
            2    10.244.2.5:8080/TCP     active
            3    [fd00:10::5]:8080/TCP   active

            """,
            CliRun.Text(t => BpfLbCommand.ListBackends(_maps, OutputFormat.Table, t)));
        Assert.Equal(
            """
            ID   FRONTEND
            4    10.96.0.10:80/TCP
            5    10.96.0.11:53/TCP
            6    [fd00:96::10]:80/TCP

            """,
            CliRun.Text(t => BpfLbCommand.ListReverseNat(_maps, OutputFormat.Table, t)));
    }

    [Fact]
    public void A_split_and_an_algorithm_are_shown()
    {
        Add("10.96.0.13", 80, 8, 6, "default/shop:http", ServiceFlags.EndpointsExist | ServiceFlags.Split, (1, "10.244.1.5", 8080));
        var key = new ServiceKey(IpAddr.Parse("10.96.0.13"), 80, IpProtocol.Tcp, LookupScope.External, 0);
        foreach (LookupScope scope in (LookupScope[])[LookupScope.External, LookupScope.ExternalCanary])
        {
            _maps.Services.Update(key with { Scope = scope }, new ServiceEntry
            {
                BackendId = ServiceEntry.PackAffinity(0, SelectionAlgorithm.RoundRobin),
                Count = 1,
                RevNatId = 8,
                ServicePortId = 6,
                Flags = ServiceFlags.EndpointsExist | ServiceFlags.Split,
                SharePercent = 10,
            });
        }

        _maps.Services.Update(
            key with { Scope = LookupScope.ExternalCanary, Slot = 1 }, new ServiceEntry { BackendId = 2, RevNatId = 8, ServicePortId = 6 });

        Assert.Contains(
            "1 => 10.244.2.5:8080/TCP (active) [canary 10%]",
            CliRun.Text(t => ServiceCommand.Get(FrontendView.All(_maps), "8", OutputFormat.Table, t)),
            StringComparison.Ordinal);
        string entries = CliRun.Text(t => BpfLbCommand.ListServices(_maps, frontendsOnly: false, OutputFormat.Table, t));
        Assert.Contains("(8) (0) [ClusterIP, round-robin, split 10%, non-routable]", entries, StringComparison.Ordinal);
        Assert.Contains("10.244.2.5:8080/TCP (8) (1) [external canary]", entries, StringComparison.Ordinal);
    }

    [Fact]
    public void Bpf_lb_maglev_shows_the_share_of_each_backend()
    {
        var table = new uint[_maps.Maglev.TableSize];
        Array.Fill(table, 1u);
        Array.Fill(table, 2u, 0, 510);
        _maps.Maglev.Update(new MaglevKey(2, BackendSetKind.Cluster), table);
        _maps.Maglev.Seed = MaglevSeed.Default;

        Assert.Equal(
            """
            seed JLfvgnHc2kaSUFaI, 1021 slots each
            SERVICE            SET       BACKEND               SLOTS   SHARE    DIGEST
            default/web:http   cluster   10.244.1.5:8080/TCP   511     50.05%   4a0bdf6fc41a9a20
            default/web:http   cluster   10.244.2.5:8080/TCP   510     49.95%   4a0bdf6fc41a9a20

            """,
            CliRun.Text(t => BpfMaglevCommand.Print(MaglevView.Of(_maps, "web"), "web", OutputFormat.Table, t)));
        Assert.Contains(
            "only services that choose by a hash have one",
            Assert.Throws<CommandException>(() => BpfMaglevCommand.Print(
                MaglevView.Of(_maps, "dns"), "dns", OutputFormat.Table, CliRun.OnTo(TextWriter.Null))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Json_lists_the_same_with_field_names() =>
        Assert.Equal(
            """
            [
              {
                "id": 5,
                "frontend": "10.96.0.11:53/TCP",
                "type": "ClusterIP",
                "service": "kube-system/dns:dns",
                "servicePortId": 3,
                "flags": [
                  "ClusterIP",
                  "sessionAffinity",
                  "non-routable"
                ],
                "affinity": 0,
                "algorithm": "random",
                "backends": []
              }
            ]

            """,
            CliRun.Text(t => ServiceCommand.Get(FrontendView.All(_maps), "5", OutputFormat.Json, t)));

    private void Add(
        string address, ushort port, uint id, uint servicePortId, string name, ServiceFlags flags,
        params (uint Id, string Address, ushort Port)[] backends)
    {
        var frontend = new ServiceKey(IpAddr.Parse(address), port, IpProtocol.Tcp, LookupScope.External, 0);
        _maps.ServiceNames.Update(servicePortId, name);
        _maps.ReverseNat.Update(id, new ReverseNatEntry(frontend.Address, port, IpProtocol.Tcp));
        _maps.Services.Update(frontend, new ServiceEntry
        {
            Count = (uint)backends.Length,
            RevNatId = id,
            ServicePortId = servicePortId,
            Flags = flags,
        });
        for (uint slot = 1; slot <= backends.Length; slot++)
        {
            (uint backendId, string backendAddress, ushort backendPort) = backends[slot - 1];
            _maps.Backends.Update(
                backendId, new BackendEntry(IpAddr.Parse(backendAddress), backendPort, IpProtocol.Tcp, BackendState.Active));
            _maps.Services.Update(
                frontend with { Slot = slot },
                new ServiceEntry { BackendId = backendId, RevNatId = id, ServicePortId = servicePortId });
        }
    }
}
