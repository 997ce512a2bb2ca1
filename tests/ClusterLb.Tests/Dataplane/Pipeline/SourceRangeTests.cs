using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>loadBalancerSourceRanges in the pipeline (semantics R21, R25, R28).</summary>
public sealed class SourceRangeTests
{
    private const string Frontend = "198.51.100.1:80";
    private const string Backend = "10.244.1.5:8080";
    private const ServiceFlags Flags = ServiceFlags.LoadBalancer | ServiceFlags.SourceRange;

    [Theory]
    [InlineData("203.0.113.2:41000", true)]
    [InlineData("203.0.113.127:41000", true)]
    [InlineData("203.0.113.128:41000", false)]
    [InlineData("10.244.0.9:41000", false)] // no short cut for pods
    [InlineData("192.168.0.2:41000", false)] // nor for this node
    public void Only_sources_of_the_ranges_are_let_in(string client, bool isAllowed)
    {
        using PipelineFixture lb = Filtered("203.0.113.0/25");

        lb.Send(Packet.Tcp(client, Frontend).Syn());

        Assert.Equal(isAllowed ? (Verdict.Forward, DropReason.None) : (Verdict.Drop, DropReason.NotInSourceRange), (lb.Verdict, lb.Meta.DropReason));
        Assert.Equal(isAllowed ? 0UL : 1UL, lb.Counters.Drops(DropReason.NotInSourceRange));
    }

    [Fact]
    public void A_source_out_of_range_is_not_even_refused_when_there_is_no_endpoint()
    {
        using PipelineFixture lb = Filtered("203.0.113.0/25").WithService($"{Frontend}/TCP", Flags);

        Assert.Equal("drop: NotInSourceRange", lb.Send(Packet.Tcp("203.0.113.200:41000", Frontend).Syn()));
        Assert.StartsWith("reject: ", lb.Send(Packet.Tcp("203.0.113.2:41000", Frontend).Syn()));
    }

    [Fact]
    public void Nor_is_the_middle_of_a_connection_that_nobody_knows()
    {
        using PipelineFixture lb = Filtered("203.0.113.0/25");

        Assert.Equal("drop: NotInSourceRange", lb.Send(Packet.Tcp("203.0.113.200:41000", Frontend).Ack()));
    }

    [Fact]
    public void An_established_connection_outlives_its_range()
    {
        using PipelineFixture lb = Filtered("203.0.113.0/25");
        lb.Send(Packet.Tcp("203.0.113.2:41000", Frontend).Syn());
        lb.WithoutSourceRange($"{Frontend}/TCP", "203.0.113.0/25");

        Assert.Contains($" > {Backend} ", lb.Send(Packet.Tcp("203.0.113.2:41000", Frontend).Ack()));
        Assert.Equal("drop: NotInSourceRange", lb.Send(Packet.Tcp("203.0.113.2:41001", Frontend).Syn()));
    }

    private static PipelineFixture Filtered(string range) =>
        new PipelineFixture().WithService($"{Frontend}/TCP", Flags, Backend).WithSourceRange($"{Frontend}/TCP", range);
}
