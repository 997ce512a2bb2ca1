using System.Text.Json.Nodes;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>What is created, changed and deleted at the API server arrives in the maps.</summary>
[Collection(ApiServerCollection.Name)]
public sealed class ObjectTests(ApiServerFixture fixture) : ApiServerTestBase(fixture)
{
    [Fact]
    public async Task A_service_comes_changes_and_goes()
    {
        await CreateAsync("web", 1, "10.244.1.5");
        await ServesAsync(1, "10.244.1.5:8080");

        await Server.CreateAsync(ApiObjects.Slice(Space, "web", "2", "10.244.2.6"));
        await ServesAsync(1, "10.244.1.5:8080", "10.244.2.6:8080");

        await Fixture.SetEndpointsAsync(Space, "web-2", "10.244.2.7", "10.244.2.8");
        await ServesAsync(1, "10.244.1.5:8080", "10.244.2.7:8080", "10.244.2.8:8080");

        await Server.DeleteAsync("endpointslices", Space, "web-1");
        await ServesAsync(1, "10.244.2.7:8080", "10.244.2.8:8080");

        await Server.DeleteAsync("services", Space, "web");
        await ServesAsync(1, null);
        await Server.DeleteAsync("endpointslices", Space, "web-2");
        Assert.Empty(Node.Faults);
    }

    [Fact]
    public async Task What_was_there_before_the_agent_is_listed()
    {
        await CreateAsync("web", 2, "10.244.1.5", "10.244.1.6");
        await using SyncedNode late = SyncedNode.Start(ApiServerFixture.NodeName, Fixture.KubeconfigOf(Relay));

        await Eventually.IsAsync("the first sync is complete", () => late.Sync.IsSynced);

        Assert.Equal(["10.244.1.5:8080", "10.244.1.6:8080"], late.BackendsOf(ApiServerFixture.AddressOf(2), 80));
    }

    [Fact]
    public async Task A_label_that_names_another_proxy_takes_a_service_away_and_gives_it_back()
    {
        await CreateAsync("web", 3, "10.244.1.5");
        await ServesAsync(3, "10.244.1.5:8080");

        await LabelAsync("services", "web", "service.kubernetes.io/service-proxy-name", "other");
        await ServesAsync(3, null);
        await LabelAsync("services", "web", "service.kubernetes.io/service-proxy-name", null);
        await ServesAsync(3, "10.244.1.5:8080");
    }

    [Fact]
    public async Task The_zone_of_the_node_decides_on_hints_and_may_change()
    {
        await CreateAsync("web", 4, []);
        await Server.PatchAsync("endpointslices", Space, "web-1", new JsonObject
        {
            ["endpoints"] = new JsonArray(
                ApiObjects.Endpoint("10.244.1.5", forZone: "zone-1"), ApiObjects.Endpoint("10.244.2.6", forZone: "zone-2")),
        });
        await ServesAsync(4, "10.244.1.5:8080");

        await ZoneAsync("zone-2");
        await ServesAsync(4, "10.244.2.6:8080");
        await ZoneAsync("zone-1");
        await ServesAsync(4, "10.244.1.5:8080");

        Task ZoneAsync(string zone) => Server.PatchAsync("nodes", "", ApiServerFixture.NodeName, new JsonObject
        {
            ["metadata"] = new JsonObject { ["labels"] = new JsonObject { ["topology.kubernetes.io/zone"] = zone } },
        });
    }

    [Fact]
    public async Task Terminating_endpoints_serve_while_there_is_no_other()
    {
        await CreateAsync("web", 5, "10.244.1.5");
        await ServesAsync(5, "10.244.1.5:8080");

        await PatchAsync(ApiObjects.Endpoint("10.244.1.5", ready: false, terminating: true), ApiObjects.Endpoint("10.244.1.6"));
        await ServesAsync(5, "10.244.1.6:8080");
        await PatchAsync(ApiObjects.Endpoint("10.244.1.5", ready: false, terminating: true), ApiObjects.Endpoint("10.244.1.6", ready: false));
        await ServesAsync(5, "10.244.1.5:8080");
        await PatchAsync(ApiObjects.Endpoint("10.244.1.5", ready: false));
        await ServesAsync(5, []);

        Task PatchAsync(params JsonNode[] endpoints) =>
            Server.PatchAsync("endpointslices", Space, "web-1", new JsonObject { ["endpoints"] = new JsonArray(endpoints) });
    }

