using System.Text.Json.Nodes;
using ClusterLb.ControlPlane.Model;
using static ClusterLb.Tests.ControlPlane.Kubernetes.Api.SourceFixture;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>Events that an operator sees in <c>kubectl describe</c>.</summary>
public sealed class EventRecorderTests
{
    [Fact]
    public async Task An_event_is_about_its_object_with_its_uid()
    {
        await using SourceFixture it = await StartAsync(server => server.Put(Service("web")));
        string uid = it.Server.Put(Service("web"))["metadata"]!["uid"]!.ToString();
        it.Source.Events.Warn("Service", new ObjectName("test", "web"), "NotServed", "spec.ports[1]: no");
        await it.UntilAsync(() => it.Server.Events.Count == 1);

        JsonObject told = it.Server.Events[0];
        Assert.Equal("test", told["metadata"]!["namespace"]!.ToString());
        Assert.Equal(("Warning", "NotServed", "spec.ports[1]: no"), (told["type"]!.ToString(), told["reason"]!.ToString(), told["note"]!.ToString()));
        Assert.Equal("""{"apiVersion":"v1","kind":"Service","namespace":"test","name":"web","uid":"UID"}""", told["regarding"]!.ToJsonString().Replace(uid, "UID", StringComparison.Ordinal));
        Assert.Equal("node-a", told["reportingInstance"]!.ToString());
    }

    [Fact]
    public async Task What_has_no_namespace_is_told_in_default()
    {
        await using SourceFixture it = await StartAsync();
        it.Source.Events.Warn("Node", new ObjectName("", "node-a"), "MapFull", "no room");
        await it.UntilAsync(() => it.Server.Events.Count == 1);

        Assert.Equal("default", it.Server.Events[0]["metadata"]!["namespace"]!.ToString());
        Assert.Null(it.Server.Events[0]["regarding"]!["namespace"]);
    }

    [Fact]
    public async Task A_flood_is_cut_to_a_burst_and_blocks_nobody()
    {
        await using SourceFixture it = await StartAsync();
        for (int i = 0; i < 5_000; i++)
        {
            it.Source.Events.Warn("Service", new ObjectName("test", $"s{i}"), "NotServed", "no");
        }

        await it.UntilAsync(() => it.Server.Events.Count >= 25);
        Assert.InRange(it.Server.Events.Count, 25, 26);
    }

    [Fact]
    public async Task Events_that_are_forbidden_are_named_in_the_status_and_nothing_else_suffers()
    {
        await using SourceFixture it = await StartAsync();
        await it.Server.ForbidAgentAsync("events");
        it.Source.Events.Warn("Service", new ObjectName("test", "web"), "NotServed", "no");
        await it.UntilAsync(() => it.Source.Status.LastError.Contains("the permission to create events is missing", StringComparison.Ordinal));

        it.Server.Put(Service("web"));
        await it.UntilAsync(() => it.Find("web") is not null);
        Assert.True(it.Source.Status.Connected);
    }

    [Fact]
    public async Task A_long_note_is_cut_to_what_the_API_takes()
    {
        await using SourceFixture it = await StartAsync();
        it.Source.Events.Warn("Service", new ObjectName("test", new string('s', 253)), "NotServed", new string('ä', 2000));
        await it.UntilAsync(() => it.Server.Events.Count == 1);

        Assert.InRange(System.Text.Encoding.UTF8.GetByteCount(it.Server.Events[0]["note"]!.ToString()), 500, 1024);
        Assert.InRange(it.Server.Events[0]["metadata"]!["name"]!.ToString().Length, 200, 253);
    }
}
