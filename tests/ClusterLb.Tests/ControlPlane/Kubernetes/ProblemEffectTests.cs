using System.Text.Json;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.Tests.ControlPlane.Kubernetes;

/// <summary>A problem says whether its part is served all the same: log and Event are worded by it.</summary>
public sealed class ProblemEffectTests
{
    [Theory]
    [InlineData("""{"internalTrafficPolicy":"Zone"}""", ProblemEffect.TakenDifferently)]
    [InlineData("""{"sessionAffinity":"Cookie"}""", ProblemEffect.TakenDifferently)]
    [InlineData("""{"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":0}}}""", ProblemEffect.TakenDifferently)]
    [InlineData("""{"externalIPs":["nowhere"]}""", ProblemEffect.NotServed)]
    public void A_value_that_is_taken_differently_is_not_called_not_served(string more, ProblemEffect effect)
    {
        string spec = $$"""{"clusterIP":"10.96.0.10","ports":[{"port":80}],{{more[1..]}}""";
        JsonElement item = JsonDocument.Parse($$"""{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{{spec}}}""").RootElement;

        KubernetesObject read = new ObjectReader().Read(item, "test", [])!;

        Assert.Equal(effect, Assert.Single(read.Problems).Effect);
        Assert.Single(((Service)read.Value!).Ports);
    }

    [Fact]
    public void A_condition_that_counts_as_unset_is_taken_differently()
    {
        JsonElement item = JsonDocument.Parse(
            """
            {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"web-1","namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},
             "addressType":"IPv4","ports":[{"name":"","port":80}],"endpoints":[{"addresses":["10.244.0.5"],"conditions":{"ready":"yes"}}]}
            """).RootElement;

        Assert.Equal(ProblemEffect.TakenDifferently, Assert.Single(new ObjectReader().Read(item, "test", [])!.Problems).Effect);
    }
}