    [Fact]
    public async Task Objects_of_no_use_to_us_do_not_disturb_the_rest()
    {
        await CreateAsync("web", 6, "10.244.1.5");
        JsonObject names = ApiObjects.Slice(Space, "web", "names", "backend.example.org");
        names["addressType"] = "FQDN";
        JsonObject other = ApiObjects.Slice(Space, "web", "v6", "fd10:244::5"); // the service has no IPv6 address
        JsonObject noPort = ApiObjects.Slice(Space, "web", "ports", "10.244.1.9");
        noPort["ports"] = new JsonArray(new JsonObject { ["name"] = "http", ["protocol"] = "TCP" });
        JsonObject orphan = ApiObjects.Slice(Space, "nothing", "1", "10.244.1.10");
        JsonObject unlabelled = ApiObjects.Slice(Space, "web", "unlabelled", "10.244.1.11");
        unlabelled["metadata"]!.AsObject().Remove("labels");
        JsonObject large = ApiObjects.Slice(Space, "large", "1", Enumerable.Range(0, 1000).Select(i => $"10.245.{i / 250}.{i % 250 + 1}"));
        foreach (JsonObject slice in (JsonObject[])[names, other, noPort, orphan, unlabelled, large])
        {
            await Server.CreateAsync(slice);
        }

        await Server.CreateAsync(External("elsewhere"));
        await Server.CreateAsync(ApiObjects.Service(Space, "headless", "None"));

        await Fixture.SetEndpointsAsync(Space, "web-1", "10.244.1.5", "10.244.1.6");
        await ServesAsync(6, "10.244.1.5:8080", "10.244.1.6:8080");
        Assert.Empty(Node.Faults);

        JsonObject External(string name)
        {
            JsonObject service = ApiObjects.Service(Space, name, "");
            service["spec"] = new JsonObject { ["type"] = "ExternalName", ["externalName"] = "example.org" };
            return service;
        }
    }

    [Fact]
    public async Task A_slice_as_large_as_the_server_takes_is_served_whole_and_changes_in_one_place()
    {
        string[] addresses = [.. Enumerable.Range(0, 1000).Select(i => $"10.245.{i / 250}.{i % 250 + 1}")];
        await CreateAsync("web", 8, addresses);
        await Eventually.IsAsync("all are served", () => AreServed(addresses));

        addresses[500] = "10.245.9.9";
        await Fixture.SetEndpointsAsync(Space, "web-1", addresses);
        await Eventually.IsAsync("the other one is served", () => AreServed(addresses));
        Assert.Empty(Node.Faults);

        bool AreServed(IEnumerable<string> wanted) =>
            Node.BackendsOf(ApiServerFixture.AddressOf(8), 80) is { } found && found.ToHashSet().SetEquals(wanted.Select(a => $"{a}:8080"));
    }

    [Fact]
    public async Task Times_from_the_future_and_the_past_and_of_no_sense_do_not_matter()
    {
        await CreateAsync("web", 7, "10.244.1.5");
        int last = 5;
        foreach (string time in (string[])["2199-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "yesterday", "", "0001-01-01T00:00:00Z"])
        {
            await Server.PatchAsync("endpointslices", Space, "web-1", new JsonObject
            {
                ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { ["endpoints.kubernetes.io/last-change-trigger-time"] = time } },
                ["endpoints"] = ApiObjects.Endpoints($"10.244.1.{++last}"),
            });
            await ServesAsync(7, $"10.244.1.{last}:8080");
        }
    }

    [Fact]
    public async Task Service_ranges_come_from_the_server_and_follow_it()
    {
        // Every real server has one of its own, named kubernetes.
        if (!Server.IsReal)
        {
            await Server.CreateAsync(Range("kubernetes", "10.96.0.0/16"));
        }

        await Eventually.IsAsync("the range is known", () => Ranges().Contains("10.96.0.0/16"));
        await Server.CreateAsync(Range("more", "10.97.0.0/24"));
        await Eventually.IsAsync("the second range is known", () => Ranges().Contains("10.97.0.0/24"));

        IEnumerable<string> Ranges() => Node.Store.ServiceCidrs.Select(r => r.ToString());

        static JsonObject Range(string name, string cidr) => new()
        {
            ["apiVersion"] = "networking.k8s.io/v1",
            ["kind"] = "ServiceCIDR",
            ["metadata"] = new JsonObject { ["name"] = name },
            ["spec"] = new JsonObject { ["cidrs"] = new JsonArray(cidr) },
        };
    }

    private Task<JsonObject> LabelAsync(string plural, string name, string label, string? value) => Server.PatchAsync(plural, Space, name, new JsonObject
    {
        ["metadata"] = new JsonObject { ["labels"] = new JsonObject { [label] = value } },
    });
}
